"""The body of a request, read whole within the limits of size, time and memory."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import Receive

from ltocf.service.errors import problem
from ltocf.service.settings import ServiceSettings
from ltocf.service.traffic import Traffic

CLOSE = {"Connection": "close"}
"""A connection with an error in the middle of a body is not used again."""


class Body:
    """The body of a request; within its block its bytes count among those that the process holds.

    Args:
        settings: the limits.
        traffic: counts the bytes of all bodies.
    """

    def __init__(self, settings: ServiceSettings, traffic: Traffic) -> None:
        self.settings, self.traffic = settings, traffic
        self.content, self.size, self.crowded = bytearray(), 0, False

    def __enter__(self) -> Body:
        return self

    def __exit__(self, *error: object) -> None:
        self._drop()

    async def read(self, receive: Receive) -> Response | None:
        """Read the whole body; a response if it is refused.

        What is too much is read and dropped, as a client listens only after it has sent everything.
        """
        late, more = False, True
        try:
            async with asyncio.timeout(float(self.settings.body_seconds)):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        self._drop()
                        break
                    self._take(message.get("body", b""))
                    more = message.get("more_body", False)
        except TimeoutError:
            late = True
        return self._refusal(late=late)

    def _refusal(self, *, late: bool) -> Response | None:
        settings = self.settings
        if self.size > settings.max_body_bytes:
            rule = f"a body must be at most {settings.max_body_bytes} bytes"
            return problem(413, rule, self.size, "send less, or start with a larger --max-body-bytes", CLOSE)
        if self.crowded:
            rule = f"all bodies at a time must be at most {settings.max_held_bytes} bytes"
            return try_later(settings, rule, self.traffic.held_bytes, CLOSE)
        if late:
            value = f"{self.size} bytes in {settings.body_seconds} s"
            return problem(408, "a body must arrive in time", value, "send it faster", CLOSE)
        return None

    def _take(self, part: bytes) -> None:
        self.size += len(part)
        others = self.traffic.held_bytes - len(self.content)
        # The only body at a time always has room, however the two limits are set.
        self.crowded = self.crowded or (others > 0 and others + self.size > self.settings.max_held_bytes)
        if self.crowded or self.size > self.settings.max_body_bytes:
            self._drop()
        else:
            self.content += part
            self.traffic.held_bytes += len(part)

    def _drop(self) -> None:
        self.traffic.held_bytes -= len(self.content)
        self.content = bytearray()


def try_later(settings: ServiceSettings, rule: str, value: object, headers: dict[str, str] | None = None) -> Response:
    """The response 503, for what a later request may be spared."""
    seconds = settings.retry_after_seconds
    return problem(503, rule, value, f"ask again in {seconds} s", {"Retry-After": str(seconds), **(headers or {})})
