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

from ltocf.service.bodies import Body, later
from ltocf.service.errors import problem
from ltocf.service.logs import new_request_id, request_id
from ltocf.service.settings import ServiceSettings
from ltocf.service.traffic import Traffic

logger = logging.getLogger("ltocf.service")

OPEN = ("/healthz", "/readyz")
"""Paths that anybody may ask, without a token and while the service is full: those who watch it."""


class Gate:
    """Wraps an application.

    Args:
        app: the application behind it.
        settings: the limits.
        traffic: what is going on; whoever stops the service sets ``stopping``.
        observe: is told path, method, status and seconds of each request.
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
        name, started, status = new_request_id(headers.get(b"x-request-id")), time.perf_counter(), 0
        named = request_id.set(name)

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", name.encode())]
                if self.traffic.stopping:  # the next request is for another process
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        try:
            await self._pass(scope, headers, receive, sent)
        except Exception:
            logger.exception("an answer failed")
            if not status:
                await _failed()(scope, receive, sent)
        finally:
            self._end(scope, status, time.perf_counter() - started)
            request_id.reset(named)

    def _end(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD", "OPTIONS") else "other"
        self.observe(getattr(route, "path", "other"), method, status, seconds)
        if self.settings.access_log:
            about = {"method": scope["method"], "path": scope["path"], "status": status, "seconds": round(seconds, 6)}
            # `path` may be anything: %r keeps it on its line.
            line = "%s %r %d %.1f ms"
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
                await self._run(scope, _again(bytes(body.content), receive), send)
        else:
            await self._run(scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.traffic.running >= self.settings.max_concurrent and scope["path"] not in OPEN:
            refusal = later(self.settings, "too many requests at a time", self.traffic.running)
            await refusal(scope, receive, send)
            return
        self.traffic.running += 1
        try:
            # All that came together are counted before the first of them is answered: an answer that never waits would
            # else be over before the next one is counted, and however many of those could queue.
            await asyncio.sleep(0)
            await self.app(scope, receive, send)
        finally:
            self.traffic.running -= 1

    def _refusal(self, headers: dict[bytes, bytes]) -> Response | None:
        if self.traffic.stopping:
            return later(self.settings, "the service is stopping", None)
        hosts, host = self.traffic.hosts, headers.get(b"host", b"").decode("latin-1")
        if hosts is not None and not hosts.have(host):
            remedy = "call it `localhost`, or start the service with `--hosts NAME` for this name"
            return problem(403, "this service answers by the names of this machine only", host, remedy)
        if self._token is None:
            return None
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if hmac.compare_digest(scheme.lower() + b" " + given.strip(), self._token):
            return None
        remedy = "send the header `Authorization: Bearer TOKEN`"
        return problem(401, "this service asks for a token", None, remedy, {"WWW-Authenticate": "Bearer"})


def _failed() -> Response:
    return problem(500, "the service failed", None, "the log has the reason, under the id of this request")


def _again(body: bytes, receive: Receive) -> Receive:
    """The messages of a body that was read already, then those of the connection."""
    given = False

    async def again() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
