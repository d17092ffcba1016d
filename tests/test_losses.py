"""Losses against closed forms and against the losses of PyTorch."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy, normalize

import ltocf.losses
from ltocf.losses import LOWEST_TEMPERATURE, bpr, l2_penalty, sampled_softmax, user_temperatures


def test_bpr_of_equal_and_of_extreme_scores() -> None:
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
    torch.testing.assert_close(sampled_softmax(users, positives, negatives, 0.2)[0], expected)


def test_softmax_with_one_negative_is_bpr_on_cosines() -> None:
    torch.manual_seed(1)
    users, positives, negative = torch.randn(5, 3), torch.randn(5, 3), torch.randn(1, 3)
    expected = bpr(cosine_similarity(users, positives) / 0.5, cosine_similarity(users, negative) / 0.5)
    torch.testing.assert_close(sampled_softmax(users, positives, negative, 0.5)[0], expected)


def test_softmax_ignores_norms_and_does_not_overflow() -> None:
    users = torch.tensor([[1.0, 0.0], [-2.0, 0.0]], requires_grad=True)
    items = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    negatives = torch.tensor([[1.0, 0.0]]).repeat(4096, 1)
    loss, each = sampled_softmax(users, items, negatives, LOWEST_TEMPERATURE)
    torch.testing.assert_close(each, sampled_softmax(9 * users, 0.1 * items, 3 * negatives, LOWEST_TEMPERATURE)[1])
    assert loss.item() == pytest.approx((80 + math.log(4096) + math.log(4097)) / 2)
    (gradient,) = torch.autograd.grad(loss, users)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("robustness", [0.0, 0.3])
def test_softmax_gradient_equals_that_of_autograd_whatever_the_block_size(
    monkeypatch: pytest.MonkeyPatch, robustness: float
) -> None:
    monkeypatch.setattr(ltocf.losses, "LOSS_BLOCK", 2 * 7)  # three blocks, the last one smaller
    generator = torch.Generator().manual_seed(2)
    inputs = [torch.randn(rows, 3, dtype=torch.float64, generator=generator, requires_grad=True) for rows in (5, 5, 7)]
    users, positives, negatives = (normalize(rows) for rows in inputs)
    logits = torch.cat([(users * positives).sum(1, keepdim=True), users @ negatives.T], dim=1) / 0.2
    losses = cross_entropy(logits, torch.zeros(5, dtype=torch.int64), reduction="none")
    if robustness:
        losses = (1 - torch.exp(-robustness * losses)) / robustness
    expected = torch.autograd.grad(3 * losses.mean(), inputs)
    mean, each = sampled_softmax(*inputs, 0.2, robustness)
    torch.testing.assert_close(each, losses)
    torch.testing.assert_close(torch.autograd.grad(3 * mean, inputs), expected)


def test_l2_is_half_the_sum_of_squares_per_example() -> None:
    assert l2_penalty(torch.full((6, 2), 2.0), 3).item() == pytest.approx(0.5 * 6 * 2 * 4 / 3)


def test_softmax_with_a_temperature_for_each_user_is_the_mean_of_their_losses() -> None:
    generator = torch.Generator().manual_seed(3)
    users, positives, negatives = (torch.randn(rows, 4, generator=generator) for rows in (3, 3, 6))
    temperatures = torch.tensor([0.1, 0.3, 0.5])
    mean, each = sampled_softmax(users, positives, negatives, temperatures)
    alone = [
        sampled_softmax(users[[row]], positives[[row]], negatives, temperatures[row].item())[0] for row in range(3)
    ]
    torch.testing.assert_close(each, torch.stack(alone))
    torch.testing.assert_close(mean, each.mean())


def test_user_temperatures_solve_their_equation() -> None:
    """W(z) e^W(z) = z: with w = log(τ_u / τ), w e^w = (ℓ_u - mean ℓ) strength / 2."""
    losses = torch.tensor([2.0, 2.2, 2.9, 4.5])
    w = (user_temperatures(losses, 0.2, 0.6) / 0.2).log()
    torch.testing.assert_close(w * w.exp(), (losses - losses.mean()) * 0.3, atol=1e-5, rtol=1e-4)
    assert user_temperatures(losses, 0.2, 0.0).tolist() == pytest.approx([0.2] * 4)
    assert user_temperatures(100 * losses, 0.05, 1.0).min().item() == pytest.approx(LOWEST_TEMPERATURE)


@pytest.mark.parametrize("robustness", [0.0, 0.3])
def test_a_weight_of_two_equals_repeating_the_example(robustness: float) -> None:
    generator = torch.Generator().manual_seed(3)
    users, positives, negatives = (torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (3, 3, 5))
    weights = torch.tensor([2.0, 1.0, 1.0], dtype=torch.float64)
    inputs = [part.clone().requires_grad_() for part in (users, positives, negatives)]
    weighted, _ = sampled_softmax(*inputs, 0.2, robustness, weights)
    twice = [part.clone().requires_grad_() for part in (users, positives, negatives)]
    rows = torch.tensor([0, 0, 1, 2])
    repeated, _ = sampled_softmax(twice[0][rows], twice[1][rows], twice[2], 0.2, robustness)
    torch.testing.assert_close(3 * weighted, 4 * repeated)
    (3 * weighted).backward()
    (4 * repeated).backward()
    for tensor, expected in zip(inputs, twice, strict=True):
        torch.testing.assert_close(tensor.grad, expected.grad)


@pytest.mark.parametrize("robustness", [0.0, 0.3])
def test_a_negative_with_a_count_of_three_equals_three_negatives(robustness: float) -> None:
    generator = torch.Generator().manual_seed(4)
    inputs = [torch.randn(rows, 3, dtype=torch.float64, generator=generator, requires_grad=True) for rows in (5, 5, 4)]
    users, positives, negatives = inputs
    counts = torch.tensor([3.0, 1.0, 2.0, 5.0], dtype=torch.float64)
    repeated = negatives.repeat_interleave(counts.long(), dim=0)
    counted = sampled_softmax(users, positives, negatives, 0.2, robustness, None, counts)[0]
    expected = sampled_softmax(users, positives, repeated, 0.2, robustness)[0]
    torch.testing.assert_close(counted, expected)
    for left, right in zip(torch.autograd.grad(counted, inputs), torch.autograd.grad(expected, inputs), strict=True):
        torch.testing.assert_close(left, right)
