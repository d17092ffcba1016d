"""All-ranking evaluation: a scorer and the withheld pairs become metric values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ltocf.data.display import Shown
from ltocf.data.histories import Histories
from ltocf.data.interactions import Interactions
from ltocf.evaluation.metrics import METRICS, Metric, coverage
from ltocf.evaluation.ranks import ALONE, Ranks
from ltocf.evaluation.top_k import Lister, Scorer, rank
from ltocf.shapes import Hits, PerUser, RankedItems, UserIndices


@dataclass(frozen=True, eq=False, repr=False)
class PerUserMetrics(Shown):
    """One value per evaluated user: what a significance test between two models needs.

    Args:
        users: the evaluated users, those with at least one relevant item, ascending, (queries,).
        ranked: their lists, as long as the largest k, (queries, k); -1 where no item was left.
        values: "recall@20", ... to float64 values in the order of ``users``, (queries,).
    """

    users: UserIndices
    ranked: RankedItems
    values: dict[str, PerUser]

    def facts(self) -> dict[str, object]:
        means = {name: round(float(values.mean()), 4) for name, values in self.values.items()}
        return {"n_users": len(self.users), **means}

    @property
    def depths(self) -> list[int]:
        """Every k that was measured, ascending."""
        return sorted({Metric.parse(name).depth for name in self.values})

    def means(self, n_items: int) -> dict[str, float]:
        """Every metric averaged over users, and the coverage of ``n_items`` at every k."""
        averages = {name: float(values.mean()) for name, values in self.values.items()}
        return averages | {f"coverage@{k}": coverage(self.ranked[:, :k], n_items) for k in self.depths}


def evaluate(
    scorer: Scorer | Lister,
    truth: Interactions,
    *,
    seen: Interactions | Histories | None,
    ks: Sequence[int] = (20,),
    block_size: int = 1024,
    show_progress: bool = False,
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """Every metric of `METRICS`, and the coverage, at every k: ranked over all items, averaged over users.

        metric@k = (1 / |U|) Σ_{u in U} metric(top k of u without seen[u], truth[u]),   U = users with a pair in truth

    Args:
        scorer: the model, known only by its scores, or something that has lists of its own.
        truth: the relevant pairs. One that is also in ``seen`` cannot be ranked and counts as missed.
        seen: pairs left out of the lists, usually training (and validation), or None. `Histories`, built once, save
            going through all pairs at each call.
        ks: lengths of the lists, each in [1, n_items]; one ranking serves all.
        block_size: users whose scores are held at once; bounds the memory, does not change the result.
        show_progress: draw a bar on a terminal.
        ranks: processes, each of which ranks its share of the users; all get the result.

    Returns:
        {"recall@20": ..., "ndcg@20": ..., ..., "coverage@20": ...}, all in [0, 1].

    Raises:
        ValueError: nothing to evaluate (no pair in truth, no k), sizes of truth and seen differ, k out of range.

    Source: the all-ranking protocol of He et al. 2020 (LightGCN), Section 4.1, https://arxiv.org/abs/2002.02126.
    Their program breaks ties arbitrarily; here they go to the lower item index, see `top_k`.

    Example:
        >>> from ltocf.models import Popularity
        >>> train = Interactions.from_pairs([0, 0, 1, 2], [0, 1, 1, 2], 3, 4)
        >>> test = Interactions.from_pairs([0, 1, 1], [2, 2, 3], 3, 4)
        >>> measured = evaluate(Popularity(train), test, seen=train, ks=(2,))
        >>> measured["recall@2"], measured["precision@2"], measured["coverage@2"]
        (0.75, 0.5, 0.75)
    """
    measured = evaluate_per_user(
        scorer, truth, seen=seen, ks=ks, block_size=block_size, show_progress=show_progress, ranks=ranks
    )
    return measured.means(truth.n_items)


def evaluate_per_user(
    scorer: Scorer | Lister,
    truth: Interactions,
    *,
    seen: Interactions | Histories | None,
    ks: Sequence[int] = (20,),
    block_size: int = 1024,
    show_progress: bool = False,
    ranks: Ranks = ALONE,
) -> PerUserMetrics:
    """What `evaluate` averages: the lists and the metric values of each user with a pair in truth.

    Arguments and errors are those of `evaluate`.

    Example:
        >>> from ltocf.models import Popularity
        >>> log = Interactions.from_pairs([0, 2], [1, 0], 3, 2)
        >>> measured = evaluate_per_user(Popularity(log), log, seen=None, ks=(1,))
        >>> measured.users.tolist(), measured.ranked.tolist(), measured.values["recall@1"].tolist()
        ([0, 2], [[0], [0]], [0.0, 1.0])
    """
    _check(truth, seen, ks)
    n_relevant = torch.tensor(truth.user_degrees)
    users = n_relevant.nonzero().squeeze(1)

    def lists_of(part: UserIndices) -> RankedItems:
        if isinstance(scorer, Lister):
            return scorer.lists(part, max(ks))
        return rank(scorer, part, max(ks), seen=seen, block_size=block_size, show_progress=show_progress).items

    ranked = ranks.shared(users, lists_of)
    hits = find_hits(users, ranked, truth)
    values = {
        str(Metric(name, k)): function(hits[:, :k], n_relevant[users]) for k in ks for name, function in METRICS.items()
    }
    return PerUserMetrics(users, ranked, values)


def find_hits(users: UserIndices, ranked: RankedItems, truth: Interactions) -> Hits:
    """Whether the item at each place of each user's list is one of the user's pairs in ``truth``.

        hit[q, r] = (users[q], ranked[q, r]) in truth,   False where ranked[q, r] = -1

    Example:
        >>> truth = Interactions.from_pairs([0, 1], [2, 0], 2, 3)
        >>> find_hits(torch.tensor([0, 1]), torch.tensor([[1, 2], [2, -1]]), truth).tolist()
        [[False, True], [False, False]]
    """
    keys = (users[:, None] * truth.n_items + ranked).numpy()
    relevant = truth.keys
    places = np.searchsorted(relevant, keys).clip(max=len(relevant) - 1)
    # user * n_items - 1 is the key of the previous user's last item.
    return torch.from_numpy(relevant[places] == keys) & (ranked >= 0)


def _check(truth: Interactions, seen: Interactions | Histories | None, ks: Sequence[int]) -> None:
    if not len(truth):
        raise ValueError("`truth` must have at least one pair, got none; is the test set of the split empty?")
    if seen is not None:
        n_users = len(seen) if isinstance(seen, Histories) else seen.n_users
        if (n_users, seen.n_items) != (truth.n_users, truth.n_items):
            raise ValueError(
                f"`truth` and `seen` must have the same users and items, got {truth.n_users} x {truth.n_items} and "
                f"{n_users} x {seen.n_items}; build both with the same n_users and n_items"
            )
    if not ks:
        raise ValueError("`ks` must have at least one length, got none; use ks=(20,)")
    for k in ks:
        if not 1 <= k <= truth.n_items:
            raise ValueError(
                f"every k of `ks` must be in [1, {truth.n_items}], got {k}; no list is longer than the catalogue"
            )
