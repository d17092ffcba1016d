"""A time limit for a whole run, and what the rankings that it must hold will take."""

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
"""Users ranked to see how long it takes, doubled until it took so long that the clock can be trusted."""


@dataclass(frozen=True)
class TimeBudget:
    """Seconds that a run may take from the moment this is made, infinite for no limit."""

    seconds: float
    started: float = field(default_factory=lambda: time.monotonic())

    @classmethod
    def of_minutes(cls, minutes: float, spent: float = 0.0) -> TimeBudget:
        """What is left of ``max_minutes``, 0 for no limit, after so many seconds."""
        return cls((minutes * 60 or math.inf) - spent)

    def seconds_left(self) -> float:
        """Until the budget is spent; below zero after it."""
        return self.started + self.seconds - time.monotonic()


def ranking_seconds(model: Recommender, seen: Interactions, truth: Interactions) -> float:
    """How long ranking all users of ``truth`` will take, from ranking a few of them.

    Time that does not depend on the number of users, to propagate embeddings for one, is measured apart and counted
    once.
    """
    users = torch.from_numpy(np.flatnonzero(truth.user_degrees))
    started = time.perf_counter()
    model.prepare()
    scorer = model.scorer()
    prepared = time.perf_counter() - started
    n_users = min(FIRST_SAMPLE, len(users))
    # Not timed: the first ranking loads what libraries load when first needed, on a GPU for seconds.
    rank(scorer, users[:n_users], min(20, truth.n_items), seen=seen)
    while True:
        started = time.perf_counter()
        rank(scorer, users[:n_users], min(20, truth.n_items), seen=seen)
        seconds = time.perf_counter() - started
        if seconds > ENOUGH_SECONDS or n_users == len(users):
            return prepared + seconds * len(users) / n_users
        n_users = min(2 * n_users, len(users))
