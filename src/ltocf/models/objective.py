"""The objective of a model of embeddings: what it is trained to do, and how its scores are formed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, TypedDict

import torch
from torch import Tensor

from ltocf.data.interactions import Interactions
from ltocf.evaluation.ranks import ALONE, Ranks
from ltocf.losses import (
    LOSSES,
    LOWEST_TEMPERATURE,
    LossName,
    binary_cross_entropy,
    bpr,
    sampled_softmax,
    user_temperatures,
)
from ltocf.models.ranking import CORE_START, RECENCY_START, STEPS, Ranking
from ltocf.models.recency import check_recency
from ltocf.sampling import Batches, PairwiseBatches, SharedNegativeBatches
from ltocf.shapes import (
    BatchEmbeddings,
    BatchIndices,
    BatchScores,
    NegativeCounts,
    NegativeEmbeddings,
    NegativeIndices,
    PerUser,
    Scalar,
)

RankingName = Literal["inner_product", "cosine"]
RANKINGS: tuple[str, ...] = ("inner_product", "cosine")
PIECE_SIZE, SOFTMAX_PIECE_SIZE = 32_768, 8_192
"""Examples of a batch whose loss is computed at once."""
LOSS_MEMORY = 0.1
"""Weight of the newest loss in a user's running mean."""


class ObjectiveOptions(TypedDict, total=False):
    """The fields of `Objective` as keyword arguments of a model."""

    loss: LossName
    temperature: float | int
    adaptive_temperature: float
    robustness: float
    n_negatives: int
    whole_catalogue: bool
    ranking: RankingName
    popularity: float
    choose_ranking: bool
    distinct_users: bool
    recency: str


@dataclass(frozen=True)
class Objective:
    """Loss, sampler and ranking of a model whose score is the inner product of embeddings, or their cosine.

        score(u, i) = <F_u, F_i> + β log deg(i)          or          cos(F_u, F_i) / τ + β log deg(i)

    Why β: against negatives drawn in proportion to their degree the softmax learns log(p(i | u) / deg(i)) + const.
    Ranking by p(i | u) adds log deg(i) back. The norms of the final embeddings contain a noisy part of it too.

    Args:
        loss: ``bpr``: each positive is compared with a negative; ``cross-entropy``: positives and as many negatives are
            judged one by one; ``softmax``: on cosines, with negatives that a batch shares.
        temperature: τ, the temperature of the softmax; 0: set by the number of training pairs, see `temperature_for`.
        adaptive_temperature: how far τ differs between users by their loss, see `user_temperatures`; 0: not at all.
        robustness: how much less the softmax counts pairs that are far from ranking high, in [0, 1); 0: not at all.
        n_negatives: number of items that a batch shares as negatives of the softmax.
        whole_catalogue: if there are at most ``n_negatives`` items, compare with all of them, each counted as often as
            it would be drawn on average.
        ranking: ``inner_product``, or ``cosine``, which leaves the norms out of the score.
        popularity: β, the weight of an item's popularity in the score; 1 in theory, a little less in practice.
        choose_ranking: after training, choose β and the share of the norms in the score on the validation set, see
            `ltocf.models.ranking`; the choice starts from ``ranking`` and ``popularity``.
        distinct_users: whether a batch of BPR has no user twice, see `PairwiseBatches`.
        recency: ``off``: a history is a set; or ``auto``: after training, choose on the validation set how much more
            late items count in the vector of a user, see `ltocf.models.ranking`. There is nothing to choose if
            histories have no order, or for models whose vectors do not depend on them.

    Raises:
        ValueError: an unknown loss or ranking, or a number out of range.

    Source of β: the correction of sampled softmax, Yi et al., RecSys 2019, section 4,
    https://doi.org/10.1145/3298689.3346996. Differs: added when ranking instead of subtracted in training, where
    cosines would have to express differences in popularity for which their range is too small.

    Example:
        >>> Objective(popularity=2.0).as_ranking().bias(torch.tensor([3.0])).item()
        6.0
    """

    loss: LossName = "bpr"
    temperature: float | int = 0.12
    adaptive_temperature: float = 0.0
    robustness: float = 0.0
    n_negatives: int = 1024
    whole_catalogue: bool = False
    ranking: RankingName = "inner_product"
    popularity: float = 0.0
    choose_ranking: bool = False
    distinct_users: bool = False
    recency: str = "off"

    def __post_init__(self) -> None:
        check_recency(self.recency)
        for name, known in (("loss", LOSSES), ("ranking", RANKINGS)):
            if getattr(self, name) not in known:
                raise ValueError(f"`{name}` must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if self.n_negatives < 1:
            raise ValueError(f"`n_negatives` must be >= 1, got {self.n_negatives}")
        if self.temperature and not LOWEST_TEMPERATURE <= self.temperature < math.inf:
            raise ValueError(
                f"`temperature` must be 0 (set by the number of pairs) or finite and >= {LOWEST_TEMPERATURE}, "
                f"got {self.temperature}: exponentials would overflow"
            )
        if not 0 <= self.adaptive_temperature < math.inf:
            raise ValueError(f"`adaptive_temperature` must be finite and >= 0, got {self.adaptive_temperature}")
        if not 0 <= self.robustness < 1:
            raise ValueError(f"`robustness` must be in [0, 1), got {self.robustness}")
        if not abs(self.popularity) <= torch.finfo(torch.float32).max:
            raise ValueError(f"`popularity` must be finite in single precision, got {self.popularity}")

    def for_pairs(self, n_pairs: int) -> Objective:
        """This objective with a temperature that suits the number of training pairs, unless one was given."""
        return self if self.temperature else replace(self, temperature=temperature_for(n_pairs))

    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str) -> Batches:
        """The sampler that the loss needs."""
        if self.loss == "softmax":
            whole = self.compares_with_all(train.n_items)
            return SharedNegativeBatches(train, batch_size, seed, self.n_negatives, device, whole_catalogue=whole)
        return PairwiseBatches(train, batch_size, seed, device, distinct_users=self.distinct_users)

    @property
    def piece_size(self) -> int:
        """Examples whose loss is computed at once; a larger batch is split into pieces.

        Each piece of the softmax has negatives drawn for it alone: as many scores as with one set for all, and many
        more items that a step learns from.
        """
        return SOFTMAX_PIECE_SIZE if self.loss == "softmax" else PIECE_SIZE

    def compares_with_all(self, n_items: int) -> bool:
        """Whether every item is a negative of the softmax, in place of a sample."""
        return self.whole_catalogue and self.loss == "softmax" and n_items <= self.n_negatives

    def counts(self, log_degrees: Tensor, negatives: NegativeIndices) -> NegativeCounts | None:
        """How often each item would be drawn, n d_j / Σ d, if all are compared; None if negatives are drawn."""
        if not self.compares_with_all(len(log_degrees)):
            return None
        return self.n_negatives * torch.softmax(log_degrees.index_select(0, negatives), 0)

    def ranking_loss(
        self,
        users: BatchEmbeddings,
        positives: BatchEmbeddings,
        negatives: NegativeEmbeddings,
        temperatures: BatchScores | None = None,
        weights: BatchScores | None = None,
        counts: NegativeCounts | None = None,
        ranks: Ranks = ALONE,
    ) -> tuple[Scalar, BatchScores]:
        """The mean loss of a batch, and the loss of each example without a gradient.

        The softmax returns the losses of this process's examples only, unless ``temperatures`` are given.

        Args:
            users: final embeddings of the users, (batch, final_dim).
            positives: final embedding of an item of each, (batch, final_dim).
            negatives: one for each user, or the set shared by all, (negatives, final_dim).
            temperatures: τ of each user of the batch, (batch,); by default that of the objective.
            weights: how much each example of the softmax counts, (batch,); for BPR the sampler applies them.
            counts: how often each negative of the softmax counts, see `counts`.
            ranks: the processes that share the columns of the embeddings. BPR sums both scores of each triple over
                them; for the softmax each process takes whole rows of its share of the batch, against all negatives.
        """
        if self.loss == "softmax":
            temperature = self.temperature if temperatures is None else ranks.own_rows(temperatures)
            mean, losses = sampled_softmax(
                ranks.rows(users),
                ranks.rows(positives),
                ranks.whole(negatives),
                temperature,
                self.robustness,
                None if weights is None else ranks.own_rows(weights),
                counts,
                len(users),
            )
            return ranks.total(mean), losses if temperatures is None else ranks.all_rows(losses, len(users))
        scores = torch.stack([(users * positives).sum(1), (users * negatives).sum(1)])
        positive_scores, negative_scores = ranks.total(scores)
        pairwise = binary_cross_entropy if self.loss == "cross-entropy" else bpr
        return pairwise(positive_scores, negative_scores), (negative_scores - positive_scores).detach()

    def temperatures(self, user_losses: PerUser) -> PerUser:
        """τ of each user, by their running loss."""
        return user_temperatures(user_losses, self.temperature, self.adaptive_temperature)

    def as_ranking(self) -> Ranking:
        """How scores are formed before any number is chosen on validation."""
        if self.ranking == "cosine":
            return Ranking(self.popularity, 0.0, float(self.temperature))
        return Ranking(self.popularity, 1.0, float(self.temperature) if self.choose_ranking else None)

    def chosen_numbers(self) -> dict[str, float]:
        """The numbers that are set after training, with their start values."""
        start = self.as_ranking()
        numbers = {name: getattr(start, name) for name in STEPS} if self.choose_ranking else {}
        if self.loss == "softmax" and start.temperature is not None:
            numbers = numbers | CORE_START  # then scores are logarithms of probabilities
        return numbers | RECENCY_START if self.recency == "auto" else numbers


def temperature_for(n_pairs: int) -> float:
    """τ of the softmax that suits a number of training pairs.

        τ = 0.12 (810,000 / n)^0.22,   in [0.1, 0.25]

    With few pairs it is noisy which negative is nearest, and a high temperature does not rely on a single one.
    Fitted by hand to what validated best: 0.2 to 0.25 at 30,000 to 60,000 pairs (Amazon Health, MovieLens, Amazon
    Beauty), 0.16 at 160,000 (a fifth of Gowalla's users), 0.12 at Gowalla's 810,000 (docs/presets.md).

    Example:
        >>> [round(temperature_for(n), 3) for n in (10_000, 50_000, 160_000, 810_000, 10_000_000)]
        [0.25, 0.221, 0.171, 0.12, 0.1]
    """
    lowest, highest = 0.1, 0.25
    falling: float = 0.12 * (810_000 / max(n_pairs, 1)) ** 0.22
    return min(max(falling, lowest), highest)


@torch.no_grad()
def remember_losses(user_losses: PerUser, users: BatchIndices, losses: BatchScores) -> None:
    """Move the running loss of each user of a batch, once, towards the mean loss of their pairs in it.

        ℓ_u <- ℓ_u + 0.1 (mean of u's losses in the batch - ℓ_u)

    Once per pair instead, a user with more than twenty pairs in a batch would overshoot without bound.

    Example:
        >>> user_losses = torch.tensor([0.0, 5.0])
        >>> remember_losses(user_losses, torch.tensor([0, 0]), torch.tensor([1.0, 3.0]))
        >>> user_losses.tolist()
        [0.20000000298023224, 5.0]
    """
    counts = torch.zeros_like(user_losses).index_add_(0, users, torch.ones_like(losses))
    sums = torch.zeros_like(user_losses).index_add_(0, users, losses)
    user_losses.add_((sums - counts * user_losses) / counts.clamp(min=1), alpha=LOSS_MEMORY)
