"""Losses against closed forms and against the general-purpose ones of PyTorch."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from ltocf.losses import bpr, l2_penalty, sampled_softmax


def test_bpr_of_equal_and_of_far_scores() -> None:
    assert bpr(torch.zeros(3), torch.zeros(3)).item() == pytest.approx(math.log(2))
    assert bpr(torch.full((2,), -300.0), torch.full((2,), 300.0)).item() == pytest.approx(600.0)


def test_softmax_is_the_cross_entropy_of_cosines() -> None:
    torch.manual_seed(0)
    users, positives, negatives = torch.randn(5, 3), torch.randn(5, 3), torch.randn(7, 3)
    cosines = torch.stack(
        [
            torch.stack([cosine_similarity(user, item, dim=0) for item in (positive, *negatives)])
            for user, positive in zip(users, positives, strict=True)
        ]
    )
    expected = cross_entropy(cosines / 0.2, torch.zeros(5, dtype=torch.int64))
    torch.testing.assert_close(sampled_softmax(users, positives, negatives, 0.2), expected)


def test_softmax_with_one_negative_is_bpr_on_cosines() -> None:
    torch.manual_seed(1)
    users, positives, negative = torch.randn(5, 3), torch.randn(5, 3), torch.randn(1, 3)
    expected = bpr(cosine_similarity(users, positives) / 0.5, cosine_similarity(users, negative) / 0.5)
    torch.testing.assert_close(sampled_softmax(users, positives, negative, 0.5), expected)


def test_softmax_does_not_see_norms_and_does_not_overflow() -> None:
    users, items = torch.randn(4, 3), torch.randn(6, 3)
    loss = sampled_softmax(users, items[:4], items, 1e-3)
    torch.testing.assert_close(loss, sampled_softmax(9 * users, 0.1 * items[:4], 3 * items, 1e-3), rtol=1e-4, atol=1e-3)
    assert torch.isfinite(loss)


def test_l2_is_half_the_squares_per_example() -> None:
    assert l2_penalty(torch.full((6, 2), 2.0), 3).item() == pytest.approx(0.5 * 6 * 2 * 4 / 3)
