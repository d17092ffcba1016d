"""The training loop selects, stops, resumes with the same bits, and reports a training that diverged."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF, MF, GradientRecommender, build_model
from ltocf.sampling import PairwiseBatches
from ltocf.training import FitContext, FitResult, TrainingSettings, fit
from ltocf.training.checkpoint import TrainingState
from ltocf.training.fit import _validate_and_decide
from ltocf.training.step import Stepper
from samples import random_interactions

SETTINGS = TrainingSettings(learning_rate=0.02, time_learning_rate=0.05, batch_size=64, epochs=6, validate_every=2)


class CrashError(Exception):
    """Stands for a crash: nothing in the package catches it."""


def train_ltocf(log: Interactions, settings: TrainingSettings = SETTINGS, **arguments: Any) -> tuple[LTOCF, FitResult]:
    model = LTOCF(BipartiteGraph.from_interactions(log), dim=4)
    validate = arguments.pop("validate", None)
    batches = PairwiseBatches(log, settings.batch_size, seed=0)
    result = fit(model, batches, settings=settings, validate=validate, context=FitContext(**arguments))
    return model, result


def scripted_validation(values: list[float]) -> Any:
    remaining = iter(values)
    return lambda: {"recall@20": next(remaining)}


def same_weights(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    return all(a.equal(b) for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True))


def test_loss_falls_and_times_move(interactions: Interactions) -> None:
    records: list[dict[str, Any]] = []
    model, result = train_ltocf(interactions, on_epoch=records.append)
    assert records[-1]["loss"] < records[0]["loss"]
    assert records[-1]["times"] == model.times.values.tolist()
    assert records[-1]["times"] != [1.0, 2.0, 3.0]
    assert (result.epochs, result.stopped_by, result.best_epoch) == (6, "epochs", None)


def test_training_ends_with_the_weights_of_the_best_validation(interactions: Interactions) -> None:
    model, result = train_ltocf(interactions, validate=scripted_validation([0.1, 0.3, 0.2]))
    assert (result.best_epoch, result.best_value) == (4, 0.3)
    settings = replace(SETTINGS, epochs=4)
    assert same_weights(model, train_ltocf(interactions, settings)[0])


def test_patience_counts_validations(interactions: Interactions) -> None:
    settings = replace(SETTINGS, epochs=100, patience=2)
    _, result = train_ltocf(interactions, settings, validate=scripted_validation([0.3, 0.2, 0.3, 0.4]))
    assert (result.epochs, result.stopped_by, result.best_epoch) == (6, "patience", 2)


def test_without_time_left_training_stops_after_an_epoch_and_keeps_the_best(interactions: Interactions) -> None:
    _, result = train_ltocf(interactions, validate=scripted_validation([0.5]), deadline=time.monotonic())
    assert (result.epochs, result.stopped_by, result.best_epoch) == (1, "max_minutes", 1)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"time_updates": "alternating"},
        {"schedule": "cosine", "warm_up": 0.3},
        {"schedule": "constant", "warm_up": 0.5},
        {"schedule": "cosine", "epoch_share": 0.4},
    ],
    ids=str,
)
@pytest.mark.parametrize("crash_at", [1, 3, 6])
def test_a_crashed_training_resumes_with_the_same_bits(
    interactions: Interactions, tmp_path: Path, crash_at: int, change: dict[str, Any]
) -> None:
    settings = replace(SETTINGS, **change)
    values = [0.1, 0.3, 0.2]
    whole, expected = train_ltocf(interactions, settings, validate=scripted_validation(values))

    def crash(record: dict[str, Any]) -> None:
        if record["epoch"] == crash_at:
            raise CrashError

    checkpoint = tmp_path / "checkpoint.safetensors"
    options = {"checkpoint": checkpoint, "seconds_between_checkpoints": 0.0}
    with pytest.raises(CrashError):
        train_ltocf(interactions, settings, validate=scripted_validation(values), on_epoch=crash, **options)
    epochs_done = crash_at - 1
    resumed, result = train_ltocf(
        interactions, settings, validate=scripted_validation(values[epochs_done // 2 :]), checkpoint=checkpoint
    )
    assert same_weights(resumed, whole)
    untimed = {"seconds": 0.0, "repeating_seconds": 0.0}
    assert result._replace(**untimed) == expected._replace(**untimed)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ngcf", {"dim": 4, "n_layers": 1, "message_dropout": 0.4, "node_dropout": 0.2}),
        ("mult-vae", {"dim": 4, "hidden": 6}),
    ],
)
def test_dropout_depends_on_the_epoch_and_so_resumes_with_the_same_bits(
    interactions: Interactions, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    graph, checkpoint = BipartiteGraph.from_interactions(interactions), tmp_path / "checkpoint.safetensors"

    def train(epochs: int, **context: Any) -> torch.nn.Module:
        model = build_model(name, graph, options)
        settings = replace(SETTINGS, epochs=epochs)
        assert isinstance(model, GradientRecommender)
        fit(model, model.batches(interactions, 64, 0), settings=settings, context=FitContext(**context))
        return model

    def crash(record: dict[str, Any]) -> None:
        if record["epoch"] == 3:
            raise CrashError

    whole = train(5)
    with pytest.raises(CrashError):
        train(5, checkpoint=checkpoint, seconds_between_checkpoints=0.0, on_epoch=crash)
    torch.rand(11)  # a new process may have drawn any numbers before
    assert same_weights(train(5, checkpoint=checkpoint), whole)


def test_a_finished_checkpoint_is_not_trained_on(interactions: Interactions, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    first, expected = train_ltocf(interactions, checkpoint=checkpoint)
    resumed, result = train_ltocf(interactions, checkpoint=checkpoint, on_epoch=lambda _: pytest.fail("trained again"))
    assert same_weights(first, resumed)
    assert result == expected


def test_a_checkpoint_of_another_model_is_refused(interactions: Interactions, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    train_ltocf(interactions, checkpoint=checkpoint)
    other = MF(BipartiteGraph.from_interactions(interactions), dim=4)
    with pytest.raises(ValueError, match="holds another model"):
        fit(
            other,
            PairwiseBatches(interactions, 64, seed=0),
            settings=SETTINGS,
            context=FitContext(checkpoint=checkpoint),
        )


def test_alternating_updates_each_part_with_its_own_step(interactions: Interactions) -> None:
    """One batch by hand: the embeddings move first, then the times by the gradient at the moved embeddings."""
    settings = TrainingSettings(
        learning_rate=0.02, time_learning_rate=0.05, batch_size=10_000, epochs=1, time_updates="alternating"
    )
    trained, _ = train_ltocf(interactions, settings)
    model = LTOCF(BipartiteGraph.from_interactions(interactions), dim=4)
    (batch,) = PairwiseBatches(interactions, 10_000, seed=0).epoch(0)
    for parameters, rate in (([model.initial_embeddings], 0.02), ([model.times.values], 0.05)):
        optimizer = torch.optim.Adam(parameters, lr=rate)
        model.zero_grad()
        model(batch).total(settings.l2).backward()
        optimizer.step()
    torch.testing.assert_close(trained.initial_embeddings, model.initial_embeddings, atol=1e-6, rtol=0)
    torch.testing.assert_close(trained.times.values, model.times.values, atol=1e-6, rtol=0)


def test_cosine_schedule_scales_both_learning_rates(interactions: Interactions) -> None:
    """Two full batches by hand: at half of the epochs the rates are half."""
    settings = TrainingSettings(
        learning_rate=0.02, time_learning_rate=0.05, batch_size=10_000, epochs=2, schedule="cosine"
    )
    trained, _ = train_ltocf(interactions, settings)
    model = LTOCF(BipartiteGraph.from_interactions(interactions), dim=4)
    batches = PairwiseBatches(interactions, 10_000, seed=0)
    optimizer = torch.optim.Adam(
        [{"params": [model.initial_embeddings], "lr": 0.02}, {"params": [model.times.values], "lr": 0.05}]
    )
    for epoch, share in enumerate([1.0, 0.5]):
        for group, rate in zip(optimizer.param_groups, [0.02, 0.05], strict=True):
            group["lr"] = rate * share
        (batch,) = batches.epoch(epoch)
        optimizer.zero_grad()
        model(batch).total(settings.l2).backward()
        optimizer.step()
    torch.testing.assert_close(trained.initial_embeddings, model.initial_embeddings, atol=1e-6, rtol=0)
    torch.testing.assert_close(trained.times.values, model.times.values, atol=1e-6, rtol=0)


def test_divergence_is_an_error_that_says_what_to_do(interactions: Interactions) -> None:
    settings = TrainingSettings(learning_rate=1e30, epochs=5)
    with pytest.raises(FloatingPointError, match="diverged; lower"):
        train_ltocf(interactions, settings)


def test_an_epoch_ends_at_the_deadline(interactions: Interactions) -> None:
    """One step is taken whatever the time and none after it; the loss is the mean over the steps taken."""
    records: list[dict[str, Any]] = []
    settings = replace(SETTINGS, batch_size=8)
    model, _ = train_ltocf(interactions, settings, deadline=time.monotonic(), on_epoch=records.append)
    twin = LTOCF(BipartiteGraph.from_interactions(interactions), dim=4)
    first = next(PairwiseBatches(interactions, 8, seed=0).epoch(0))
    terms = twin(first)
    assert [record["loss"] for record in records] == [pytest.approx(terms.ranking.item())]
    assert not model.initial_embeddings.equal(twin.initial_embeddings)


@pytest.mark.parametrize(
    ("epoch_seconds", "validation_seconds", "seconds_left", "stops"),
    [(10, 5, 14.9, True), (10, 5, 15.1, False), (10, 5, 19.9, True), (10, 5, 20.1, False)],
)
def test_no_epoch_starts_that_would_not_end_in_time(
    epoch_seconds: int, validation_seconds: int, seconds_left: float, stops: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more epoch and its validation must fit, and the validation that is due now, if one is."""
    due = seconds_left > 16
    state = TrainingState(epoch=2 if due else 1, validation_seconds=float(validation_seconds))
    monkeypatch.setattr(FitContext, "seconds_left", lambda _: seconds_left)
    model = MF(BipartiteGraph.from_interactions(random_interactions()), dim=2)
    validate = scripted_validation([0.5, 0.5])
    _validate_and_decide(model, SETTINGS, validate, FitContext(), state, float(epoch_seconds))
    assert (state.stopped_by == "max_minutes") is stops
    assert (state.best_epoch > 0) is (due or stops)


def test_a_divergence_names_the_settings_to_lower(interactions: Interactions) -> None:
    with pytest.raises(FloatingPointError, match=r"not finite .* lower `learning_rate`, `time_learning_rate` or `l2`"):
        train_ltocf(interactions, replace(SETTINGS, learning_rate=1e38))
    model = MF(BipartiteGraph.from_interactions(interactions), dim=4)
    batches = PairwiseBatches(interactions, len(interactions), seed=0)
    with pytest.raises(FloatingPointError, match="lower `learning_rate` or `time_learning_rate`"):
        fit(model, batches, settings=replace(SETTINGS, learning_rate=1e38))


def test_without_a_terminal_each_validation_is_a_line(
    interactions: Interactions, capsys: pytest.CaptureFixture[str]
) -> None:
    train_ltocf(
        interactions, validate=scripted_validation([0.1, 0.3, 0.2]), show_progress=True, description="ltocf selection"
    )
    lines = [line for line in capsys.readouterr().err.splitlines() if line]  # rich before 15 ends with an empty one
    assert len(lines) == 3
    assert lines[0].startswith("ltocf selection: epoch 2 of 6, loss 0.6")
    assert "recall@20 0.3000" in lines[1]
    assert "left" in lines[1]
    assert "stopped by epochs" in lines[2]


def test_portions_of_a_pass_add_up_to_it(interactions: Interactions) -> None:
    """Four epochs of half a pass take the steps of two passes, each step at the same rate."""
    settings = replace(SETTINGS, batch_size=len(interactions) // 4 + 1, schedule="cosine", warm_up=0.2)
    passes, _ = train_ltocf(interactions, replace(settings, epochs=2))
    portions, result = train_ltocf(interactions, replace(settings, epochs=4, epoch_share=0.5))
    assert result.epochs == 4
    assert same_weights(passes, portions)


def test_the_last_epoch_cuts_a_schedule_short(interactions: Interactions) -> None:
    settings = replace(SETTINGS, schedule="cosine", warm_up=0.2)
    cut_off, result = train_ltocf(interactions, settings, last_epoch=4)
    assert (result.epochs, result.stopped_by) == (4, "epochs")
    by_hand = LTOCF(BipartiteGraph.from_interactions(interactions), dim=4)
    stepper, batches = Stepper(by_hand, settings), PairwiseBatches(interactions, settings.batch_size, seed=0)
    (step,) = stepper.steps()
    by_hand.train()
    for epoch in range(4):
        for place, batch in enumerate(batches.epoch(epoch)):
            stepper.set_rates((epoch + place / len(batches)) / settings.epochs)
            step(batch)
    assert same_weights(cut_off, by_hand)
    assert not same_weights(cut_off, train_ltocf(interactions, replace(settings, epochs=4))[0])
