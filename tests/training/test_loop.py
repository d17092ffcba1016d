"""The loop on its own: a model of one number, batches of known sizes, and a clock that only they move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ltocf.data import Interactions
from ltocf.losses import LossTerms
from ltocf.sampling import Batch, Batches
from ltocf.training import FitContext, FitResult, Trainable, TrainingSettings, fit
from ltocf.training.step import Stepper

LOOP = import_module("ltocf.training.fit")  # the package has a function of that name
SETTINGS = TrainingSettings(learning_rate=1e-9, l2=0.0, epochs=4, validate_every=2)


class Clock:
    """A clock that stands still until a test moves it."""

    now = 1000.0

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    time = SimpleNamespace(perf_counter=lambda: clock.now, monotonic=lambda: clock.now)
    monkeypatch.setattr(LOOP, "time", time)
    monkeypatch.setattr("ltocf.training.context.time", time)
    return clock


class KnownBatches(Batches):
    """Batches of the sizes given, the same in every epoch."""

    def __init__(self, *sizes: int, seed: int = 0) -> None:
        super().__init__(Interactions.from_pairs([0], [0]), 1, seed, "cpu")
        self.sizes = sizes

    def __len__(self) -> int:
        return len(self.sizes)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        for size in self.sizes:
            yield Batch(*(torch.zeros(size, dtype=torch.int64) for _ in range(3)))


class Number(Trainable):
    """Its loss is the size of the batch and its penalty the size squared; it records its mode and a random number."""

    def __init__(self, clock: Clock | None = None, seconds: float = 0.0, l2: float = 1.0) -> None:
        super().__init__()
        self.value = torch.nn.Parameter(torch.zeros(()))
        self.clock, self.seconds, self.l2 = clock, seconds, l2
        self.modes: list[bool] = []
        self.draws: list[float] = []

    def forward(self, batch: Batch) -> LossTerms:
        self.modes.append(self.training)
        self.draws.append(float(torch.rand(())))
        if self.clock is not None:
            self.clock.advance(self.seconds)
        size = float(len(batch.users))
        return LossTerms(size + 0 * self.value, self.l2 * size**2 + 0 * self.value)


def scripted_validation(
    values: list[float], effect: Callable[[], None] = lambda: None
) -> Callable[[], dict[str, float]]:
    """A validation that returns each value once, in order."""
    remaining = iter(values)

    def validate() -> dict[str, float]:
        effect()
        return {"recall@20": next(remaining), "ndcg@20": 0.5}

    return validate


def train(model: Number, batches: Batches, settings: TrainingSettings = SETTINGS, **options: Any) -> FitResult:
    validate = options.pop("validate", None)
    return fit(model, batches, settings=settings, validate=validate, context=FitContext(**options))


def test_a_record_is_a_mean_over_examples_with_the_metrics_of_its_epoch(clock: Clock) -> None:
    records: list[dict[str, Any]] = []
    validate = scripted_validation([0.1, 0.2], lambda: clock.advance(7.0))
    result = train(Number(clock, 2.0), KnownBatches(3, 1, 1), validate=validate, on_epoch=records.append)
    plain = {"loss": 11 / 5, "l2": 29 / 5, "times": [], "seconds": 6.0}  # (3·3 + 1 + 1) / 5, (3·9 + 1 + 1) / 5
    validated = {**plain, "ndcg@20": 0.5, "seconds": 13.0}
    assert records == [
        {"epoch": 1, **plain},
        {"epoch": 2, **validated, "recall@20": 0.1},
        {"epoch": 3, **plain},
        {"epoch": 4, **validated, "recall@20": 0.2},
    ]
    assert result == FitResult(4, 4, 0.2, 2 * 6.0 + 2 * 13.0, "epochs", repeating_seconds=4 * 6.0)


def test_repeating_a_training_takes_the_epochs_up_to_the_best_one_without_validations(clock: Clock) -> None:
    validate = scripted_validation([0.2, 0.1], lambda: clock.advance(7.0))
    assert train(Number(clock, 2.0), KnownBatches(3, 1, 1), validate=validate).repeating_seconds == 2 * 6.0


def test_the_last_epoch_is_validated_even_if_it_is_not_due() -> None:
    result = train(Number(), KnownBatches(2), replace(SETTINGS, epochs=3), validate=scripted_validation([0.1, 0.3]))
    assert (result.epochs, result.best_epoch, result.best_value, result.stopped_by) == (3, 3, 0.3, "epochs")


def test_an_equal_value_is_no_gain_and_patience_restarts_after_a_gain() -> None:
    values = [0.2, 0.2, 0.3, 0.1, 0.3, 0.9]
    settings = replace(SETTINGS, epochs=100, validate_every=1, patience=2)
    result = train(Number(), KnownBatches(2), settings, validate=scripted_validation(values))
    assert (result.epochs, result.best_epoch, result.best_value, result.stopped_by) == (5, 3, 0.3, "patience")


def test_another_metric_can_select_the_epoch() -> None:
    result = train(Number(), KnownBatches(2), validate=scripted_validation([0.1, 0.2]), select_by="ndcg@20")
    assert (result.best_epoch, result.best_value) == (2, 0.5)


def test_steps_are_in_training_mode_and_validation_and_the_end_are_not() -> None:
    model, validation_modes = Number(), []
    validate = scripted_validation([0.1, 0.2], lambda: validation_modes.append(model.training))
    train(model, KnownBatches(2, 2), validate=validate)
    assert (model.modes, validation_modes, model.training) == ([True] * 8, [False] * 2, False)


def test_random_numbers_of_a_model_depend_on_seed_and_epoch_alone_and_leave_the_callers() -> None:
    models = [Number() for _ in range(3)]
    for model, seed in zip(models, (5, 5, 6), strict=True):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        train(model, KnownBatches(1, 1, seed=seed))
        assert torch.get_rng_state().equal(before)
    assert models[0].draws == models[1].draws
    assert len(set(models[0].draws + models[2].draws)) == 16
    torch.manual_seed(int(np.random.SeedSequence([5, 2, 1]).generate_state(1)[0]))
    assert models[0].draws[4:6] == [float(torch.rand(())) for _ in range(2)]


@pytest.mark.parametrize(
    ("validate_every", "seconds", "epochs", "seconds_left"),
    [
        (1, 100.0, 2, 20.0),  # 10 + 30, 10 + 30; a third would end at 120
        (1, 121.0, 3, 1.0),
        (1, 120.0, 3, 0.0),
        (1, 39.0, 1, -1.0),  # one epoch is trained and validated whatever the limit
        (2, 100.0, 4, 0.0),  # 10, 10 + 30, 10, 10 + 30
        (2, 99.0, 3, 9.0),  # a fourth would end at 100, so the third is validated at once
    ],
)
def test_no_epoch_starts_that_would_not_end_in_time_with_its_validation(
    validate_every: int, seconds: float, epochs: int, seconds_left: float, clock: Clock
) -> None:
    deadline = clock.now + seconds
    settings = replace(SETTINGS, epochs=100, validate_every=validate_every)
    validate = scripted_validation([0.1] * 9, lambda: clock.advance(30.0))
    options = {"deadline": deadline, "validation_seconds": 30.0}
    result = train(Number(clock, 10.0), KnownBatches(2), settings, validate=validate, **options)
    assert (result.epochs, result.stopped_by, deadline - clock.now) == (epochs, "max_minutes", seconds_left)


@pytest.mark.parametrize(("seconds", "epochs"), [(35.0, 3), (40.0, 4), (50.0, 5)])
def test_without_validation_only_epochs_have_to_end_in_time(seconds: float, epochs: int, clock: Clock) -> None:
    options = {"deadline": clock.now + seconds, "validation_seconds": 7.0}
    result = train(Number(clock, 10.0), KnownBatches(2), replace(SETTINGS, epochs=100), **options)
    assert (result.epochs, result.best_epoch, result.stopped_by) == (epochs, None, "max_minutes")


def test_an_epoch_is_cut_short_where_its_validation_would_be_late(clock: Clock) -> None:
    model, settings = Number(clock, 10.0), replace(SETTINGS, epochs=100)
    validate = scripted_validation([0.4], lambda: clock.advance(10.0))
    options = {"deadline": clock.now + 35.0, "validation_seconds": 10.0}
    result = train(model, KnownBatches(*[1] * 9), settings, validate=validate, **options)
    assert (len(model.modes), result.epochs, result.best_epoch, result.stopped_by) == (3, 1, 1, "max_minutes")


@pytest.mark.parametrize(
    ("seconds_between", "saved"), [(0.0, [1, 2, 3, 4]), (15.0, [1, 3, 4]), (20.0, [1, 4]), (1e9, [1, 4])]
)
def test_checkpoints_are_written_after_the_first_and_last_epoch_and_when_due(
    seconds_between: float, saved: list[int], clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs: list[int] = []
    monkeypatch.setattr(LOOP, "save_checkpoint", lambda *arguments: epochs.append(arguments[3].epoch))
    options = {"checkpoint": tmp_path / "checkpoint", "seconds_between_checkpoints": seconds_between}
    train(Number(clock, 10.0), KnownBatches(2), **options)
    assert epochs == saved


def test_lines_of_a_log_show_epoch_loss_value_and_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(LOOP, "log_line", lines.append)
    validate = scripted_validation([0.125, 0.25], lambda: clock.advance(5.0))
    train(Number(clock, 10.0), KnownBatches(2), validate=validate, show_progress=True, description="mf selection")
    assert lines == [
        "mf selection: epoch 2 of 4, loss 2.0000 recall@20 0.1250, 25.0 s, at most 25.0 s left",
        "mf selection: epoch 4 of 4, loss 2.0000 recall@20 0.2500, stopped by epochs after 50.0 s",
    ]
    lines.clear()
    train(Number(clock, 10.0), KnownBatches(2), show_progress=True)
    assert lines == ["training: epoch 4 of 4, loss 2.0000, stopped by epochs after 40.0 s"]
    lines.clear()
    train(Number(clock, 10.0), KnownBatches(2), validate=scripted_validation([0.1, 0.2]))
    assert lines == []


@pytest.mark.parametrize(
    ("l2", "remedy"),
    [
        (
            float("inf"),
            r"the L2 penalty inf and the times \[\] in epoch 1: training diverged; lower `l2`, which is 0.5",
        ),
        (float("nan"), "the L2 penalty nan .* lower `l2`, which is 0.5"),
    ],
)
def test_a_penalty_that_diverges_is_named(l2: float, remedy: str) -> None:
    with pytest.raises(FloatingPointError, match=rf"the loss became 2.0, {remedy}"):
        train(Number(l2=l2), KnownBatches(2), replace(SETTINGS, l2=0.5))


def test_rates_that_a_recording_reads_are_changed_in_place() -> None:
    settings = TrainingSettings(learning_rate=0.02, schedule="cosine", cuda_graphs=True)
    stepper = Stepper(Number(), settings)
    (rate,) = (group["lr"] for group in stepper.optimizer.param_groups)
    for progress, share in ((0.0, 1.0), (0.5, 0.5), (2 / 3, 0.25)):
        stepper.set_rates(progress)
        assert rate.item() == pytest.approx(0.02 * share)


def test_steps_that_look_values_up_cannot_be_recorded() -> None:
    stepper = Stepper(Number(), replace(SETTINGS, cuda_graphs=True))
    with pytest.raises(ValueError, match="`cuda_graphs` needs a model whose steps look nothing up"):
        stepper.steps()


def test_cuda_graphs_need_a_gpu() -> None:
    with pytest.raises(ValueError, match="`cuda_graphs` needs a CUDA GPU, the batches are on cpu; leave it false"):
        train(Number(), KnownBatches(2), replace(SETTINGS, cuda_graphs=True))
