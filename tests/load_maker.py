"""Clients of a service in one event loop: at a pace, or as many a second as are asked for, whatever comes back."""

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
"""Seconds after which an unused connection is opened anew, as clients do: the service closes those that are idle."""


@dataclass(frozen=True)
class Asked:
    """One request, as its bytes."""

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
    """What came back, and when on the clock of `time.perf_counter`; status 0 for nothing, and why as the body."""

    status: int
    headers: dict[str, str]
    body: bytes
    began: float
    ended: float

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection, opened when it is needed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.last = 0.0
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, asked: Asked) -> Answer:
        """The answer to one request; a connection that breaks is an answer without status."""
        began = time.perf_counter()
        if began - self.last > IDLE:
            self.close()
        try:
            async with asyncio.timeout(PATIENCE):
                status, headers, body = await self._exchange(asked)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            self.close()
            status, headers, body = 0, {}, repr(error).encode()
        if headers.get("connection") == "close":
            self.close()
        self.last = time.perf_counter()
        return Answer(status, headers, body, began, self.last)

    async def _exchange(self, asked: Asked) -> tuple[int, dict[str, str], bytes]:
        if self.reader is None or self.writer is None:
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(asked.content)
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
    """So many connections, closed after the block."""
    made = [Client(port) for _ in range(n)]
    try:
        yield made
    finally:
        for client in made:
            client.close()


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Whether so many seconds have not yet passed since now."""
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() < end


async def at_a_pace(
    made: list[Client],
    asked: Iterator[Asked],
    going: Callable[[], bool],
    see: Callable[[Asked, Answer], None],
    pause: float = 0.0,
) -> None:
    """Each client asks, waits for its answer and pauses, for as long as ``going`` says."""

    async def one(client: Client) -> None:
        while going():
            request = next(asked)
            see(request, await client.ask(request))
            await asyncio.sleep(pause)

    await asyncio.gather(*map(one, made))


async def at_a_rate(
    made: list[Client], asked: Iterator[Asked], rate: float, seconds: float, see: Callable[[Asked, Answer], None]
) -> int:
    """So many requests a second, whether or not those before were answered; it ends when all are.

    Returns:
        How many could not be sent in their time, since every client was waiting for an answer.
    """
    idle, tasks, begun, n_due, n_unsent = list(made), set[asyncio.Task[None]](), time.perf_counter(), 0, 0

    async def one(client: Client, request: Asked) -> None:
        see(request, await client.ask(request))
        idle.append(client)

    while (now := time.perf_counter() - begun) < seconds:
        while n_due < now * rate:
            n_due += 1
            if not idle:
                n_unsent += 1
                continue
            task = asyncio.create_task(one(idle.pop(), next(asked)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.sleep(0.001)
    await asyncio.gather(*tasks)
    return n_unsent
