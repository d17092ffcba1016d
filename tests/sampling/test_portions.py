"""Epochs that are a share of a pass, steps of several batches: the same ones in the same order, from any epoch on."""

from __future__ import annotations

from itertools import chain

import pytest

from ltocf.sampling import Batch, Portions, SharedNegativeBatches
from samples import random_interactions

LOG = random_interactions()


def passes() -> SharedNegativeBatches:
    return SharedNegativeBatches(LOG, 32, seed=1, n_negatives=3)


def same(left: Batch, right: Batch) -> bool:
    return all(a.equal(b) for a, b in zip(left[:3], right[:3], strict=True))


@pytest.mark.parametrize("share", [1, 0.5, 0.3, 0.01], ids=str)
def test_the_batches_of_all_passes_in_order(share: float) -> None:
    portions = Portions(passes(), share)
    assert len(portions) == max(1, round(share * len(passes())))
    n_epochs = 2 * len(passes()) // len(portions)
    cut = [batch for epoch in range(n_epochs) for (batch,) in portions.steps(epoch)]
    whole = list(chain.from_iterable(passes().epoch(n_pass) for n_pass in range(2)))
    assert len(cut) == n_epochs * len(portions)
    assert all(same(left, right) for left, right in zip(cut, whole, strict=False))


def test_an_epoch_needs_none_before_it() -> None:
    later, first = Portions(passes(), 0.3), Portions(passes(), 0.3)
    list(first.steps(0))
    assert all(same(left, right) for (left,), (right,) in zip(first.steps(5), later.steps(5), strict=True))


@pytest.mark.parametrize("pieces", [2, 3, 4, 100])
@pytest.mark.parametrize("share", [1, 0.5, 0.3], ids=str)
def test_a_step_has_so_many_batches_and_the_last_of_a_pass_the_rest(pieces: int, share: float) -> None:
    portions, n_batches = Portions(passes(), share, pieces), len(passes())
    n_steps = -(-n_batches // pieces)
    assert len(portions) == max(1, round(share * n_steps))
    n_epochs = -(-2 * n_steps // len(portions))
    steps = list(chain.from_iterable(portions.steps(epoch) for epoch in range(n_epochs)))[: 2 * n_steps]
    sizes = [pieces] * (n_batches // pieces) + [n_batches % pieces] * (n_batches % pieces > 0)
    assert [len(step) for step in steps] == 2 * sizes
    whole = chain.from_iterable(passes().epoch(n_pass) for n_pass in range(2))
    assert all(same(left, right) for left, right in zip(chain.from_iterable(steps), whole, strict=True))


def test_a_step_has_a_batch() -> None:
    with pytest.raises(ValueError, match="`pieces` must be >= 1, got 0"):
        Portions(passes(), 1, 0)


@pytest.mark.parametrize("share", [0, -0.5, 1.5])
def test_a_share_is_one(share: float) -> None:
    with pytest.raises(ValueError, match=rf"`share` must be in \(0, 1\], got {share}"):
        Portions(passes(), share)
