"""The requests in progress in one process of the service, and the names by which it may be called."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True)
class Hosts:
    """Names of this machine: those of the loopback addresses, and ``others``.

    They prevent DNS rebinding: a page from elsewhere may point its own name to 127.0.0.1 after it was loaded, to read
    what this service answers; but a browser says in ``Host`` which name it called.

    Example:
        >>> hosts = Hosts(("shop.example",))
        >>> names = ("localhost:8000", "127.0.0.1", "[::1]:80", "Shop.example:1", "evil.example")
        >>> [hosts.allow(name) for name in names]
        [True, True, True, True, False]
    """

    others: tuple[str, ...] = ()

    def allow(self, host: str) -> bool:
        """Whether a ``Host``, with or without a port, names this machine; a browser never leaves it empty."""
        name = host.lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        name = name.rstrip(".")
        known = ("localhost", *map(str.lower, self.others))
        return not host or name in known or name.endswith(".localhost") or is_loopback(name)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address.

    Example:
        >>> is_loopback("127.0.0.2"), is_loopback("::1"), is_loopback("10.0.0.1"), is_loopback("name")
        (True, True, False, False)
    """
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


@dataclass
class Traffic:
    """The requests in progress in one process, and which requests it refuses.

    Args:
        inside: number of requests that have come in and not ended.
        running: number of them that are being answered.
        large: number of them for many users; all but one wait.
        held_bytes: bytes read of their bodies.
        stopping: new requests are refused.
        hosts: the only names by which requests may call the service; None for any name.
    """

    inside: int = 0
    running: int = 0
    large: int = 0
    held_bytes: int = 0
    stopping: bool = False
    hosts: Hosts | None = None
