"""Epochs of a share of a pass and steps of several batches give the same batches in the same order, from any epoch."""

from __future__ import annotations

from itertools import chain

import pytest

from ltocf.sampling import Batch, Portions, SharedNegativeBatches
from samples import random_interactions

LOG = random_interactions()


def passes() -> SharedNegativeBatches:
    return SharedNegativeBatches(LOG, 32, seed=1, n_negatives=3)


def equal(left: Batch, right: Batch) -> bool:
    return all(a.equal(b) for a, b in zip(left[:3], right[:3], strict=True))


@pytest.mark.parametrize("share", [1, 0.5, 0.3, 0.01], ids=str)
def test_shares_of_a_pass_give_the_batches_of_whole_passes_in_order(share: float) -> None:
    portions = Portions(passes(), share)
    assert len(portions) == max(1, round(share * len(passes())))
    n_epochs = 2 * len(passes()) // len(portions)
    in_shares = [batch for epoch in range(n_epochs) for (batch,) in portions.steps(epoch)]
    whole = list(chain.from_iterable(passes().epoch(n_pass) for n_pass in range(2)))
    assert len(in_shares) == n_epochs * len(portions)
    assert all(equal(left, right) for left, right in zip(in_shares, whole, strict=False))


def test_an_epoch_does_not_depend_on_earlier_ones_having_run() -> None:
    from_start, resumed = Portions(passes(), 0.3), Portions(passes(), 0.3)
    list(from_start.steps(0))
    assert all(equal(left, right) for (left,), (right,) in zip(from_start.steps(5), resumed.steps(5), strict=True))


@pytest.mark.parametrize("pieces", [2, 3, 4, 100])
@pytest.mark.parametrize("share", [1, 0.5, 0.3], ids=str)
def test_a_step_has_the_given_number_of_batches_and_the_last_of_a_pass_the_rest(pieces: int, share: float) -> None:
    portions, n_batches = Portions(passes(), share, pieces), len(passes())
    n_steps = -(-n_batches // pieces)
    assert len(portions) == max(1, round(share * n_steps))
    n_epochs = -(-2 * n_steps // len(portions))
    steps = list(chain.from_iterable(portions.steps(epoch) for epoch in range(n_epochs)))[: 2 * n_steps]
    sizes = [pieces] * (n_batches // pieces) + [n_batches % pieces] * (n_batches % pieces > 0)
    assert [len(step) for step in steps] == 2 * sizes
    whole = chain.from_iterable(passes().epoch(n_pass) for n_pass in range(2))
    assert all(equal(left, right) for left, right in zip(chain.from_iterable(steps), whole, strict=True))


def test_a_step_needs_at_least_one_batch() -> None:
    with pytest.raises(ValueError, match="`pieces` must be >= 1, got 0"):
        Portions(passes(), 1, 0)


@pytest.mark.parametrize("share", [0, -0.5, 1.5])
def test_a_share_outside_zero_and_one_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match=rf"`share` must be in \(0, 1\], got {share}"):
        Portions(passes(), share)
