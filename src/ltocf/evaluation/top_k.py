"""Scores become ranked lists: exact, with one answer to every tie, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ltocf.data.interactions import Interactions
from ltocf.progress import progress_bar
from ltocf.shapes import ListScores, RankedItems, Scores, UserIndices

Cells: TypeAlias = Int64[Tensor, " cells"]
GroupKeys: TypeAlias = Int64[Tensor, " keys"]
GroupMaxima: TypeAlias = Float[Tensor, "queries groups"]
GroupMembers: TypeAlias = Float[Tensor, "keys members"]

NO_ITEM = -1
TILE = 64
"""Users per call of a scorer, the last call excepted: their scores fit in the cache, or nearly."""
GROUP_BY_USER, GROUP_BY_ITEM = 32, 8
"""Neighbouring items whose best one `rank` looks at first, where a user's scores lie side by side in memory and where
an item's do: a maximum along the memory needs a few registers' worth."""
KEYS_PER_ROW = 1 << 32
"""More than there are groups of items."""


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
    values, items = _largest(scores, k)
    return values, items.masked_fill(values == -torch.inf, NO_ITEM)


def _largest(scores: Scores, k: int) -> tuple[ListScores, RankedItems]:
    """`top_k`, but places of score -inf hold some item of that score."""
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
    return values, items.gather(1, by_value)


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
        block_size: most users whose scores may be held at once, rounded up to a multiple of `TILE`. It bounds the
            memory, about block_size * n_items scores, and has no influence on the result. At present a tile is
            ranked before the next is scored, so one tile is all that is held.
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
    n_items = -1
    with torch.inference_mode(), progress_bar(enabled=show_progress) as bar:
        task = bar.add_task("ranking", total=len(users), note="")
        for start in range(0, len(users), TILE):
            tile = users[start : start + TILE]
            scores = scorer.scores(tile)
            n_items = scores.shape[-1] if start == 0 else n_items
            if scores.shape != (len(tile), n_items):
                raise ValueError(
                    f"scores of {len(tile)} users must be {len(tile)} x {n_items}, got {tuple(scores.shape)}"
                )
            hidden = None if history is None else history.cells(tile, n_items).to(scores.device)
            values, items = _best_without(hidden, scores, k)
            ranked[start : start + TILE] = items.masked_fill(values == -torch.inf, NO_ITEM)
            bar.advance(task, len(tile))
    return ranked


@dataclass(frozen=True)
class _Hidden:
    """Cells of a tile of scores that may not be ranked, ascending by row, then by item."""

    rows: Cells
    items: Cells

    def to(self, device: torch.device) -> _Hidden:
        return _Hidden(self.rows.to(device), self.items.to(device))

    def keys(self, size: int) -> Cells:
        """A number for the group of ``size`` neighbouring items that each cell is in, ascending."""
        return self.rows * KEYS_PER_ROW + self.items // size

    def written_over(self, scores: Scores) -> Scores:
        """A copy with -inf in the cells."""
        return scores.index_put((self.rows, self.items), scores.new_tensor(-torch.inf))

    def write_over_groups(self, members: GroupMembers, keys: GroupKeys) -> None:
        """Write -inf into those members of the groups with these keys, ascending, that are among the cells."""
        if not len(keys):
            return
        size = members.shape[1]
        own_keys = self.keys(size)
        places = torch.searchsorted(keys, own_keys).clamp_(max=len(keys) - 1)
        present = keys[places] == own_keys
        members[places[present], self.items[present] % size] = -torch.inf


class _History:
    """The seen items of every user, one after the other."""

    def __init__(self, seen: Interactions) -> None:
        self.n_users, self.n_items = seen.n_users, seen.n_items
        self.items = torch.tensor(seen.items)
        self.lengths = torch.tensor(seen.user_degrees)
        self.starts = self.lengths.cumsum(0) - self.lengths

    def cells(self, users: UserIndices, n_items: int) -> _Hidden:
        """What the users have seen, on the CPU; row q belongs to users[q]."""
        if n_items != self.n_items:
            raise ValueError(f"`seen` has {self.n_items} items, but {n_items} were scored: use the same catalogue")
        users = users.cpu()
        if users.min() < 0 or users.max() >= self.n_users:
            bad = int(users[(users < 0) | (users >= self.n_users)][0])
            raise ValueError(f"user indices must be in [0, {self.n_users}), the users of `seen`, got {bad}")
        lengths = self.lengths[users]
        rows = torch.repeat_interleave(lengths)
        first_of_row = lengths.cumsum(0) - lengths
        offsets = torch.arange(len(rows)) + (self.starts[users] - first_of_row)[rows]
        return _Hidden(rows, self.items[offsets])


def _best_without(hidden: _Hidden | None, scores: Scores, k: int) -> tuple[ListScores, RankedItems]:
    """What `_largest` finds beside the hidden cells, looking through a few groups of neighbouring items only.

    The k best items lie in the k groups whose best items are best, equal ones by the lower group: were x an item of
    another group, each of the k groups would hold an item that is before x, by score or, at equal scores, by index.
    The groups are found in the same way, as the best of the matrix of their best scores.
    """
    size = GROUP_BY_ITEM if _is_stored_by_item(scores) else GROUP_BY_USER
    n_items = scores.shape[1]
    if 2 * k * size > n_items:
        return _largest(scores if hidden is None else hidden.written_over(scores), k)
    maxima = _group_maxima(scores, size)
    if hidden is not None:
        _lower_to_visible(maxima, scores, hidden, size)
    chosen = _best_without(None, maxima, k)[1].sort(dim=1).values
    items = (chosen[:, :, None] * size + torch.arange(size, device=chosen.device)).flatten(1)
    members = scores.gather(1, items.clamp(max=n_items - 1)).masked_fill_(items >= n_items, -torch.inf)
    if hidden is not None:
        rows = torch.arange(len(chosen), device=chosen.device)[:, None]
        hidden.write_over_groups(members.view(-1, size), (rows * KEYS_PER_ROW + chosen).flatten())
    values, places = _largest(members, k)
    return values, items.gather(1, places)


def _group_maxima(scores: Scores, size: int) -> GroupMaxima:
    """The largest score among each ``size`` neighbouring items; the last group may be smaller."""
    n_rows, n_items = scores.shape
    n_whole, rest = divmod(n_items, size)
    # Kept group by group, the layout that is quickest to reduce once more.
    by_group = scores.new_empty(n_whole + (rest > 0), n_rows)
    whole = scores[:, : n_whole * size]
    if _is_stored_by_item(scores):
        torch.amax(whole.T.reshape(n_whole, size, n_rows), dim=1, out=by_group[:n_whole])
    else:
        by_group[:n_whole] = whole.reshape(n_rows, n_whole, size).amax(dim=2).T
    if rest:
        by_group[n_whole] = scores[:, n_whole * size :].amax(dim=1)
    return by_group.T


def _lower_to_visible(maxima: GroupMaxima, scores: Scores, hidden: _Hidden, size: int) -> None:
    """Correct the maxima that hidden cells have set. Such a cell is not below the maximum; nor is NaN."""
    groups = hidden.items // size
    below = scores[hidden.rows, hidden.items] < maxima[hidden.rows, groups]
    keys = torch.unique_consecutive(hidden.keys(size)[~below])
    rows, groups = keys // KEYS_PER_ROW, keys % KEYS_PER_ROW
    items = groups[:, None] * size + torch.arange(size, device=keys.device)
    n_items = scores.shape[1]
    members = scores[rows[:, None], items.clamp(max=n_items - 1)].masked_fill_(items >= n_items, -torch.inf)
    hidden.write_over_groups(members, keys)
    maxima[rows, groups] = members.amax(dim=1)


def _is_stored_by_item(scores: Scores) -> bool:
    return scores.stride(0) < scores.stride(1)
