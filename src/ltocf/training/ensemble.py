"""How much each of several scorers counts in their sum, chosen on the validation set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from ltocf.data.histories import Histories
from ltocf.evaluation import METRICS, Metric, Validation
from ltocf.evaluation.evaluate import find_hits
from ltocf.evaluation.top_k import NO_ITEM, Scorer
from ltocf.shapes import Hits, RankedItems, RelevantCounts, Scores, UserIndices

PoolScores: TypeAlias = Float[Tensor, "scorers queries candidates"]
CandidateScores: TypeAlias = Float[Tensor, "queries candidates"]
Spreads: TypeAlias = Float[Tensor, "queries 1"]

ROUNDS = 20
"""A scorer that helps with a twentieth of the weight gains nothing in the first rounds: all of them are played."""
POOL = 5
"""Times the length of the lists that are judged: so many of the best items of each scorer are candidates."""
USERS_AT_A_TIME = 256


class Weighing(NamedTuple):
    """What `choose_weights` found.

    Args:
        weights: of each scorer, they sum to 1; 0 for one that does not help.
        value: the metric of the weighted sum on the validation set.
        alone: the metric of each scorer by itself.
    """

    weights: tuple[float, ...]
    value: float
    alone: tuple[float, ...]


class _Pool(NamedTuple):
    """The candidates of every user, -1 for none, each scorer's standardised scores, and which are relevant."""

    items: RankedItems
    scores: PoolScores
    relevant: Hits
    n_relevant: RelevantCounts

    def value(self, summed: CandidateScores, metric: Metric) -> float:
        """The metric of lists by these scores of the candidates."""
        summed = summed.masked_fill(self.items == NO_ITEM, -torch.inf)
        places = summed.topk(min(metric.depth, summed.shape[1]), dim=1).indices
        return METRICS[metric.name](self.relevant.gather(1, places), self.n_relevant).mean().item()


def spreads(scores: Scores) -> Spreads:
    """The standard deviation of each user's finite scores over the catalogue; 1 where they do not differ.

    Example:
        >>> spreads(torch.tensor([[1.0, 3.0, -torch.inf], [2.0, 2.0, 2.0]])).tolist()
        [[1.0], [1.0]]
    """
    finite = scores.isfinite()
    counts = finite.sum(1, keepdim=True).clamp(min=1)
    means = scores.where(finite, 0).sum(1, keepdim=True) / counts
    deviations = ((scores - means).where(finite, 0).square().sum(1, keepdim=True) / counts).sqrt()
    return deviations.where(deviations > 0, 1)


def choose_weights(scorers: Sequence[Scorer], validation: Validation, select_by: str = "recall@20") -> Weighing:
    """Weights of a sum of standardised scores, by greedy selection with replacement.

        score(u, i) = Σ_m w_m s_m(u, i) / sd_m(u),   sd_m(u) the standard deviation of s_m(u, ·) over the catalogue

    In each of 20 rounds the scorer is added once more whose addition ranks the validation set best; the best sum of all
    rounds is kept. Weights are multiples of 1 / rounds, so a scorer that adds nothing but noise has none.

    Args:
        scorers: at least one.
        validation: asks its users; its depth is that of ``select_by``.
        select_by: the metric that is to be highest.

    Raises:
        ValueError: no scorer.

    Source: Caruana et al., ICML 2004, sections 2 and 2.1, https://doi.org/10.1145/1015330.1015432. Differs: scores
    are divided by their deviation, since those of different models have no common unit. Only the best items of each
    scorer are candidates.

    Example:
        >>> from ltocf.data import Interactions
        >>> from ltocf.models import EmbeddingScorer
        >>> truth = Interactions.from_pairs([0, 1], [0, 1], n_items=3)
        >>> right = EmbeddingScorer(torch.eye(2, 3), torch.eye(3))
        >>> wrong = EmbeddingScorer(-torch.eye(2, 3), torch.eye(3))
        >>> found = choose_weights([wrong, right], Validation(truth, truth.where(truth.users > 1), depth=1), "recall@1")
        >>> found.weights, found.value
        ((0.0, 1.0), 1.0)
    """
    if not scorers:
        raise ValueError("`scorers` must have at least one, got none")
    metric, pool = Metric.parse(select_by), _pool(scorers, validation)
    alone = tuple(pool.value(scores, metric) for scores in pool.scores)
    chosen: list[int] = []
    best, value, summed = 0, -1.0, torch.zeros_like(pool.scores[0])
    for _ in range(ROUNDS):
        tried = [pool.value(summed + scores, metric) for scores in pool.scores] if chosen else list(alone)
        added = max(range(len(scorers)), key=tried.__getitem__)
        chosen.append(added)
        summed += pool.scores[added]
        if tried[added] > value:
            best, value = len(chosen), tried[added]
    return Weighing(tuple(chosen[:best].count(place) / best for place in range(len(scorers))), value, alone)


def _pool(scorers: Sequence[Scorer], validation: Validation) -> _Pool:
    truth, n_relevant = validation.truth, torch.tensor(validation.truth.user_degrees)
    users, seen = n_relevant.nonzero().squeeze(1), Histories.of(validation.seen)
    depth = min(POOL * validation.depth, truth.n_items)
    blocks = [_candidates(scorers, some, seen, depth) for some in torch.split(users, USERS_AT_A_TIME)]
    items, scores = torch.cat([items for items, _ in blocks]), torch.cat([scores for _, scores in blocks], dim=1)
    return _Pool(items, scores, find_hits(users, items, truth), n_relevant[users])


@torch.no_grad()
def _candidates(
    scorers: Sequence[Scorer], users: UserIndices, seen: Histories, depth: int
) -> tuple[RankedItems, PoolScores]:
    """The ``depth`` best unseen items of each scorer, each item once, and the standardised scores of all."""
    histories = seen.rows(users)
    rows = torch.repeat_interleave(histories.lengths)
    standardised = []
    for scorer in scorers:
        scores = scorer.scores(users).cpu()
        scores = scores / spreads(scores)
        scores[rows, histories.items.long()] = -torch.inf
        standardised.append(scores)
    items = torch.cat([scores.topk(depth, dim=1).indices for scores in standardised], dim=1).sort(dim=1).values
    taken = torch.stack([scores.gather(1, items) for scores in standardised])
    again = torch.nn.functional.pad(items[:, 1:] == items[:, :-1], (1, 0)) | taken.isinf().any(0)
    return items.masked_fill(again, NO_ITEM), taken.masked_fill(again, 0)
