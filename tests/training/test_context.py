"""The context of a training, by a clock that stands still."""

from __future__ import annotations

import math
import time

import pytest

from ltocf.losses import LossTerms
from ltocf.sampling import Batch
from ltocf.training import FitContext, Trainable


class Plain(Trainable):
    """A model that does not say whether it can be recorded."""

    def forward(self, batch: Batch) -> LossTerms:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)


def test_seconds_left_of_the_time_limit() -> None:
    assert FitContext().seconds_left() == math.inf
    assert FitContext(deadline=103.5).seconds_left() == 3.5
    assert FitContext(deadline=98.0).seconds_left() == -2.0


@pytest.mark.parametrize(("deadline", "expected"), [(math.inf, 105.0), (104.0, 104.0), (200.0, 105.0), (90.0, 90.0)])
def test_a_share_of_the_time_ends_no_later_than_all_of_it(deadline: float, expected: float) -> None:
    whole = FitContext(select_by="ndcg@5", deadline=deadline, description="whole")
    part = whole.within(5.0)
    assert (part.deadline, part.select_by, part.description) == (expected, "ndcg@5", "whole")
    assert whole.deadline == deadline


def test_a_model_cannot_be_recorded_unless_it_says_so() -> None:
    assert Plain().freeze() is False
