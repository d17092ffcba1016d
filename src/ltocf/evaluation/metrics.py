"""Hits become numbers: one pure function per metric, one value per user, and how much of the catalogue is shown.

Every metric of `METRICS` takes

- ``hits``: (queries, k), whether the item at each place of a user's list is relevant, the best place first;
- ``n_relevant``: (queries,), how many items are relevant to the user, in the list or not;

and returns float64 values in [0, 1], (queries,). Where nothing is relevant, recall, NDCG and MAP are NaN: a mean is
taken over users with at least one relevant item.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float64
from torch import Tensor

from ltocf.shapes import Hits, PerUser, RankedItems, RelevantCounts

MetricFunction: TypeAlias = Callable[[Hits, RelevantCounts], PerUser]
"""Which places of each list are hits, and how many pairs each user has to find -> a value for each user."""

Places: TypeAlias = Float64[Tensor, " k"]


def recall(hits: Hits, n_relevant: RelevantCounts) -> PerUser:
    """Share of the relevant items that are in the list.

        recall@k = hits / relevant

    The divisor is the number of relevant items even if it exceeds k (some libraries take the smaller of the two), as
    in trec_eval and in the LightGCN and LT-OCF papers.
    Source: trec_eval ``recall.k``, https://github.com/usnistgov/trec_eval/blob/main/m_recall.c

    Example:
        >>> recall(torch.tensor([[True, False, True]]), torch.tensor([4])).tolist()
        [0.5]
    """
    return hits.sum(dim=1).double() / n_relevant


def precision(hits: Hits, n_relevant: RelevantCounts) -> PerUser:
    """Share of the list that is relevant.

        precision@k = hits / k

    A list that ran out of items is still divided by k.
    Source: trec_eval ``P.k``, https://github.com/usnistgov/trec_eval/blob/main/m_P.c

    Example:
        >>> precision(torch.tensor([[True, False, True, False]]), torch.tensor([4])).tolist()
        [0.5]
    """
    return hits.sum(dim=1).double() / hits.shape[1]


def ndcg(hits: Hits, n_relevant: RelevantCounts) -> PerUser:
    """Discounted gain of the list, relative to the best list of that length.

        NDCG@k = Σ_{r=1..k} hit_r / log2(r + 1)  /  Σ_{r=1..min(k, relevant)} 1 / log2(r + 1)

    Source: Järvelin and Kekäläinen 2002, Section 2.2 and 2.3, https://doi.org/10.1145/582415.582418. They leave the
    first two places undiscounted (log2 r from r = 2); we discount by log2(r + 1), as trec_eval's ``ndcg_cut`` and the
    recommender literature do.

    Example:
        >>> ndcg(torch.tensor([[True, True, False], [False, False, True]]), torch.tensor([2, 1])).tolist()
        [1.0, 0.5]
    """
    discounts = 1 / torch.log2(_places(hits) + 1)
    # Summed place by place, like the ideal: a perfect list gives exactly 1 and none gives more.
    gain = (hits * discounts).cumsum(dim=1)[:, -1]
    ideal = torch.cat([discounts.new_zeros(1), discounts.cumsum(dim=0)])
    return gain / ideal[n_relevant.clamp(max=hits.shape[1])]


def mrr(hits: Hits, n_relevant: RelevantCounts) -> PerUser:
    """Reciprocal place of the first hit, 0 without one; its mean is the mean reciprocal rank.

        RR@k = 1 / min{r <= k : hit_r}

    Source: Voorhees 1999, the TREC-8 question answering track report, Section 3,
    https://trec.nist.gov/pubs/trec8/papers/qa_report.pdf

    Example:
        >>> mrr(torch.tensor([[False, True, True], [False, False, False]]), torch.tensor([3, 1])).tolist()
        [0.5, 0.0]
    """
    return (hits / _places(hits)).amax(dim=1)


def average_precision(hits: Hits, n_relevant: RelevantCounts) -> PerUser:
    """Precision at the place of each hit, summed and divided by the number of relevant items; its mean is MAP.

        AP@k = (1 / relevant) Σ_{r=1..k} hit_r * precision@r

    The divisor is the number of relevant items even if it exceeds k; torchmetrics divides by the hits in the list.
    Source: trec_eval ``map_cut.k``, https://github.com/usnistgov/trec_eval/blob/main/m_map_cut.c

    Example:
        >>> average_precision(torch.tensor([[True, False, False, True]]), torch.tensor([2])).tolist()
        [0.75]
    """
    precisions = hits.cumsum(dim=1) / _places(hits)
    return (hits * precisions).sum(dim=1) / n_relevant


def hit_rate(hits: Hits, n_relevant: RelevantCounts) -> PerUser:
    """Whether there is a hit in the list at all.

        hit_rate@k = 1 if hits > 0 else 0

    Source: trec_eval ``success.k``, https://github.com/usnistgov/trec_eval/blob/main/m_success.c

    Example:
        >>> hit_rate(torch.tensor([[False, True], [False, False]]), torch.tensor([2, 1])).tolist()
        [1.0, 0.0]
    """
    return hits.any(dim=1).double()


def coverage(ranked: RankedItems, n_items: int) -> float:
    """Share of the catalogue that is in at least one list; -1, a place without an item, is not counted.

        coverage@k = |union of all lists| / n_items

    Source: Herlocker et al. 2004, Section 4.2 ("catalog coverage"), https://doi.org/10.1145/963770.963772

    Example:
        >>> coverage(torch.tensor([[0, 2], [2, -1]]), 4)
        0.5
    """
    shown = torch.zeros(n_items, dtype=torch.bool, device=ranked.device)
    shown[ranked[ranked >= 0]] = True
    return int(shown.sum()) / n_items


def _places(hits: Hits) -> Places:
    return torch.arange(1, hits.shape[1] + 1, dtype=torch.float64, device=hits.device)


METRICS: dict[str, MetricFunction] = {
    "recall": recall,
    "precision": precision,
    "ndcg": ndcg,
    "mrr": mrr,
    "map": average_precision,
    "hit_rate": hit_rate,
}
"""What is measured for each user, by the name it has in results."""


@dataclass(frozen=True, order=True)
class Metric:
    """A metric at a depth, parsed from a name such as ``recall@20``.

    Args:
        name: a key of `METRICS`.
        depth: k, the length of the lists, >= 1.

    Raises:
        ValueError: an unknown name (the error lists the right ones), or a depth below 1.

    Example:
        >>> metric = Metric.parse("recall@20")
        >>> metric.name, metric.depth, str(metric)
        ('recall', 20, 'recall@20')
    """

    name: str
    depth: int

    def __post_init__(self) -> None:
        if self.name not in METRICS or self.depth < 1:
            raise ValueError(_rule(str(self)))

    @classmethod
    def parse(cls, text: str) -> Metric:
        """The metric written ``name@depth``.

        Raises:
            ValueError: the text is not of this form.
        """
        name, at, depth = text.partition("@")
        # isdigit() holds for superscripts as well, which int() does not read.
        if not (at and depth.isascii() and depth.isdigit()):
            raise ValueError(_rule(text))
        return cls(name, int(depth))

    def __str__(self) -> str:
        return f"{self.name}@{self.depth}"


def _rule(text: str) -> str:
    return f"a metric must be one of {', '.join(METRICS)} at a depth >= 1, like recall@20, got {text!r}"
