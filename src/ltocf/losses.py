"""Scores become one number to minimise: pure functions, chosen by the model."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, softplus

from ltocf.shapes import BatchEmbeddings, BatchScores, NegativeCounts, NegativeEmbeddings, PerUser, Scalar

LossName = Literal["bpr", "cross-entropy", "softmax"]
LOSSES: tuple[str, ...] = ("bpr", "cross-entropy", "softmax")

LOWEST_TEMPERATURE = 0.025
"""e^(2 / τ) times a few thousand negatives still fits in single precision."""
LOSS_BLOCK = 2**21
"""Scores of a few hundred users against a few thousand negatives: 8 MB, which stay in the cache."""
BRANCH_POINT = -1 / math.e + 1e-12
"""Lambert's W is real from -1/e on; the margin is for rounding."""


class LossTerms(NamedTuple):
    """The two terms of an objective: ``ranking + l2_weight * l2``.

    If processes share a model, see `ltocf.evaluation.ranks`, ``l2`` is this process's share: only its sum over an epoch
    is used, and its gradient is complete without the other shares.
    """

    ranking: Scalar
    l2: Scalar

    def total(self, l2_weight: float) -> Scalar:
        # With weight 0 the gradient of the penalty, a matrix as large as the embeddings, is never computed.
        return self.ranking + l2_weight * self.l2 if l2_weight else self.ranking


def bpr(positive_scores: BatchScores, negative_scores: BatchScores) -> Scalar:
    """Bayesian personalised ranking: mean of softplus(s⁻ - s⁺) = -log σ(s⁺ - s⁻).

    Source: Rendle et al., UAI 2009, section 4, https://arxiv.org/abs/1205.2618

    Example:
        >>> import torch
        >>> round(bpr(torch.tensor([0.0]), torch.tensor([0.0])).item(), 4)  # log 2
        0.6931
    """
    return softplus(negative_scores - positive_scores).mean()


def binary_cross_entropy(positive_scores: BatchScores, negative_scores: Tensor) -> Scalar:
    """Every pair on its own: mean of -log σ(s⁺) over the positives and of -log(1 - σ(s⁻)) over the negatives together.

    Source: He et al., WWW 2017, Eq. 7, https://doi.org/10.1145/3038912.3052569

    Example:
        >>> round(binary_cross_entropy(torch.zeros(1), torch.zeros(4)).item(), 4)  # log 2
        0.6931
    """
    return torch.cat([softplus(-positive_scores), softplus(negative_scores)]).mean()


def sampled_softmax(
    users: BatchEmbeddings,
    positives: BatchEmbeddings,
    negatives: NegativeEmbeddings,
    temperature: float | int | BatchScores,
    robustness: float = 0.0,
    weights: BatchScores | None = None,
    counts: NegativeCounts | None = None,
    batch_size: int | None = None,
) -> tuple[Scalar, BatchScores]:
    """Cross-entropy of each positive against one set of sampled items, on cosines.

        p(u, i) = 1 / (1 + Σ_j n_j e^((cos(u, j) - cos(u, i)) / τ)),   j over the negatives, n_j = 1
        loss(u, i) = -log p,   or with a robustness q > 0   (1 - p^q) / q

    The robustness multiplies the gradient of a pair by p^q: pairs that the model has no hope of ranking high matter
    less, those within reach more.

    The norms of the embeddings are free. The gradient is computed along with the value, a block of users at a time,
    so that the matrix of (batch, negatives) never exists as a whole; this takes a fifth of the time of autograd.

    Args:
        users: final embeddings of the users of the batch.
        positives: final embedding of one item of each user.
        negatives: final embeddings of the items all users of the batch are compared with.
        temperature: τ >= 0.025, below which the exponentials overflow; the smaller, the more the hardest negatives
            weigh. One for all, or one for each user of the batch.
        robustness: q, in [0, 1).
        weights: how much each example counts in the mean; None: all alike.
        counts: n_j > 0, how often each negative counts in the sum; None: once.
        batch_size: number of examples of the whole batch, by which the sum is divided; None: these are all of them.

    Returns:
        The mean of weight times loss, and the loss of each example without weight and gradient.

    Source: Wu et al., "On the Effectiveness of Sampled Softmax Loss for Item Recommendation", TOIS 2024,
    https://arxiv.org/abs/2201.02327. Differs: the negatives are shared by the batch, and one that happens to be an
    item of the user stays among them (one in about a hundred). Source of q: Zhang & Sabuncu, NeurIPS 2018, Eq. 6,
    https://arxiv.org/abs/1805.07836.

    Example:
        >>> user, item = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]])
        >>> round(sampled_softmax(user, item, item, temperature=0.1)[0].item(), 4)  # log 2
        0.6931
    """
    scale = temperature[:, None] if isinstance(temperature, Tensor) else temperature
    mean, each = _SampledSoftmax.apply(  # type: ignore[no-untyped-call]
        normalize(users) / scale, normalize(positives), normalize(negatives), robustness, weights, counts, batch_size
    )
    return mean, each


class _SampledSoftmax(torch.autograd.Function):
    """The loss of `sampled_softmax`: its mean and the gradient of the mean, in blocks that stay in the cache."""

    @staticmethod
    def forward(
        ctx: Any,
        users: Tensor,
        positives: Tensor,
        negatives: Tensor,
        robustness: float,
        weights: Tensor | None,
        counts: Tensor | None,
        batch_size: int | None,
    ) -> tuple[Tensor, Tensor]:
        user_gradients, positive_gradients = torch.empty_like(users), torch.empty_like(positives)
        negative_gradients = torch.zeros_like(negatives)
        own = (users * positives).sum(1, keepdim=True).exp_()
        losses = users.new_empty(len(users))
        size = max(1, LOSS_BLOCK // len(negatives))
        for start in range(0, len(users), size):
            block = slice(start, start + size)
            others = _products(users[block], negatives, counts).exp_()
            total = others.sum(1, keepdim=True)
            share = 1 / (own[block] + total)
            if robustness:
                power = (own[block] * share) ** robustness
                torch.mul(1 - power[:, 0], 1 / robustness, out=losses[block])
                share *= power
            else:
                torch.log1p((total / own[block])[:, 0], out=losses[block])
            if weights is not None:
                share *= weights[block, None]
            torch.mul(others @ negatives, share, out=user_gradients[block])
            user_gradients[block].addcmul_(total * share, positives[block], value=-1)
            torch.mul(users[block], -total * share, out=positive_gradients[block])
            negative_gradients.addmm_(others.T, users[block] * share)
        ctx.save_for_backward(user_gradients, positive_gradients, negative_gradients)
        ctx.mark_non_differentiable(losses)
        ctx.batch_size = len(users) if batch_size is None else batch_size
        return (losses if weights is None else losses * weights).sum() / ctx.batch_size, losses

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        scale = gradients[0] / ctx.batch_size
        return (*(gradient * scale for gradient in ctx.saved_tensors), None, None, None, None)


def _products(users: Tensor, negatives: Tensor, counts: Tensor | None) -> Tensor:
    """Inner products; if negatives have counts, plus log n_j, so that exponentials are n_j times as large."""
    if counts is None:
        return users @ negatives.T
    return torch.addmm(counts.log(), users, negatives.T)


def user_temperatures(user_losses: PerUser, temperature: float | int, strength: float | int) -> PerUser:
    """A temperature for each user: lower where their loss is below average, higher where it is above.

        τ_u = τ e^(W(max(-1/e, (ℓ_u - mean ℓ) strength / 2))),   W the Lambert function

    Args:
        user_losses: ℓ, a running mean of each user's loss.
        temperature: τ, that of a user of average loss.
        strength: >= 0; with 0 every temperature is τ.

    Returns:
        Temperatures of at least `LOWEST_TEMPERATURE`.

    Source: Chen et al., "Adap-τ", WWW 2023, section 4.2, https://arxiv.org/abs/2302.04775. Differs: ℓ is measured at
    the temperature in force instead of at τ, which saves a second softmax and damps the spread.

    Example:
        >>> [f"{t:.3f}" for t in user_temperatures(torch.tensor([1.0, 2.0, 3.0]), 0.1, 1.0)]
        ['0.037', '0.100', '0.142']
    """
    from scipy.special import lambertw  # a tenth of a second, so only when it is used

    excess = (user_losses - user_losses.mean()) * (strength / 2)
    bounded: np.ndarray[tuple[int], np.dtype[np.float64]] = excess.double().clamp(min=BRANCH_POINT).cpu().numpy()
    power = np.asarray(lambertw(bounded, 0).real)
    return (temperature * torch.from_numpy(power).exp()).clamp(min=LOWEST_TEMPERATURE).to(user_losses)


def l2_penalty(rows: BatchEmbeddings, batch_size: int) -> Scalar:
    """Half the squared norm of the rows a batch uses, per training example: 1/2 Σ ||row||² / batch_size.

    Source: LT-OCF (CIKM 2021, Eq. 12) as its program computes it: E(0) only, repeated rows counted again.

    Example:
        >>> import torch
        >>> l2_penalty(torch.tensor([[3.0, 4.0]]), batch_size=1).item()
        12.5
    """
    return rows.square().sum() / (2 * batch_size)
