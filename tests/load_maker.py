"""Clients of a service in one event loop: each waits for its answer, or requests are sent at a fixed rate."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

PATIENCE = 60
"""Seconds after which a request counts as lost."""
IDLE = 5.0
"""Seconds after which an unused connection is reopened, as clients do, because the service closes idle ones."""


@dataclass(frozen=True)
class Asked:
    """The bytes of one request."""

    content: bytes

    @classmethod
    def get(cls, path: str) -> Asked:
        return cls(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    @classmethod
    def post(cls, path: str, body: object) -> Asked:
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        return cls(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)


@dataclass(frozen=True)
class Answer:
    """An answer, with its times by `time.perf_counter`; without an answer, status 0 and the error as the body."""

    status: int
    headers: dict[str, str]
    body: bytes
    began: float
    ended: float

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection, opened on demand."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.last = 0.0
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, request: Asked) -> Answer:
        """The answer to one request; a broken connection gives an answer of status 0."""
        began = time.perf_counter()
        if began - self.last > IDLE:
            self.close()
        try:
            async with asyncio.timeout(PATIENCE):
                status, headers, body = await self._exchange(request)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.close()
            status, headers, body = 0, {}, repr(error).encode()
        if headers.get("connection") == "close":
            self.close()
        self.last = time.perf_counter()
        return Answer(status, headers, body, began, self.last)

    async def _exchange(self, request: Asked) -> tuple[int, dict[str, str], bytes]:
        if self.reader is None or self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(request.content)
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(first.split()[1]), headers, body

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


@asynccontextmanager
async def clients(port: int, n: int) -> AsyncIterator[list[Client]]:
    """``n`` clients, whose connections are closed after the block."""
    opened = [Client(port) for _ in range(n)]
    try:
        yield opened
    finally:
        for client in opened:
            client.close()


def for_seconds(seconds: float) -> Callable[[], bool]:
    """A function that is true until this many seconds have passed from now."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() < end


async def at_a_pace(
    clients: list[Client],
    requests: Iterator[Asked],
    keep_going: Callable[[], bool],
    record: Callable[[Asked, Answer], None],
    pause: float = 0.0,
) -> None:
    """Each client sends a request, waits for its answer and pauses, while ``keep_going`` is true."""

    async def run(client: Client) -> None:
        while keep_going():
            request = next(requests)
            record(request, await client.ask(request))
            await asyncio.sleep(pause)

    await asyncio.gather(*map(run, clients))


async def at_a_rate(
    clients: list[Client],
    requests: Iterator[Asked],
    rate: float,
    seconds: float,
    record: Callable[[Asked, Answer], None],
) -> int:
    """Send ``rate`` requests a second, answered or not, and return when all are answered.

    Returns:
        How many requests were not sent, because every client was still waiting for an answer.
    """
    idle, tasks, start, n_due, n_unsent = list(clients), set[asyncio.Task[None]](), time.perf_counter(), 0, 0

    async def send(client: Client, request: Asked) -> None:
        record(request, await client.ask(request))
        idle.append(client)

    while (now := time.perf_counter() - start) < seconds:
        while n_due < now * rate:
            n_due += 1
            if not idle:
                n_unsent += 1
                continue
            task = asyncio.create_task(send(idle.pop(), next(requests)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    return n_unsent
