"""Accuracy in groups: of users by the length of their history, and of items by their popularity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ltocf.data.interactions import Interactions
from ltocf.evaluation.evaluate import PerUserMetrics, find_hits
from ltocf.evaluation.metrics import recall
from ltocf.shapes import ItemCounts

ITEM_GROUPS = ("head", "mid", "tail")
END_SHARE = 0.2
"""The head has about this share of the training pairs, and so has the tail."""


@dataclass(frozen=True)
class UserGroup:
    """Users with histories of about the same length, and the accuracy of their lists.

    Args:
        shortest, longest: number of training items of its users, both included.
        n_users: number of its users with a relevant item.
        values: "recall@20", "ndcg@20", ... averaged over them.
    """

    shortest: int
    longest: int
    n_users: int
    values: dict[str, float]

    @property
    def span(self) -> str:
        """The lengths of the histories, such as "5–20"."""
        return span_of(self.shortest, self.longest)


@dataclass(frozen=True)
class ItemGroup:
    """Items of about the same popularity, and how well they are found.

    Args:
        name: ``head``, ``mid`` or ``tail``.
        least, most: number of training users of its items, both included.
        n_items: number of its items.
        n_pairs: number of training pairs on them.
        values: "recall@20", ..., the recall of its items alone, NaN where no relevant pair has one; "share@20", ...,
            its share of all listed places.
    """

    name: str
    least: int
    most: int
    n_items: int
    n_pairs: int
    values: dict[str, float]

    @property
    def span(self) -> str:
        """The popularity of its items, such as "5–20"."""
        return span_of(self.least, self.most)


def by_activity(measured: PerUserMetrics, train: Interactions, n_groups: int = 4) -> list[UserGroup]:
    """Recall and NDCG of users with short and with long histories.

        group g = {u : q_{g-1} < |H_u| <= q_g},   q_g the smallest length that g / n_groups of the users do not exceed

    Users with histories of equal length are never separated, so groups differ in size, and there are fewer of them if
    there are few lengths.

    Args:
        measured: lists and metric values of `evaluate_per_user`.
        train: the histories H.
        n_groups: maximum number of groups, >= 1; 4 for quarters.

    Source: Wang et al. 2019 (NGCF), Section 4.3.2, who group users by sparsity, https://arxiv.org/abs/1905.08108. Their
    groups have the same number of interactions, ours the same number of users.

    Example:
        >>> train = Interactions.from_pairs([0, 1, 1, 2, 2, 2], [0, 0, 1, 0, 1, 2])
        >>> values = {"recall@1": torch.tensor([0.0, 0.5, 1.0]), "ndcg@1": torch.tensor([0.0, 1.0, 1.0])}
        >>> measured = PerUserMetrics(torch.tensor([0, 1, 2]), torch.tensor([[1], [2], [-1]]), values)
        >>> [(group.span, group.n_users, group.values["recall@1"]) for group in by_activity(measured, train, 2)]
        [('1–2', 2, 0.25), ('3', 1, 1.0)]
    """
    if n_groups < 1:
        raise ValueError(f"`n_groups` must be >= 1, got {n_groups}")
    lengths = train.user_degrees[measured.users.numpy()]
    bounds = np.unique(np.quantile(lengths, np.arange(1, n_groups) / n_groups, method="inverted_cdf"))
    places = np.searchsorted(bounds, lengths, side="left")
    names = [f"{name}@{k}" for k in measured.depths for name in ("recall", "ndcg")]
    groups = []
    for place in np.unique(places):
        inside = places == place
        values = {name: float(measured.values[name][torch.from_numpy(inside)].mean()) for name in names}
        groups.append(UserGroup(int(lengths[inside].min()), int(lengths[inside].max()), int(inside.sum()), values))
    return groups


def by_popularity(measured: PerUserMetrics, train: Interactions, truth: Interactions) -> list[ItemGroup]:
    """Recall of popular and of rare items, each as if only the items of its group were relevant.

        recall_g@k = mean over users with T_u ∩ g of |top k ∩ T_u ∩ g| / |T_u ∩ g|,   T_u the relevant items
        share_g@k  = places of all lists with an item of g / places with any item

    Groups: see `popularity_groups`. A group without an item is left out.

    Example:
        >>> train = Interactions.from_pairs([0, 1, 2, 0, 1, 2], [0, 0, 0, 1, 1, 2])
        >>> truth = Interactions.from_pairs([1, 2], [2, 1])
        >>> values = {"recall@1": torch.tensor([0.0, 1.0])}
        >>> measured = PerUserMetrics(torch.tensor([1, 2]), torch.tensor([[-1], [1]]), values)
        >>> [(group.name, group.span, group.values["recall@1"]) for group in by_popularity(measured, train, truth)]
        [('head', '3', nan), ('mid', '2', 1.0), ('tail', '1', 0.0)]
    """
    degrees = torch.tensor(train.item_degrees)
    group_of = popularity_groups(degrees)
    listed = torch.where(measured.ranked >= 0, group_of[measured.ranked.clamp(min=0)], -1)
    hits = find_hits(measured.users, measured.ranked, truth)
    groups = []
    for place, name in enumerate(ITEM_GROUPS):
        inside = group_of == place
        if not inside.any():
            continue
        pairs = truth.where(inside.numpy()[truth.items])
        n_relevant = torch.tensor(pairs.user_degrees)[measured.users]
        values = {}
        for k in measured.depths:
            in_group = listed[:, :k] == place
            values[f"recall@{k}"] = float(recall(hits[:, :k] & in_group, n_relevant).nanmean())
            values[f"share@{k}"] = int(in_group.sum()) / max(1, int((listed[:, :k] >= 0).sum()))
        counts = degrees[inside]
        groups.append(ItemGroup(name, int(counts.min()), int(counts.max()), len(counts), int(counts.sum()), values))
    return groups


def popularity_groups(n_touched: ItemCounts) -> ItemCounts:
    """The place in `ITEM_GROUPS` of each item.

        head: pairs on items more popular than i < 0.2 of all pairs
        tail: not head, and pairs on items not more popular than i <= 0.2 of all pairs;   mid: the others

    So the head is the smallest set of most popular items that has a fifth of the training pairs, the tail has a fifth
    at most, and items that are equally popular are in one group.

    Source: Abdollahpouri et al. 2021, who divide items at 20 % and 80 % of the ratings,
    https://arxiv.org/abs/2103.06364

    Example:
        >>> popularity_groups(torch.tensor([5, 5, 1, 9, 0])).tolist()
        [1, 1, 2, 0, 2]
    """
    popularity, place, n_items = np.unique(n_touched.numpy(), return_inverse=True, return_counts=True)
    pairs = np.cumsum(popularity * n_items)
    limit = END_SHARE * pairs[-1]
    groups = np.where(pairs[-1] - pairs < limit, 0, np.where(pairs <= limit, 2, 1))
    return torch.from_numpy(groups[place])


def span_of(least: int, most: int) -> str:
    """Two bounds as text.

    Example:
        >>> span_of(5, 20), span_of(5, 5)
        ('5–20', '5')
    """
    return str(least) if least == most else f"{least}–{most}"
