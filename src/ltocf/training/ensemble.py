"""The weights of several scorers in their sum, chosen on the validation set."""

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

BEST = 3
"""The number of scorers that the sum begins with."""
ROUNDS = 20
"""All are done: a scorer that helps with a twentieth of the weight gains nothing in the first rounds."""
CHOSEN_BY = "ndcg"
"""NDCG is less noisy than recall: on test sets made of training pairs, weights chosen by it were 0.5 to 5 % better."""
POOL = 5
"""The number of candidates from each scorer, its best items, in multiples of the length of the evaluated lists."""
USERS_AT_A_TIME = 256
SAME = 1e-14
"""Of the mean square: scores of a smaller variance do not differ in single precision."""


class Weighing(NamedTuple):
    """The result of `choose_weights`.

    Args:
        weights: the weight of each scorer; they sum to 1, and a scorer that does not help has 0.
        metric: the metric that they were chosen by.
        value: this metric of the weighted sum on the validation set.
        alone: this metric of each scorer by itself.
    """

    weights: tuple[float, ...]
    metric: str
    value: float
    alone: tuple[float, ...]


class _Pool(NamedTuple):
    """Of the users with a relevant candidate: each scorer's standardised scores, and which candidates are relevant.

    All others have a metric of 0 whatever the weights are; they only count in ``n_users``.
    """

    scores: PoolScores
    relevant: Hits
    n_relevant: RelevantCounts
    n_users: int
    metric: Metric

    def value(self, summed: CandidateScores) -> float:
        """The metric of the lists that these scores of the candidates give."""
        places = summed.topk(min(self.metric.depth, summed.shape[1]), dim=1).indices
        return METRICS[self.metric.name](self.relevant.gather(1, places), self.n_relevant).sum().item() / self.n_users


class _Sum(NamedTuple):
    """The places of the summed scorers, one as often as it was added, and the metric of this sum."""

    summands: list[int]
    value: float


def spreads(scores: Scores) -> Spreads:
    """The standard deviation of each user's finite scores over the catalogue; 1 where they do not differ.

    Example:
        >>> spreads(torch.tensor([[1.0, 3.0, -torch.inf], [2.0, 2.0, 2.0]])).tolist()
        [[1.0], [1.0]]
    """
    # In double precision, so that a result of single precision does not depend on the order of summation.
    counts: Tensor | int = scores.shape[1]
    sums = scores.sum(1, keepdim=True, dtype=torch.float64)
    if not sums.isfinite().all():
        finite = scores.isfinite()
        counts, scores = finite.sum(1, keepdim=True).clamp(min=1), scores.where(finite, 0)
        sums = scores.sum(1, keepdim=True, dtype=torch.float64)
    mean_squares = torch.linalg.vector_norm(scores, dim=1, keepdim=True, dtype=torch.float64).square() / counts
    variances = mean_squares - (sums / counts).square()
    deviations: Spreads = variances.sqrt().where(variances > SAME * mean_squares, 1).to(scores)
    return deviations


def choose_weights(scorers: Sequence[Scorer], validation: Validation) -> Weighing:
    """Weights of a sum of standardised scores, by greedy selection with replacement.

        score(u, i) = Σ_m w_m s_m(u, i) / sd_m(u),   sd_m(u) the standard deviation of s_m(u, ·) over the catalogue

    The sum begins with the best three. Each round adds the scorer that makes NDCG on the validation set the highest,
    also one that was added before, up to 20 summands. The best of these sums is kept, unless the best scorer alone is
    as good. So a scorer that only adds noise counts little, and several moderate scorers are preferred to a lucky one.

    Then the selection is made again without each member of the sum in turn. The best of these sums replaces the first
    if it is better, and so on. Otherwise a good scorer that begins the sum would stay beside better ones like it.

    Args:
        scorers: the scorers, at least one.
        validation: the users that are ranked, and the depth of NDCG.

    Raises:
        ValueError: no scorer.

    Source: Caruana et al., ICML 2004, sections 2.1 and 2.2, https://doi.org/10.1145/1015330.1015432. Differs: scores
    are divided by their deviation, since those of different models have no common unit. Only the best items of each
    scorer are candidates. There, nothing is removed.

    Example:
        >>> from ltocf.data import Interactions
        >>> from ltocf.models import EmbeddingScorer
        >>> truth = Interactions.from_pairs([0, 1], [0, 1], n_items=3)
        >>> right = EmbeddingScorer(torch.eye(2, 3), torch.eye(3))
        >>> wrong = EmbeddingScorer(-torch.eye(2, 3), torch.eye(3))
        >>> choose_weights([wrong, right], Validation(truth, truth.where(truth.users > 1), depth=1))
        Weighing(weights=(0.0, 1.0), metric='ndcg@1', value=1.0, alone=(0.0, 1.0))
    """
    if not scorers:
        raise ValueError("`scorers` must have at least one, got none")
    pool = _pool(scorers, validation)
    alone = tuple(pool.value(scores) for scores in pool.scores)
    best = _select(pool, alone, set(range(len(scorers))))
    while len(members := set(best.summands)) > 1:
        sums = [_select(pool, alone, members - {each}) for each in sorted(members)]
        without = max(sums, key=lambda each: each.value)
        if without.value <= best.value:
            break
        best = without
    weights = tuple(best.summands.count(place) / len(best.summands) for place in range(len(scorers)))
    return Weighing(weights, str(pool.metric), best.value, alone)


def _select(pool: _Pool, alone: Sequence[float], members: set[int]) -> _Sum:
    """The best sum of scorers that one begins with, or adds, in a greedy selection among ``members``."""
    chosen = sorted(members, key=lambda place: (-alone[place], place))[:BEST]
    best = _Sum(chosen[:1], alone[chosen[0]])
    summed = pool.scores[chosen].sum(0)
    reached = pool.value(summed)
    while True:
        if reached > best.value:
            best = _Sum(list(chosen), reached)
        if len(chosen) >= ROUNDS:
            return best
        tried = {place: pool.value(summed + pool.scores[place]) for place in sorted(members)}
        added = max(tried, key=tried.__getitem__)
        chosen.append(added)
        summed += pool.scores[added]
        reached = tried[added]


def _pool(scorers: Sequence[Scorer], validation: Validation) -> _Pool:
    truth, n_relevant = validation.truth, torch.tensor(validation.truth.user_degrees)
    users, seen = n_relevant.nonzero().squeeze(1), Histories.of(validation.seen)
    depth = min(POOL * validation.depth, truth.n_items)
    blocks = [_candidates(scorers, block, seen, depth) for block in torch.split(users, USERS_AT_A_TIME)]
    items, scores = torch.cat([items for items, _ in blocks]), torch.cat([scores for _, scores in blocks], dim=1)
    relevant, n_relevant = find_hits(users, items, truth), n_relevant[users]
    found = relevant.any(1)
    metric = Metric(CHOSEN_BY, validation.depth)
    return _Pool(scores[:, found], relevant[found], n_relevant[found], len(users), metric)


@torch.no_grad()
def _candidates(
    scorers: Sequence[Scorer], users: UserIndices, seen: Histories, depth: int
) -> tuple[RankedItems, PoolScores]:
    """The ``depth`` best unseen items of each scorer, each item once, and the standardised scores of all.

    What does not count, a repeated or unavailable item, is -1 and has a score of minus infinity.
    """
    histories = seen.rows(users)
    rows = torch.repeat_interleave(histories.lengths)
    standardised = []
    for scorer in scorers:
        scores = scorer.scores(users).cpu()
        scores = scores / spreads(scores)
        scores[rows, histories.items.long()] = -torch.inf
        standardised.append(scores)
    items = torch.cat([scores.topk(depth, dim=1).indices for scores in standardised], dim=1).sort(dim=1).values
    gathered = torch.stack([scores.gather(1, items) for scores in standardised])
    repeated = torch.nn.functional.pad(items[:, 1:] == items[:, :-1], (1, 0))
    excluded = repeated | gathered.isinf().any(0)
    return items.masked_fill(excluded, NO_ITEM), gathered.masked_fill(excluded, -torch.inf)
