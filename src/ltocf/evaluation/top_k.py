"""Scores become ranked lists: exact, with one answer to every tie, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ltocf.data.interactions import Interactions
from ltocf.progress import progress_bar
from ltocf.shapes import ListScores, RankedItems, Scores, UserIndices

Cells: TypeAlias = Int64[Tensor, " cells"]
CellCounts: TypeAlias = Int64[Tensor, " queries"]
CandidateScores: TypeAlias = Float[Tensor, "queries candidates"]
CandidateItems: TypeAlias = Int64[Tensor, "queries candidates"]
GroupMaxima: TypeAlias = Float[Tensor, "queries groups"]

NO_ITEM = -1
TILE = 64
"""Users per call of a scorer, the last call excepted: their scores fit in the cache, or nearly."""
SCORES_ON_GPU = 2**27
"""On a GPU as many users per call as have so many scores, half a gigabyte: each call waits for the GPU a few times."""
GROUP_BY_USER, GROUP_BY_ITEM, GROUP_OF_GROUPS = 32, 8, 16
"""Neighbouring items whose best one `rank` looks at first, where a user's scores lie side by side in memory and where
an item's do (a maximum along the memory needs a few registers' worth), and neighbouring groups after that."""


@runtime_checkable
class Scorer(Protocol):
    """Anything that scores every item for the users asked for; higher is better.

    Users arrive on the device `rank` got them on (the CPU in `evaluate`); scores may come back on any device. They are
    only read, so a scorer may return a tensor that it keeps. One that never does can say so by an attribute
    ``scores_are_new = True``, which saves a copy; one whose attribute ``device`` is a GPU gets more users per call.
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
    return _in_order(*_best(scores, k))


def _best(scores: Scores, k: int) -> tuple[ListScores, RankedItems]:
    """The scores and items of `top_k` in no order; places of score -inf hold some item of that score."""
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
    return values, items


def _in_order(values: ListScores, items: RankedItems) -> tuple[ListScores, RankedItems]:
    """Score descending, equal scores by lower item; no item where the score is -inf."""
    items, by_item = items.sort(dim=1)
    values, by_value = values.gather(1, by_item).sort(dim=1, descending=True, stable=True)
    return values, items.gather(1, by_value).masked_fill(values == -torch.inf, NO_ITEM)


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
        scorer: asked for `TILE` users at a time (more on a GPU, see `SCORES_ON_GPU`), whatever the block size. A matrix
            product may round differently for another number of rows, which would let the block size decide between
            nearly equal scores.
        users: who is asked for, (queries,); any order, repeats allowed.
        k: length of a list, 1 <= k <= number of items.
        seen: pairs to leave out, or None to rank everything.
        block_size: users whose seen items and candidates are held at once, rounded up to whole calls of the scorer. It
            has no influence on the result. With the scores of a tile this bounds the memory: at most about
            (`TILE` + block_size) * n_items numbers, far fewer where k is a small part of the catalogue.
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
    tile = _users_per_call(scorer, history)
    n_rows = -(-block_size // tile) * tile
    with torch.inference_mode(), progress_bar(enabled=show_progress) as bar:
        task = bar.add_task("ranking", total=len(users), note="")
        for start in range(0, len(users), n_rows):
            block = users[start : start + n_rows]
            candidates = list(_candidates(scorer, block, k, history, tile))
            values, items = (torch.cat(parts) for parts in zip(*candidates, strict=True))
            best, places = _best(values, k)
            ranked[start : start + n_rows] = _in_order(best, items.gather(1, places))[1]
            bar.advance(task, len(block))
    return ranked


def _users_per_call(scorer: Scorer, history: _History | None) -> int:
    device: torch.device | None = getattr(scorer, "device", None)
    if history is None or device is None or device.type != "cuda":
        return TILE
    return max(TILE, SCORES_ON_GPU // history.n_items)


def _candidates(
    scorer: Scorer, users: UserIndices, k: int, history: _History | None, size: int
) -> Iterator[tuple[CandidateScores, CandidateItems]]:
    """For each tile the scores and items, ascending by item, among which are the k best unseen ones."""
    hidden = None if history is None else history.cells(users)
    n_items, by_item = -1, False
    for start in range(0, len(users), size):
        tile = users[start : start + size]
        scores = scorer.scores(tile)
        if n_items < 0:
            # Chosen once: the strides of a tile of one user say nothing, and all tiles need candidates of one number.
            n_items, by_item = scores.shape[-1], scores.stride(0) < scores.stride(-1)
        if scores.shape != (len(tile), n_items):
            raise ValueError(f"scores of {len(tile)} users must be {len(tile)} x {n_items}, got {tuple(scores.shape)}")
        if not getattr(scorer, "scores_are_new", False):
            scores = scores.clone()
        if history is not None and hidden is not None:
            if n_items != history.n_items:
                raise ValueError(
                    f"`seen` has {history.n_items} items, but {n_items} were scored: use the same catalogue"
                )
            rows, items = (part.to(scores.device) for part in hidden.of_rows(start, len(tile)))
            scores[rows, items] = -torch.inf
        yield _members_of_best_groups(scores, k, GROUP_BY_ITEM if by_item else GROUP_BY_USER, by_item)


@dataclass(frozen=True)
class _Hidden:
    """Cells that may not be ranked, ascending by row; ``ends`` is where each row's cells end."""

    rows: Cells
    items: Cells
    ends: CellCounts

    def of_rows(self, start: int, n_rows: int) -> tuple[Cells, Cells]:
        """Rows, counted from ``start``, and items of the cells in so many rows."""
        first = int(self.ends[start - 1]) if start else 0
        last = int(self.ends[start + n_rows - 1])
        return self.rows[first:last] - start, self.items[first:last]


class _History:
    """The seen items of every user, one after the other."""

    def __init__(self, seen: Interactions) -> None:
        self.n_users, self.n_items = seen.n_users, seen.n_items
        self.items = torch.tensor(seen.items)
        self.lengths = torch.tensor(seen.user_degrees)
        self.starts = self.lengths.cumsum(0) - self.lengths

    def cells(self, users: UserIndices) -> _Hidden:
        """What the users have seen, on the CPU; row q belongs to users[q]."""
        users = users.cpu()
        if users.min() < 0 or users.max() >= self.n_users:
            bad = int(users[(users < 0) | (users >= self.n_users)][0])
            raise ValueError(f"user indices must be in [0, {self.n_users}), the users of `seen`, got {bad}")
        lengths = self.lengths[users]
        rows, ends = torch.repeat_interleave(lengths), lengths.cumsum(0)
        offsets = torch.arange(len(rows)) + (self.starts[users] - (ends - lengths))[rows]
        return _Hidden(rows, self.items[offsets], ends)


def _members_of_best_groups(scores: Scores, k: int, size: int, by_item: bool) -> tuple[CandidateScores, CandidateItems]:
    """Scores and items of the k best groups of neighbouring items, or all if they are few; the k best are among them.

    A group has ``size`` items; ``by_item`` says that an item's scores lie side by side in memory, not a user's.

    A group is as good as its best item, equal ones by the lower group. Were one of the k best items x in another group,
    each of the k groups would hold an item that is before x, by score or, at equal scores, by index.
    The best groups are found in the same way, as the best "items" of the matrix of the groups' maxima.
    """
    n_rows, n_items = scores.shape
    if 2 * k * size > n_items:
        return scores, torch.arange(n_items, device=scores.device).expand(n_rows, -1)
    maxima, groups = _members_of_best_groups(_group_maxima(scores, size, by_item), k, GROUP_OF_GROUPS, True)
    chosen = groups.gather(1, _best(maxima, k)[1].sort(dim=1).values)
    items = (chosen[:, :, None] * size + torch.arange(size, device=chosen.device)).flatten(1)
    members = scores.gather(1, items.clamp(max=n_items - 1))
    return members.masked_fill_(items >= n_items, -torch.inf), items


def _group_maxima(scores: Scores, size: int, by_item: bool) -> GroupMaxima:
    """The largest score among each ``size`` neighbouring items; the last group may be smaller."""
    n_rows, n_items = scores.shape
    n_whole, rest = divmod(n_items, size)
    # Kept group by group, the layout that is quickest to reduce once more.
    by_group = scores.new_empty(n_whole + (rest > 0), n_rows)
    whole = scores[:, : n_whole * size]
    if by_item:
        torch.amax(whole.T.reshape(n_whole, size, n_rows), dim=1, out=by_group[:n_whole])
    else:
        by_group[:n_whole] = whole.reshape(n_rows, n_whole, size).amax(dim=2).T
    if rest:
        by_group[n_whole] = scores[:, n_whole * size :].amax(dim=1)
    return by_group.T
