"""Beyond accuracy: how much of the catalogue is listed, how evenly, how far from the well-known.

The popularity of an item is n_i, the number of training users who have it. Lists are ``ranked``: (queries, k), the best
item first, -1 where no item was left. A user with an empty list has the value NaN, and means are taken over the others.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from ltocf.data.display import Shown
from ltocf.data.interactions import Interactions
from ltocf.data.statistics import gini
from ltocf.evaluation.evaluate import PerUserMetrics
from ltocf.evaluation.groups import ItemGroup, UserGroup, by_activity, by_popularity
from ltocf.shapes import ItemCounts, ItemValues, PerUser, RankedItems, UserIndices

BEYOND = ("gini", "novelty", "mean_popularity", "popularity_lift")
"""What `beyond_accuracy` measures at every depth."""


@dataclass(frozen=True, eq=False, repr=False)
class BeyondAccuracy(Shown):
    """What recall does not tell about a set of lists.

    Args:
        values: "gini@20", "novelty@20", "mean_popularity@20", "popularity_lift@20", ... at every depth.
        by_activity: accuracy of users by the length of their history, the shortest first.
        by_popularity: accuracy by the popularity of the items, the most popular first.
    """

    values: dict[str, float]
    by_activity: list[UserGroup]
    by_popularity: list[ItemGroup]

    def facts(self) -> dict[str, object]:
        rounded: dict[str, object] = {name: round(value, 4) for name, value in self.values.items()}
        return rounded | {"user_groups": len(self.by_activity), "item_groups": len(self.by_popularity)}

    def as_dict(self) -> dict[str, Any]:
        """The values by name, and both groupings as lists of dicts, under ``by_activity`` and ``by_popularity``."""
        users, items = map(asdict, self.by_activity), map(asdict, self.by_popularity)
        return self.values | {"by_activity": list(map(_flat, users)), "by_popularity": list(map(_flat, items))}


def beyond_accuracy(measured: PerUserMetrics, train: Interactions, truth: Interactions) -> BeyondAccuracy:
    """Everything in `BEYOND` at every depth of ``measured``, and accuracy by user activity and item popularity.

    Args:
        measured: lists and metric values of `evaluate_per_user`.
        train: the pairs that the model was trained on: histories and popularity.
        truth: the relevant pairs that were measured.

    Raises:
        ValueError: no training pair, or sizes that differ.

    Example:
        >>> from ltocf.evaluation import evaluate_per_user
        >>> from ltocf.models import Popularity
        >>> train = Interactions.from_pairs([0, 0, 1, 2], [0, 1, 1, 2], 3, 4)
        >>> truth = Interactions.from_pairs([0, 1], [2, 3], 3, 4)
        >>> measured = evaluate_per_user(Popularity(train), truth, seen=train, ks=(1,))
        >>> beyond = beyond_accuracy(measured, train, truth)
        >>> measured.ranked.tolist(), beyond.values["gini@1"], round(beyond.values["novelty@1"], 3)
        ([[2], [0]], 0.5, 1.585)
    """
    if not len(train):
        raise ValueError("`train` must have at least one pair, got none: without histories no item is popular")
    if (train.n_users, train.n_items) != (truth.n_users, truth.n_items):
        raise ValueError(
            f"`train` and `truth` must have the same users and items, got {train.n_users} x {train.n_items} and "
            f"{truth.n_users} x {truth.n_items}; build both with the same n_users and n_items"
        )
    n_touched, n_users = torch.tensor(train.item_degrees), int((train.user_degrees > 0).sum())
    values: dict[str, float] = {}
    for k in measured.depths:
        ranked = measured.ranked[:, :k]
        popularity = mean_popularity(ranked, n_touched)
        values |= {
            f"gini@{k}": gini(exposure(ranked, train.n_items).numpy()),
            f"novelty@{k}": float(novelty(ranked, n_touched, n_users).nanmean()),
            f"mean_popularity@{k}": float(popularity.nanmean()),
            f"popularity_lift@{k}": popularity_lift(popularity, history_popularity(measured.users, train)),
        }
    return BeyondAccuracy(values, by_activity(measured, train), by_popularity(measured, train, truth))


def exposure(ranked: RankedItems, n_items: int) -> ItemCounts:
    """How many lists each item is in; `gini` of it says how unevenly the catalogue is shown.

    Source of the Gini index of recommended items: Fleder and Hosanagar 2009, Section 4,
    https://doi.org/10.1287/mnsc.1080.0974

    Example:
        >>> exposure(torch.tensor([[0, 2], [2, -1]]), 4).tolist()
        [1, 0, 2, 0]
        >>> gini(exposure(torch.tensor([[0, 2], [2, -1]]), 4).numpy())
        0.5833333333333334
    """
    return torch.bincount(ranked[ranked >= 0], minlength=n_items)


def novelty(ranked: RankedItems, n_touched: ItemCounts, n_users: int) -> PerUser:
    """Mean self-information of the items of each list, in bits: how surprising it is that a user has such an item.

        novelty_u = (1 / |L_u|) Σ_{i in L_u} -log2(n_i / n_users)

    An item without users would be infinitely novel; it counts as if it had one.

    Args:
        ranked: the lists.
        n_touched: n_i, how many training users have each item, (items,).
        n_users: number of users with a training pair.

    Source: Zhou et al. 2010, "surprisal", https://doi.org/10.1073/pnas.1000488107; Vargas and Castells 2011 discuss
    related measures, https://doi.org/10.1145/2043932.2043955

    Example:
        >>> novelty(torch.tensor([[0, 1], [2, -1]]), torch.tensor([4, 2, 1]), n_users=4).tolist()
        [0.5, 2.0]
    """
    return _mean_of_lists(ranked, torch.log2(n_users / n_touched.clamp(min=1).double()))


def mean_popularity(ranked: RankedItems, n_touched: ItemCounts) -> PerUser:
    """Mean popularity of the items of each list; its mean over users is the average recommendation popularity (ARP).

        p_u = (1 / |L_u|) Σ_{i in L_u} n_i

    Source: Yin et al. 2012, https://doi.org/10.14778/2311906.2311916, as used by Abdollahpouri et al. 2019,
    https://arxiv.org/abs/1901.07555

    Example:
        >>> mean_popularity(torch.tensor([[0, 1], [2, -1]]), torch.tensor([4, 2, 1])).tolist()
        [3.0, 1.0]
    """
    return _mean_of_lists(ranked, n_touched.double())


def history_popularity(users: UserIndices, train: Interactions) -> PerUser:
    """Mean popularity of the items in each user's history, NaN for a user without one.

        h_u = (1 / |H_u|) Σ_{i in H_u} n_i

    Example:
        >>> train = Interactions.from_pairs([0, 0, 1], [0, 1, 1], n_users=3)
        >>> history_popularity(torch.tensor([0, 1, 2]), train).tolist()
        [1.5, 2.0, nan]
    """
    popularity = train.item_degrees[train.items]
    sums = np.bincount(train.users, weights=popularity, minlength=train.n_users)
    return (torch.from_numpy(sums) / torch.tensor(train.user_degrees))[users]


def popularity_lift(listed: PerUser, owned: PerUser) -> float:
    """How much more popular the lists are than the histories of the same users: 0 for a model that adds no bias.

        lift = mean_u p_u / mean_u h_u - 1

    Users with an empty list or history are in neither mean; NaN if nobody is left.

    Args:
        listed: p_u of `mean_popularity`.
        owned: h_u of `history_popularity`.

    Source: Abdollahpouri et al. 2019, the difference of the group average popularity (ΔGAP) with all users as one
    group, https://arxiv.org/abs/1907.13286

    Example:
        >>> popularity_lift(torch.tensor([3.0, 6.0, 9.0]), torch.tensor([2.0, 4.0, torch.nan]))
        0.5
    """
    both = ~(listed.isnan() | owned.isnan())
    return float(listed[both].double().mean() / owned[both].double().mean()) - 1


def _mean_of_lists(ranked: RankedItems, values: ItemValues) -> PerUser:
    listed = ranked >= 0
    return (values[ranked.clamp(min=0)] * listed).sum(dim=1) / listed.sum(dim=1)


def _flat(group: dict[str, Any]) -> dict[str, Any]:
    values: dict[str, float] = group.pop("values")
    return group | values
