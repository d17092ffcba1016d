"""All limits and switches of the service, in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """What the service allows and how it behaves.

    Args:
        max_k: Maximum length of a list.
        max_history: Maximum number of items in one history of a request.
        max_users: Maximum number of users in one request.
        max_rows: Maximum number of items in all lists of one request: users times ``k``.
        max_body_bytes: Maximum size of the body of a request, in bytes.
        max_held_bytes: Maximum size of all bodies that one worker holds at a time; the next body gets 503.
        max_concurrent: Maximum number of requests that one worker answers at a time; the next gets 503.
            The longest wait is this number times the seconds of one answer.
        max_large: Maximum number of requests for eight users or more that one worker holds at a time: one is answered,
            the others wait, and the next gets 503.
        max_query: Maximum length of a text to search for, in characters.
        body_seconds: How long a client may take to send a body.
        watch_seconds: Seconds between two looks for a newer model in the folder of a run; 0: never.
        follow: Serve the newest generation that `ltocf update` made of the run, not the run itself.
        grace_seconds: How long running requests may take to end after a signal to stop.
        retry_after_seconds: The seconds that the header ``Retry-After`` gives with 503.
        token: The bearer token that requests must bring; by default none.
        hosts: Names by which requests may call a service without a token on a loopback address, besides
            ``localhost`` and such addresses; ``*``: any.
        cors: Origins whose pages may call the service; by default none.
        access_log: Write a line for each request.
        json_logs: Write each log line as JSON.
        mcp: Answer agents by the Model Context Protocol at ``/mcp``, see `ltocf.service.tools`; needs the `mcp` extra.

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
    max_large: int = 16
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
