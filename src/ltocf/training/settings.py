"""The settings of the training loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

TIME_UPDATES = ("joint", "alternating")
SCHEDULES = ("constant", "cosine")
RETRAININGS = ("compressed", "repeated", "continued")
STEPS_PER_EPOCH = 100
ANOTHER_PASS = 0.1
"""Share of the learning rates with which one more pass over all pairs starts."""
SMALLEST_BATCH, LARGEST_BATCH = 256, 8192
LARGEST = 3.4e38
"""The largest number in the single precision that weights are computed in."""
GROWS_BEYOND, GROWTH = 1_250_000, 1.3
"""The number of pairs beyond which batches grow, if they can be split into pieces, and the power with which they do."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained.

    Args:
        learning_rate: Adam's learning rate for everything but the times.
        time_learning_rate: Adam's learning rate for the learned times.
        l2: weight of the L2 penalty on the embeddings of the batch.
        scale_rate: ``learning_rate`` is that of a batch of 8,192 or more; one of B < 8,192 has √(B / 8,192) times it.
        batch_size: triples or pairs per step; 0 for about a hundred steps per pass, see `steps_for`.
        epochs: maximum number of epochs.
        epoch_share: share of a pass over the training pairs that makes an epoch, in (0, 1]: with less than 1,
            validations, checkpoints and the choice of an epoch come more often.
        validate_every: epochs between validations.
        validation_users: maximum number of users that a validation ranks, drawn once; 0: all. Selection on the test set
            ranks all.
        patience: number of validations without a better value after which training stops.
        retraining: how the whole training set is trained on once the epoch is chosen. ``compressed``: from the start,
            with a schedule as long as the chosen epochs. ``repeated``: from the start, each step at the rate that it
            had in selection. ``continued``: from the selected weights, one pass over all pairs at rates that fall to
            zero.
        extrapolate_recency: before that training, multiply the chosen numbers of recency by the factors of
            `ltocf.models.drift.measured_drift`: what suits histories changes as they grow.
        time_updates: ``joint``: one backward pass, both updates. ``alternating``: the paper's Algorithm 1: update the
            embeddings, compute the loss again, update the times; twice the cost. The authors' program is joint.
        schedule: the course of both learning rates: ``constant``, or ``cosine`` from them to zero over ``epochs``.
        warm_up: share of all steps during which both rates rise from zero, in proportion to the step. With ``cosine``
            and a warm-up of 0.3 this is the one-cycle policy.
        max_minutes: time limit of the whole run, including reading, initial embeddings, validations and ranking; 0: no
            limit. Training stops when the rest would not fit; at least one step is taken, and the best epoch is kept.
        cuda_graphs: on a GPU, record a step once per epoch and replay it, see `RecordedStep`.

    Raises:
        ValueError: a number out of range or an unknown name.
    """

    learning_rate: float = 1e-3
    time_learning_rate: float = 1e-3
    scale_rate: bool = False
    l2: float = 1e-4
    batch_size: int = 2048
    epochs: int = 1000
    epoch_share: float = 1.0
    validate_every: int = 5
    validation_users: int = 0
    patience: int = 10
    retraining: Literal["compressed", "repeated", "continued"] = "compressed"
    extrapolate_recency: bool = False
    time_updates: Literal["joint", "alternating"] = "joint"
    schedule: Literal["constant", "cosine"] = "constant"
    warm_up: float = 0.0
    max_minutes: float = 0.0
    cuda_graphs: bool = False

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epochs", "validate_every", "patience"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be > 0, got {getattr(self, name)}")
        for name in ("batch_size", "time_learning_rate", "l2", "max_minutes", "validation_users"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be >= 0, got {getattr(self, name)}")
        if not 0 < self.epoch_share <= 1:
            raise ValueError(f"`epoch_share` must be in (0, 1], got {self.epoch_share}")
        self._check_rates()
        for name, known in (("retraining", RETRAININGS), ("time_updates", TIME_UPDATES), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise ValueError(f"`{name}` must be one of {', '.join(known)}, got {getattr(self, name)!r}")

    def _check_rates(self) -> None:
        if not 0 <= self.warm_up < 1:
            raise ValueError(f"`warm_up` must be in [0, 1), got {self.warm_up}")
        for name in ("learning_rate", "time_learning_rate", "l2"):
            if getattr(self, name) > LARGEST:
                raise ValueError(f"`{name}` must be finite in single precision, got {getattr(self, name)}")

    def batch_size_for(self, n_pairs: int) -> int:
        """``batch_size`` or, if that is 0, a hundredth of the pairs, in 256..8,192; see `steps_for` for more.

        Example:
            >>> [TrainingSettings(batch_size=0).batch_size_for(n) for n in (1_000, 60_000, 10_000_000)]
            [256, 600, 8192]
        """
        return self.batch_size or min(max(n_pairs // STEPS_PER_EPOCH, SMALLEST_BATCH), LARGEST_BATCH)

    def steps_for(self, n_pairs: int, piece_size: int | None) -> tuple[int, int]:
        """The batch size for a number of pairs, and the number of pieces that a batch is split into.

            batch_size = 0:   a hundredth of the pairs, in 256..8,192;   beyond 1.25 M pairs 8,192 (pairs / 1.25 M)^1.3

        A step propagates over the whole graph, whatever its batch: with a limit to the batch size, an epoch would cost
        the square of the pairs. Forward and backward, the two costs of a step are in seconds about

            propagation   c · 2 degree · pairs · dim,   c = 2.4e-10 at 1 M pairs, 3.7e-10 at 10 M, 6.3e-10 at 50 M
            loss          6e-11 · batch · negatives · dim

        on one core; c grows as fewer of the rows that a product reads are in a cache. With the degree 6 and the 8,192
        negatives of LT-OCF `fast` the two are equal with a batch of 6,400 for 1 M pairs, 90,000 for 10 M and
        720,000 for 50 M. The batch is larger at each size, so propagation takes at most half of the time.

        Args:
            n_pairs: number of pairs of the training set.
            piece_size: see `ltocf.models.base.GradientRecommender.piece_size`; None: batches grow to 8,192 at most, as
                they do with ``cuda_graphs``, which records whole batches.

        Source of the constants: benchmarks/epoch_cost.py, whose table is in docs/scale.md.

        Example:
            >>> [TrainingSettings(batch_size=0).steps_for(n, 8192) for n in (60_000, 1_250_000, 10_000_000)]
            [(600, 1), (8192, 1), (122295, 15)]
            >>> TrainingSettings(batch_size=2048).steps_for(10_000_000, 8192)
            (2048, 1)
        """
        size = self.batch_size_for(n_pairs)
        if piece_size is None or self.cuda_graphs:
            return size, 1
        if not self.batch_size and n_pairs > GROWS_BEYOND:
            size = round(LARGEST_BATCH * (n_pairs / GROWS_BEYOND) ** GROWTH)
        return size, -(-size // piece_size)

    def for_batch(self, batch_size: int) -> TrainingSettings:
        """The same settings with the learning rate for a batch of this size, see ``scale_rate``.

            learning_rate · min(1, √(batch_size / 8,192))

        Source: the square root scaling rule of Malladi et al., NeurIPS 2022, https://arxiv.org/abs/2205.10287. Differs:
        beyond 8,192 the rate stays as it is, because a higher one diverges from the spectrum; docs/scale.md has the
        accuracy of both.

        Example:
            >>> fast = TrainingSettings(learning_rate=0.04, scale_rate=True)
            >>> fast.for_batch(512).learning_rate, fast.for_batch(100_000).learning_rate
            (0.01, 0.04)
        """
        share = math.sqrt(min(batch_size / LARGEST_BATCH, 1.0)) if self.scale_rate else 1.0
        return replace(self, learning_rate=share * self.learning_rate, scale_rate=False)

    def for_another_pass(self) -> TrainingSettings:
        """Settings for one more pass of a trained model over all pairs, at a share of its rates that falls to zero.

        Example:
            >>> more = TrainingSettings(learning_rate=0.5, epochs=32, epoch_share=0.25).for_another_pass()
            >>> more.learning_rate, more.epochs, more.schedule
            (0.05, 4, 'cosine')
        """
        rates = {name: ANOTHER_PASS * getattr(self, name) for name in ("learning_rate", "time_learning_rate")}
        return replace(self, epochs=round(1 / self.epoch_share), schedule="cosine", warm_up=0.0, **rates)

    def rate(self, progress: float) -> float:
        """The share of the learning rates that applies when ``progress``, in [0, 1), of all epochs is done.

            min(1, p / w)   or, with the cosine,   p / w  up to p = w, then (1 + cos(π (p - w) / (1 - w))) / 2

        Source: Loshchilov & Hutter, ICLR 2017, Eq. 5 without restarts, https://arxiv.org/abs/1608.03983; the warm-up:
        Smith & Topin, 2018, section 2, https://arxiv.org/abs/1708.07120, with a cosine in place of its second line.

        Example:
            >>> settings = TrainingSettings(schedule="cosine", warm_up=0.2)
            >>> [round(settings.rate(p), 3) for p in (0.1, 0.2, 0.6, 0.999)]
            [0.5, 1.0, 0.5, 0.0]
        """
        if progress < self.warm_up:
            return progress / self.warm_up
        if self.schedule == "constant":
            return 1.0
        return (1 + math.cos(math.pi * (progress - self.warm_up) / (1 - self.warm_up))) / 2
