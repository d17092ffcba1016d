"""Requests of one moment are answered together: one product reads the item vectors once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

MOST = 16
"""Requests in one batch: more would save little more, and the first would wait for the last."""

Answer = Callable[[list[Any]], list[Any]]
"""The answers to many requests of one kind, in their order."""


@dataclass
class Batch:
    """Requests of one kind that wait, and what answers them."""

    answer: Answer
    waiting: list[tuple[Any, asyncio.Future[Any]]]


class Batches:
    """Collects what arrives in one turn of the event loop. Nobody waits for others to come.

    Example:
        >>> async def three() -> list[str]:
        ...     batches = Batches()
        ...     ask = lambda one: batches.ask("upper", lambda many: ["".join(many).upper()] * len(many), one)
        ...     return await asyncio.gather(ask("a"), ask("b"), ask("c"))
        >>> asyncio.run(three())
        ['ABC', 'ABC', 'ABC']
    """

    def __init__(self) -> None:
        self.open: dict[Hashable, Batch] = {}

    async def ask(self, kind: Hashable, answer: Answer, one: Any) -> Any:
        """The answer to one request; those of one ``kind`` are answered together, by any one's ``answer``."""
        loop = asyncio.get_running_loop()
        if not self.open:
            loop.call_soon(self._close)
        future = loop.create_future()
        self.open.setdefault(kind, Batch(answer, [])).waiting.append((one, future))
        return await future

    def _close(self) -> None:
        closed, self.open = self.open, {}
        for batch in closed.values():
            for start in range(0, len(batch.waiting), MOST):
                _answer(batch.answer, batch.waiting[start : start + MOST])


def _answer(answer: Answer, waiting: list[tuple[Any, asyncio.Future[Any]]]) -> None:
    """What fails together is asked one by one, so that only the guilty fail."""
    try:
        found = answer([one for one, _ in waiting])
    except Exception as error:
        if len(waiting) == 1:
            if not waiting[0][1].done():
                waiting[0][1].set_exception(error)
            return
        for each in waiting:
            _answer(answer, [each])
        return
    for (_, future), result in zip(waiting, found, strict=True):
        if not future.done():  # the client may have gone
            future.set_result(result)
