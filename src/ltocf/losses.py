"""Scores become one number to minimise: pure functions, chosen by the model."""

from __future__ import annotations

from torch.nn.functional import softplus

from ltocf.shapes import BatchEmbeddings, BatchScores, Scalar


def bpr(positive_scores: BatchScores, negative_scores: BatchScores) -> Scalar:
    """Bayesian personalised ranking: mean of softplus(s⁻ - s⁺) = -log σ(s⁺ - s⁻).

    Source: Rendle et al., UAI 2009, section 4, https://arxiv.org/abs/1205.2618

    Example:
        >>> import torch
        >>> round(bpr(torch.tensor([0.0]), torch.tensor([0.0])).item(), 4)  # log 2
        0.6931
    """
    return softplus(negative_scores - positive_scores).mean()


def l2_penalty(rows: BatchEmbeddings, batch_size: int) -> Scalar:
    """Half the squared norm of the rows a batch uses, per training example: 1/2 Σ ||row||² / batch_size.

    Source: LT-OCF (CIKM 2021, Eq. 12) as its program computes it: E(0) only, repeated rows counted again.

    Example:
        >>> import torch
        >>> l2_penalty(torch.tensor([[3.0, 4.0]]), batch_size=1).item()
        12.5
    """
    return rows.square().sum() / (2 * batch_size)
