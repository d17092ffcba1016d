"""Scores become ranked lists: exact, with one rule for ties, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int32, Int64
from torch import Tensor

from ltocf.data.histories import Histories
from ltocf.data.interactions import Interactions
from ltocf.progress import progress_bar
from ltocf.shapes import ListScores, RankedItems, Scores, UserIndices

AllowedItems: TypeAlias = Bool[Tensor, " items"]
CandidateScores: TypeAlias = Float[Tensor, "queries candidates"]
CandidateItems: TypeAlias = Int64[Tensor, "queries candidates"]
GroupMaxima: TypeAlias = Float[Tensor, "queries groups"]

NO_ITEM = -1
TILE = 64
"""Users per call of a scorer, the last call excepted: their scores fit in the cache, or nearly."""
SCORES_ON_GPU = 2**27
"""Scores per call on a GPU, half a gigabyte, from as many users as that takes: each call waits for the GPU."""
GROUP_BY_USER, GROUP_BY_ITEM, GROUP_OF_GROUPS = 32, 8, 16
"""Neighbouring items in a group, whose best one `rank` finds first: if a user's scores lie side by side in memory (a
maximum along the memory needs a few registers' worth), and if an item's do; and neighbouring groups in a larger one."""


@runtime_checkable
class Scorer(Protocol):
    """Anything that scores every item for given users; higher is better.

    Users arrive on the device `rank` got them on (the CPU in `evaluate`); scores may come back on any device. They are
    only read, so a scorer may return a tensor that it keeps.

    Two attributes are optional, with these defaults:

    - ``scores_are_new: bool = False``: every call returns a tensor of its own, which spares `rank` a copy;
    - ``device: torch.device = cpu``: the device that computes the scores; a GPU gets more users per call.
    """

    def scores(self, users: UserIndices) -> Scores: ...


@runtime_checkable
class Lister(Protocol):
    """Anything that has lists of its own, which are evaluated as they are.

    ``lists(users, k)`` are the k best items of each user, best first, and -1 where none is left.
    """

    def lists(self, users: UserIndices, k: int) -> RankedItems: ...


class Ranked(NamedTuple):
    """The lists of `rank`, best first: items, -1 where none was left, and the score of each, -inf there.

    Example:
        >>> Ranked(torch.tensor([[4, 2]]), torch.tensor([[1.5, 0.5]]))
        Ranked(lists=1, k=2)
    """

    items: RankedItems
    scores: ListScores

    def __repr__(self) -> str:
        return f"Ranked(lists={self.items.shape[0]}, k={self.items.shape[1]})"


def top_k(scores: Scores, k: int) -> tuple[ListScores, RankedItems]:
    """The k best items of each row: score descending, equal scores by lower item index, also across the k-th place.

    A score of -inf means "not available": such an item never appears, and if fewer than k items are left the
    remaining places hold the item -1 with the score -inf.

    Args:
        scores: (queries, items); not changed.
        k: length of a list, 1 <= k <= items.

    Returns:
        The scores and the items of the lists, both (queries, k).

    Raises:
        ValueError: k out of range, or a score is NaN.

    `torch.topk` alone leaves open which of several equal scores it takes and in which order. The (k + 1)-th value shows
    the rows where a tie crosses the k-th place, and only these are searched again.

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
    seen: Interactions | Histories | None,
    allowed: AllowedItems | None = None,
    block_size: int = 1024,
    show_progress: bool = False,
) -> Ranked:
    """The k best items of each user over the whole catalogue, those already seen left out, and their scores.

        items[q] = the k items i not in seen[users[q]] with the largest score(users[q], i)

    Args:
        scorer: asked for `TILE` users at a time (more on a GPU, see `SCORES_ON_GPU`), whatever the block size. A matrix
            product may round differently for another number of rows, which would let the block size decide between
            nearly equal scores.
        users: whom to rank for, (queries,); any order, repeats allowed.
        k: length of a list, 1 <= k <= number of items.
        seen: items to leave out for each user, or None to rank everything. With `Histories`, built once, the time of a
            call depends on its own users; `Interactions` are converted by each call, in time that depends on all pairs.
        allowed: which items may be listed at all, (items,), or None for every item.
        block_size: users whose seen items and candidates are held at once, rounded up to whole calls of the scorer. It
            has no influence on the result. With the scores of a tile this bounds the memory: at most about
            (`TILE` + block_size) * n_items numbers, far fewer where k is a small part of the catalogue.
        show_progress: draw a bar on a terminal.

    Returns:
        Items and scores, both (queries, k) on the device of ``users``. The scores are those that ``scorer`` gave, bit
        for bit; an item is -1 and its score -inf where no item is left. Ties: see `top_k`.

    Raises:
        ValueError: k or block_size out of range, a user that ``seen`` does not have, ``allowed`` of another length than
            the catalogue, scores of the wrong shape or NaN.

    Example:
        >>> from ltocf.models import EmbeddingScorer
        >>> scorer = EmbeddingScorer(torch.tensor([[1.0], [-1.0]]), torch.tensor([[0.5], [1.0], [2.0]]))
        >>> ranked = rank(scorer, torch.tensor([0, 1]), 2, seen=Interactions.from_pairs([0], [2], 2, 3))
        >>> ranked.items.tolist(), ranked.scores.tolist()
        ([[1, 0], [0, 1]], [[1.0, 0.5], [-0.5, -1.0]])
    """
    if block_size < 1:
        raise ValueError(f"`block_size` must be >= 1, got {block_size}")
    if k < 1:
        raise ValueError(f"`k` must be >= 1, got {k}")
    histories = Histories.of(seen, ages=False) if isinstance(seen, Interactions) else seen
    ranked = Ranked(torch.empty(len(users), k, dtype=torch.int64, device=users.device), torch.empty(0, k))
    tile = _users_per_call(scorer, histories)
    n_rows = -(-block_size // tile) * tile
    # Even a hidden bar would take a tenth of the time of one list.
    with torch.inference_mode(), progress_bar() if show_progress else nullcontext() as bar:
        task = None if bar is None else bar.add_task("ranking", total=len(users), note="")
        for start in range(0, len(users), n_rows):
            block = users[start : start + n_rows]
            candidates = list(_candidates(scorer, block, k, histories, allowed, tile))
            values, items = (torch.cat(parts) for parts in zip(*candidates, strict=True))
            best, places = _best(values, k)
            scores, lists = _in_order(best, items.gather(1, places))
            if start == 0:
                with torch.inference_mode(mode=False):
                    ranked = Ranked(ranked.items, torch.empty(len(users), k, dtype=scores.dtype, device=users.device))
            ranked.items[start : start + n_rows], ranked.scores[start : start + n_rows] = lists, scores
            if bar is not None and task is not None:
                bar.advance(task, len(block))
    return ranked


def _users_per_call(scorer: Scorer, histories: Histories | None) -> int:
    device: torch.device | None = getattr(scorer, "device", None)
    if histories is None or device is None or device.type != "cuda":
        return TILE
    return max(TILE, SCORES_ON_GPU // histories.n_items)


def _candidates(
    scorer: Scorer,
    users: UserIndices,
    k: int,
    histories: Histories | None,
    allowed: AllowedItems | None,
    size: int,
) -> Iterator[tuple[CandidateScores, CandidateItems]]:
    """For each tile the scores and items, ascending by item, among which are the k best that may be listed."""
    hidden = None if histories is None else histories.rows(users)
    forbidden = None if allowed is None else ~allowed
    n_items, by_item = -1, False
    for start in range(0, len(users), size):
        tile = users[start : start + size]
        scores = scorer.scores(tile)
        if n_items < 0:
            # Chosen once: the strides of a tile of one user say nothing, and all tiles need equally many candidates.
            n_items, by_item = scores.shape[-1], scores.stride(0) < scores.stride(-1)
            _check_catalogue(n_items, hidden, forbidden)
        if scores.shape != (len(tile), n_items):
            raise ValueError(f"scores of {len(tile)} users must be {len(tile)} x {n_items}, got {tuple(scores.shape)}")
        if not getattr(scorer, "scores_are_new", False):
            scores = scores.clone()
        if hidden is not None:
            rows, items = (part.to(scores.device) for part in _cells(hidden, start, start + len(tile)))
            scores[rows, items] = -torch.inf
        if forbidden is not None:
            scores.masked_fill_(forbidden.to(scores.device), -torch.inf)
        if len(users) == 1:  # all items are candidates: finding the best groups first would take longer
            yield scores, torch.arange(n_items, device=scores.device)[None]
            return
        yield _members_of_best_groups(scores, k, GROUP_BY_ITEM if by_item else GROUP_BY_USER, by_item)


def _check_catalogue(n_items: int, hidden: Histories | None, forbidden: AllowedItems | None) -> None:
    lengths = {} if hidden is None else {"seen": hidden.n_items}
    lengths |= {} if forbidden is None else {"allowed": len(forbidden)}
    for name, length in lengths.items():
        if length != n_items:
            raise ValueError(f"`{name}` has {length} items, but {n_items} were scored: use the same catalogue")


def _cells(histories: Histories, start: int, end: int) -> tuple[Int64[Tensor, " cells"], Int32[Tensor, " cells"]]:
    """The row, counted from ``start``, and the item of each entry in the rows from ``start`` to ``end``."""
    offsets = histories.offsets[start : end + 1]
    return torch.repeat_interleave(offsets.diff()), histories.items[int(offsets[0]) : int(offsets[-1])]


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
