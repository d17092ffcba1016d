"""A time limit for a whole run, and the time that its rankings will take."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch

from ltocf.data import Interactions
from ltocf.evaluation import rank
from ltocf.models import Recommender

FIRST_SAMPLE, ENOUGH_SECONDS = 8, 0.2
"""Users that are ranked first, and the seconds that make a measurement reliable; the users double until it takes that
long."""


@dataclass(frozen=True)
class TimeBudget:
    """The seconds that a run may take from now on, infinite for no limit."""

    seconds: float
    started: float = field(default_factory=lambda: time.monotonic())

    @classmethod
    def of_minutes(cls, minutes: float, spent: float = 0.0) -> TimeBudget:
        """The rest of ``max_minutes``, where 0 means no limit, after ``spent`` seconds."""
        return cls((minutes * 60 or math.inf) - spent)

    def seconds_left(self) -> float:
        """Seconds until the budget is spent; negative afterwards."""
        return self.started + self.seconds - time.monotonic()


def ranking_seconds(model: Recommender, seen: Interactions, truth: Interactions) -> float:
    """How long ranking all users of ``truth`` will take, estimated by ranking a few of them.

    Time that does not depend on the number of users, such as that of propagating embeddings, is measured separately
    and counted once.
    """
    users = torch.from_numpy(np.flatnonzero(truth.user_degrees))
    started = time.perf_counter()
    model.prepare()
    scorer = model.scorer()
    prepared = time.perf_counter() - started
    n_users = min(FIRST_SAMPLE, len(users))
    # Not timed: the first ranking loads parts of libraries, which takes seconds on a GPU.
    rank(scorer, users[:n_users], min(20, truth.n_items), seen=seen)
    while True:
        started = time.perf_counter()
        rank(scorer, users[:n_users], min(20, truth.n_items), seen=seen)
        seconds = time.perf_counter() - started
        if seconds > ENOUGH_SECONDS or n_users == len(users):
            return prepared + seconds * len(users) / n_users
        n_users = min(2 * n_users, len(users))
