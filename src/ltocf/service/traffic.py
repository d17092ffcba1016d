"""What a process of the service does now, and by which names it may be called."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address


@dataclass(frozen=True)
class Hosts:
    """Names of this machine: those of the loopback addresses, and ``others``.

    A page from elsewhere may lead its own name to 127.0.0.1 after it was loaded, and would then read what this service
    answers; but a browser says in ``Host`` which name it asked.

    Example:
        >>> hosts = Hosts(("shop.example",))
        >>> [hosts.have(name) for name in ("localhost:8000", "127.0.0.1", "[::1]:80", "Shop.example:1", "evil.example")]
        [True, True, True, True, False]
    """

    others: tuple[str, ...] = ()

    def have(self, host: str) -> bool:
        """Whether a ``Host``, with or without a port, names this machine; a request without one is no browser's."""
        name = host.lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        name = name.rstrip(".")
        known = ("localhost", *map(str.lower, self.others))
        return not host or name in known or name.endswith(".localhost") or is_loopback(name)


def is_loopback(address: str) -> bool:
    """Whether it is an address that only this machine reaches.

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
    """What is going on in one process, and which requests it refuses.

    Args:
        inside: requests that came in and did not end.
        running: those of them that are answered.
        large: those of them for many users; all but one wait.
        held_bytes: what was read of their bodies.
        stopping: new requests are refused.
        hosts: the only names by which requests may call the service; None for any name.
    """

    inside: int = 0
    running: int = 0
    large: int = 0
    held_bytes: int = 0
    stopping: bool = False
    hosts: Hosts | None = None
