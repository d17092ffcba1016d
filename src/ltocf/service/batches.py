"""Requests that come together are answered together: one product reads the item vectors once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

LARGEST_BATCH = 16
"""Requests in one batch: more would save little more, and the first would wait for the last."""

Answer = Callable[[list[Any]], list[Any]]
"""The answers to many requests of one kind, in their order."""


@dataclass
class Batch:
    """Waiting requests of one kind, and the function that answers them."""

    answer: Answer
    waiting: list[tuple[Any, asyncio.Future[Any]]]


class Batches:
    """Collects the requests that come in one turn of the event loop. None waits for later ones.

    Example:
        >>> async def three() -> list[str]:
        ...     batches = Batches()
        ...     ask = lambda text: batches.ask("upper", lambda texts: ["".join(texts).upper()] * len(texts), text)
        ...     return await asyncio.gather(ask("a"), ask("b"), ask("c"))
        >>> asyncio.run(three())
        ['ABC', 'ABC', 'ABC']
    """

    def __init__(self) -> None:
        self.open: dict[Hashable, Batch] = {}

    async def ask(self, kind: Hashable, answer: Answer, request: Any) -> Any:
        """The answer to a request; requests of one ``kind`` are answered together, by the ``answer`` of the first."""
        loop = asyncio.get_running_loop()
        if not self.open:
            loop.call_soon(self._close)
        future = loop.create_future()
        self.open.setdefault(kind, Batch(answer, [])).waiting.append((request, future))
        return await future

    def _close(self) -> None:
        closed, self.open = self.open, {}
        for batch in closed.values():
            for start in range(0, len(batch.waiting), LARGEST_BATCH):
                _answer(batch.answer, batch.waiting[start : start + LARGEST_BATCH])


def _answer(answer: Answer, waiting: list[tuple[Any, asyncio.Future[Any]]]) -> None:
    """Answer requests together or, if that fails, one by one, so that only those at fault fail."""
    try:
        results = answer([request for request, _ in waiting])
    except Exception as error:
        if len(waiting) == 1:
            if not waiting[0][1].done():
                waiting[0][1].set_exception(error)
            return
        for each in waiting:
            _answer(answer, [each])
        return
    for (_, future), result in zip(waiting, results, strict=True):
        if not future.done():  # the client may have gone
            future.set_result(result)
