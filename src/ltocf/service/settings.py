"""All limits and switches of the service, in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """What the service allows and how it behaves.

    Args:
        max_k: longest list that may be asked for.
        max_history: most items of one history in a request.
        max_users: most users in one request.
        max_rows: most items in all lists of one request: users times ``k``.
        max_body_bytes: largest body of a request, in bytes.
        max_held_bytes: most bytes of bodies that one worker holds at a time; the next body gets 429.
        max_concurrent: most requests that one worker answers at a time; the next gets 429.
        max_query: longest text to search for, in characters.
        body_seconds: how long a client may take to send a body.
        watch_seconds: how often the folder of a run is looked at for a newer model; 0 for never.
        follow: serve the newest generation that `ltocf update` made of the run, not the run itself.
        grace_seconds: how long running requests may take to end after a signal to stop.
        retry_after_seconds: what ``Retry-After`` says with 429 and 503.
        token: the bearer token that requests must bring; None for none.
        hosts: names by which requests may call a service without a token on a loopback address, besides
            ``localhost`` and such addresses; ``*`` for any.
        cors: origins whose pages may call the service; none by default.
        access_log: write a line for each request.
        json_logs: write each log line as JSON.
        mcp: answer agents at ``/mcp``, see `ltocf.service.tools`; needs the extra ``mcp``.

    Raises:
        ValueError: a limit below 1, a negative time, or a token that no header can hold.

    Example:
        >>> ServiceSettings(max_k=50).max_k
        50
        >>> ServiceSettings(max_k=0)
        Traceback (most recent call last):
        ValueError: `max_k` must be >= 1, got 0
    """

    max_k: int = 200
    max_history: int = 1000
    max_users: int = 1000
    max_rows: int = 20_000
    max_body_bytes: int = 1_000_000
    max_held_bytes: int = 64_000_000
    max_concurrent: int = 256
    max_query: int = 200
    body_seconds: float | int = 10
    watch_seconds: float | int = 2
    follow: bool = True
    grace_seconds: float | int = 10
    retry_after_seconds: int = 1
    token: str | None = None
    hosts: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    access_log: bool = True
    json_logs: bool = False
    mcp: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.startswith("max_") and value < 1:
                raise ValueError(f"`{field.name}` must be >= 1, got {value}")
            if field.name.endswith("_seconds") and value < 0:
                raise ValueError(f"`{field.name}` must be >= 0, got {value}")
        if self.token is not None and not (self.token.isascii() and self.token.isprintable() and self.token.strip()):
            raise ValueError("`token` must be printable ASCII and not empty; leave it out to serve without one")


DEFAULTS = ServiceSettings()
