"""Scores become one number to minimise: pure functions, chosen by the model."""

from __future__ import annotations

from typing import Literal

import torch
from torch.nn.functional import normalize, softplus

from ltocf.shapes import BatchEmbeddings, BatchScores, NegativeEmbeddings, Scalar

LossName = Literal["bpr", "softmax"]
LOSSES: tuple[str, ...] = ("bpr", "softmax")


def bpr(positive_scores: BatchScores, negative_scores: BatchScores) -> Scalar:
    """Bayesian personalised ranking: mean of softplus(s⁻ - s⁺) = -log σ(s⁺ - s⁻).

    Source: Rendle et al., UAI 2009, section 4, https://arxiv.org/abs/1205.2618

    Example:
        >>> import torch
        >>> round(bpr(torch.tensor([0.0]), torch.tensor([0.0])).item(), 4)  # log 2
        0.6931
    """
    return softplus(negative_scores - positive_scores).mean()


def sampled_softmax(
    users: BatchEmbeddings, positives: BatchEmbeddings, negatives: NegativeEmbeddings, temperature: float
) -> Scalar:
    """Cross-entropy of each positive against one set of sampled items, on cosines.

        loss = mean of -log( e^(cos(u, i) / τ) / (e^(cos(u, i) / τ) + Σ_j e^(cos(u, j) / τ)) ),   j over the negatives

    Ranking afterwards is by the inner product: training on cosines leaves the norm of an item free to carry its
    popularity.

    Args:
        users: final embeddings of the users of the batch.
        positives: final embedding of one item of each.
        negatives: final embeddings of the items all users of the batch are compared with.
        temperature: τ > 0; the smaller, the more the hardest negatives weigh.

    Source: Wu et al., "On the Effectiveness of Sampled Softmax Loss for Item Recommendation", TOIS 2024,
    https://arxiv.org/abs/2201.02327. Differs: the negatives are shared by the batch, and one that happens to be an
    item of the user stays among them (one in about a hundred).

    Example:
        >>> user, item = torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0]])
        >>> round(sampled_softmax(user, item, item, temperature=0.1).item(), 4)  # log 2
        0.6931
    """
    users, positives, negatives = (normalize(rows) for rows in (users, positives, negatives))
    negative_scores = users @ negatives.T / temperature
    return softplus(torch.logsumexp(negative_scores, 1) - (users * positives).sum(1) / temperature).mean()


def l2_penalty(rows: BatchEmbeddings, batch_size: int) -> Scalar:
    """Half the squared norm of the rows a batch uses, per training example: 1/2 Σ ||row||² / batch_size.

    Source: LT-OCF (CIKM 2021, Eq. 12) as its program computes it: E(0) only, repeated rows counted again.

    Example:
        >>> import torch
        >>> l2_penalty(torch.tensor([[3.0, 4.0]]), batch_size=1).item()
        12.5
    """
    return rows.square().sum() / (2 * batch_size)
