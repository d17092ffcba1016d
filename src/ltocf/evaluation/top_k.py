"""Scores become ranked lists: exact, with one answer to every tie, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Int64
from torch import Tensor

from ltocf.data.interactions import Interactions
from ltocf.progress import progress_bar
from ltocf.shapes import ListScores, RankedItems, Scores, UserIndices

FlatPositions: TypeAlias = Int64[Tensor, " positions"]

NO_ITEM = -1
TILE = 256
"""Users per call of a scorer, the last call excepted."""


@runtime_checkable
class Scorer(Protocol):
    """Anything that scores every item for the users asked for; higher is better.

    Users arrive on the device `rank` got them on (the CPU in `evaluate`); scores may come back on any device. They are
    only read, so a scorer may return a tensor that it keeps.
    """

    def scores(self, users: UserIndices) -> Scores: ...


def top_k(scores: Scores, k: int) -> tuple[ListScores, RankedItems]:
    """The k best items of each row: score descending, equal scores by lower item index, also across the k-th place.

    A score of -inf means "not available": such an item never appears, and where fewer than k items are left the
    remaining places hold the item -1 with the score -inf.

    Args:
        scores: (queries, items); not changed.
        k: length of a list, 1 <= k <= items.

    Returns:
        The scores and the items of the lists, both (queries, k).

    Raises:
        ValueError: k out of range, or a score is NaN.

    `torch.topk` alone leaves open which of several equal scores it takes and in which order. Rows where a tie crosses
    the k-th place show in the (k + 1)-th value, and only they are looked at twice.

    Example:
        >>> values, items = top_k(torch.tensor([[1.0, 3.0, 1.0, 3.0], [2.0, -torch.inf, -torch.inf, 5.0]]), 3)
        >>> items.tolist()
        [[1, 3, 0], [3, 0, -1]]
        >>> values[0].tolist()
        [3.0, 3.0, 1.0]
    """
    n_items = scores.shape[1]
    if not 1 <= k <= n_items:
        raise ValueError(f"`k` must be in [1, {n_items}], {n_items} being the number of items, got {k}")
    values, items = scores.topk(min(k + 1, n_items), dim=1)
    # topk counts NaN as the largest value, so a row with one has it in front.
    if values[:, 0].isnan().any():
        row = int(values[:, 0].isnan().nonzero()[0])
        raise ValueError(f"scores must not be NaN, got one in row {row}; did training diverge?")
    last, beyond = values[:, k - 1], values[:, k:]
    values, items = values[:, :k], items[:, :k]
    crossing = ((last[:, None] == beyond) & (beyond > -torch.inf)).any(dim=1).nonzero().squeeze(1)
    if len(crossing):
        items = items.index_copy(0, crossing, _take_lowest(scores[crossing], values[crossing], items[crossing]))
    items, by_item = items.sort(dim=1)
    values, by_value = values.gather(1, by_item).sort(dim=1, descending=True, stable=True)
    items = items.gather(1, by_value)
    return values, items.masked_fill(values == -torch.inf, NO_ITEM)


def _take_lowest(scores: Scores, values: ListScores, items: RankedItems) -> RankedItems:
    """The items of the lists, those that share the k-th score replaced by the lowest indices that have it."""
    n_items, k = scores.shape[1], items.shape[1]
    last = values[:, -1:]
    lowest_first = -torch.arange(n_items, dtype=torch.int32, device=scores.device)
    lowest = torch.where(scores == last, lowest_first, -n_items).topk(k, dim=1).indices
    place_among_tied = torch.arange(k, device=scores.device) - (values > last).sum(dim=1, keepdim=True)
    return torch.where(place_among_tied < 0, items, lowest.gather(1, place_among_tied.clamp(min=0)))


def rank(
    scorer: Scorer,
    users: UserIndices,
    k: int,
    *,
    seen: Interactions | None,
    block_size: int = 1024,
    show_progress: bool = False,
) -> RankedItems:
    """The k best items of each user over the whole catalogue, those already seen left out.

        ranked[q] = the k items i not in seen[users[q]] with the largest score(users[q], i)

    Args:
        scorer: asked for `TILE` users at a time, whatever the block size. A matrix product may round differently for
            another number of rows, which would let the block size decide between nearly equal scores.
        users: who is asked for, (queries,); any order, repeats allowed.
        k: length of a list, 1 <= k <= number of items.
        seen: pairs to leave out, or None to rank everything.
        block_size: users whose scores are held at once, rounded up to a multiple of `TILE`. It bounds the memory,
            about block_size * n_items scores, and has no influence on the result.
        show_progress: draw a bar on a terminal.

    Returns:
        (queries, k) on the device of ``users``; -1 where no item is left. Ties: see `top_k`.

    Raises:
        ValueError: k or block_size out of range, a user that ``seen`` does not have, scores of the wrong shape or NaN.

    Example:
        >>> from ltocf.models import EmbeddingScorer
        >>> scorer = EmbeddingScorer(torch.tensor([[1.0], [-1.0]]), torch.tensor([[0.0], [1.0], [2.0]]))
        >>> rank(scorer, torch.tensor([0, 1]), 2, seen=Interactions.from_pairs([0], [2], 2, 3)).tolist()
        [[1, 0], [0, 1]]
    """
    if block_size < 1:
        raise ValueError(f"`block_size` must be >= 1, got {block_size}")
    if k < 1:
        raise ValueError(f"`k` must be >= 1, got {k}")
    history = None if seen is None else _History(seen)
    ranked = torch.empty(len(users), k, dtype=torch.int64, device=users.device)
    with torch.inference_mode(), progress_bar(enabled=show_progress) as bar:
        task = bar.add_task("ranking", total=len(users), note="")
        for start, scores in _score_blocks(scorer, users, block_size):
            block = slice(start, start + len(scores))
            if history is not None:
                history.mask(scores, users[block])
            ranked[block] = top_k(scores, k)[1]
            bar.advance(task, len(scores))
    return ranked


def _score_blocks(scorer: Scorer, users: UserIndices, block_size: int) -> Iterator[tuple[int, Scores]]:
    """The position of the first user and the scores of each block; every block is written over the one before."""
    n_rows = min(-(-block_size // TILE) * TILE, len(users))
    buffer = torch.empty(0, 0)
    for start in range(0, len(users), max(n_rows, 1)):
        block = users[start : start + n_rows]
        for row in range(0, len(block), TILE):
            tile = block[row : row + TILE]
            scores = scorer.scores(tile)
            if not len(buffer):
                buffer = scores.new_empty(n_rows, scores.shape[-1])
            if scores.shape != (len(tile), buffer.shape[1]):
                raise ValueError(
                    f"scores of {len(tile)} users must be {len(tile)} x {buffer.shape[1]}, got {tuple(scores.shape)}"
                )
            buffer[row : row + len(tile)] = scores
        yield start, buffer[: len(block)]


class _History:
    """The seen items of every user, one after the other."""

    def __init__(self, seen: Interactions) -> None:
        self.n_users, self.n_items = seen.n_users, seen.n_items
        self.items = torch.tensor(seen.items)
        self.lengths = torch.tensor(seen.user_degrees)
        self.starts = self.lengths.cumsum(0) - self.lengths

    def mask(self, scores: Scores, users: UserIndices) -> None:
        """Write -inf over what the users have seen; row q of ``scores`` belongs to users[q]."""
        if scores.shape[1] != self.n_items:
            raise ValueError(
                f"`seen` has {self.n_items} items, but {scores.shape[1]} were scored: use the same catalogue"
            )
        scores.view(-1).index_fill_(0, self._positions(users.cpu()).to(scores.device), -torch.inf)

    def _positions(self, users: UserIndices) -> FlatPositions:
        if users.min() < 0 or users.max() >= self.n_users:
            bad = int(users[(users < 0) | (users >= self.n_users)][0])
            raise ValueError(f"user indices must be in [0, {self.n_users}), the users of `seen`, got {bad}")
        lengths = self.lengths[users]
        rows = torch.repeat_interleave(lengths)
        first_of_row = lengths.cumsum(0) - lengths
        offsets = torch.arange(len(rows)) + (self.starts[users] - first_of_row)[rows]
        return rows * self.n_items + self.items[offsets]
