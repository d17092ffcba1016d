"""What every request passes: its id, its log line, its token, its size, and a place among those that are answered."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ltocf.service.bodies import Body, try_later
from ltocf.service.errors import problem
from ltocf.service.logs import new_request_id, request_id
from ltocf.service.settings import ServiceSettings
from ltocf.service.traffic import Traffic

logger = logging.getLogger("ltocf.service")

OPEN = ("/healthz", "/readyz")
"""Paths for monitoring, which are answered without a token and while the service is full."""


class Gate:
    """Wraps an application.

    Args:
        app: the application behind it.
        settings: the limits.
        traffic: the requests in progress; ``stopping`` is set when the service stops.
        observe: called with path, method, status and seconds of each request.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServiceSettings,
        traffic: Traffic,
        observe: Callable[[str, str, int, float], None],
    ) -> None:
        self.app, self.settings, self.traffic, self.observe = app, settings, traffic, observe
        self._token = None if settings.token is None else f"bearer {settings.token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        id, started, status = new_request_id(headers.get(b"x-request-id")), time.perf_counter(), 0
        previous_id = request_id.set(id)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", id.encode())]
                if self.traffic.stopping:  # the next request is for another process
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            await self._pass(scope, headers, receive, send_with_id)
        except Exception:
            logger.exception("an answer failed")
            if not status:
                await _failed()(scope, receive, send_with_id)
        finally:
            self._record(scope, status, time.perf_counter() - started)
            request_id.reset(previous_id)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS") else "other"
        self.observe(getattr(route, "path", "other"), method, status, seconds)
        if self.settings.access_log:
            about = {"method": scope["method"], "path": scope["path"], "status": status, "seconds": round(seconds, 6)}
            line = "%s %r %d %.1f ms"  # %r: whatever is in the path stays on one line
            logger.info(line, method, scope["path"], status, 1000 * seconds, extra={"about": about})

    async def _pass(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        refusal = None if scope["path"] in OPEN else self._refusal(headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        self.traffic.inside += 1
        try:
            await self._answer(scope, headers, receive, send)
        finally:
            self.traffic.inside -= 1

    async def _answer(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        if b"content-length" in headers or b"transfer-encoding" in headers:
            with Body(self.settings, self.traffic) as body:
                refusal = await body.read(receive)
                if refusal is not None:
                    await refusal(scope, receive, send)
                    return
                await self._run(scope, _replayed(bytes(body.content), receive), send)
        else:
            await self._run(scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.traffic.running >= self.settings.max_concurrent and scope["path"] not in OPEN:
            refusal = try_later(self.settings, "too many requests at a time", self.traffic.running)
            await refusal(scope, receive, send)
            return
        self.traffic.running += 1
        try:
            # Requests that came together are all counted before the first of them is answered: an answer that never
            # waits would be over before the next request is counted, and any number of them could queue.
            await asyncio.sleep(0)
            await self.app(scope, receive, send)
        finally:
            self.traffic.running -= 1

    def _refusal(self, headers: dict[bytes, bytes]) -> Response | None:
        if self.traffic.stopping:
            return try_later(self.settings, "the service is stopping", None)
        hosts, host = self.traffic.hosts, headers.get(b"host", b"").decode("latin-1")
        if hosts is not None and not hosts.allow(host):
            remedy = "call it `localhost`, or start the service with `--hosts NAME` for this name"
            return problem(403, "this service may be called only by a name of this machine", host, remedy)
        if self._token is None:
            return None
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if hmac.compare_digest(scheme.lower() + b" " + given.strip(), self._token):
            return None
        remedy = "send the header `Authorization: Bearer TOKEN`"
        return problem(401, "this service requires a token", None, remedy, {"WWW-Authenticate": "Bearer"})


def _failed() -> Response:
    return problem(500, "the service failed", None, "the log has the reason, under the id of this request")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Receives a body that was read already, then the messages of the connection."""
    is_replayed = False

    async def replay() -> Any:
        nonlocal is_replayed
        if is_replayed:
            return await receive()
        is_replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
