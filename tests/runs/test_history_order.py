"""Runs that read the order of histories, and runs that never see one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ltocf.data import Interactions, load_dataset
from ltocf.graph import BipartiteGraph
from ltocf.models import Blend, Recency, history, history_rescoring
from ltocf.models.drift import NO_DRIFT, Drift
from ltocf.runs import contest, protocol
from ltocf.runs.candidates import Candidate
from ltocf.runs.config import Config
from ltocf.runs.experiment import load, resume, train
from ltocf.runs.folder import RunFolder
from ltocf.runs.preparation import prepare_data
from ltocf.runs.production import fit
from ltocf.runs.retraining import Selected, prepare_retraining, restore_selected_if_cut
from ltocf.runs.settings import DataSettings
from ltocf.runs.update import update
from ltocf.serving import TrainedModel
from ltocf.training import FitContext, FitResult, TrainingSettings
from samples import random_interactions

LOG = random_interactions(30, 40, 0.3)


def write_lines(folder: Path, seed: int) -> Path:
    """The same sets of items for any seed, in another order; the last fifth of them is the test set."""
    folder.mkdir()
    test = np.random.default_rng(0).random(len(LOG)) < 0.2
    for name, part in (("train.txt", LOG.where(~test)), ("test.txt", LOG.where(test))):
        lines = []
        for user in range(30):
            items = np.random.default_rng(seed + user).permutation(part.items[part.users == user])
            lines.append(" ".join(map(str, [user, *items])))
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def train_ease(source: Path, out: Path, **settings: Any) -> dict[str, Any]:
    return train(source, out, model="ease", show_progress=False, **settings)


def measurements(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if "@" in name or name in ("learned", "selected")}


def test_a_run_without_recency_does_not_depend_on_the_order(tmp_path: Path) -> None:
    first, second = (write_lines(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 99)))
    runs = [
        train_ease(
            source, tmp_path / f"run-{source.name}", lines_in_time=True, recency="off", validation_split="random"
        )
        for source in (first, second)
    ]
    assert measurements(runs[0]) == measurements(runs[1])
    assert {metrics["history"] for metrics in runs} == {"as a set"}
    in_order = [
        train_ease(source, tmp_path / f"aged-{source.name}", lines_in_time=True, recency="auto")
        for source in (first, second)
    ]
    assert {metrics["history"] for metrics in in_order} == {"in order"}
    assert measurements(in_order[0]) != measurements(in_order[1])
    unordered = train_ease(first, tmp_path / "unordered", recency="auto")
    assert unordered["history"] == "as a set"
    assert measurements(unordered) == measurements(runs[0])


def test_places_are_kept_in_run_and_model_and_do_not_become_timestamps(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a", 0)
    train_ease(source, tmp_path / "run", lines_in_time=True, recency="auto", epochs=2)
    kept = RunFolder(tmp_path / "run").read_data().split.train
    assert kept.timestamps is None
    assert kept.places is not None
    trained = load(tmp_path / "run")
    assert trained.seen.places is not None
    with pytest.raises(ValueError, match="needs timestamps"):
        trained.snapshot.popular(3, days=1)
    fitted = fit(like=tmp_path / "run", show_progress=False)
    assert len(fitted.seen) == len(LOG)
    assert fitted.seen.places is not None
    by_default = prepare_data(Config(DataSettings(str(source))))
    assert by_default.split.train.places is None


def split_parts(source: Path, **settings: Any) -> tuple[Interactions, Interactions, Interactions]:
    split = prepare_data(Config(DataSettings(str(source), **settings))).split
    assert split.validation is not None
    return split.train, split.validation, split.test


def test_the_validation_set_is_taken_out_as_the_test_set_is(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a", 0)
    train_part, validation, test = split_parts(source, lines_in_time=True)
    assert train_part.places is not None
    assert validation.places is not None
    for user in range(30):
        before, after = (part.places[part.users == user] for part in (train_part, validation))
        assert not len(after) or before.max() < after.min()
    share = len(test) / (len(test) + len(validation) + len(train_part))
    assert len(validation) / (len(validation) + len(train_part)) == pytest.approx(share, abs=0.02)
    at_random = split_parts(source)[1]
    by_name = split_parts(source, lines_in_time=True, validation_split="random")[1]
    assert at_random.keys.tolist() == by_name.keys.tolist() != validation.keys.tolist()


@pytest.mark.parametrize("in_time", [True, False])
def test_a_core_is_no_choice_for_recency(in_time: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Pairs outside the core stay in the histories, even if they came after the validation set."""
    dataset = load_dataset(write_lines(tmp_path / "a", 0), lines_in_time=in_time)
    for recency in ("auto", "off"):
        settings = DataSettings(str(tmp_path / "a"), validation_core=6)
        caplog.clear()
        prepare_data(Config(settings, "spectral").with_values({"recency": recency}), dataset)
        assert ("set validation_core = 0" in caplog.text) == (in_time and recency == "auto")


def write_log(folder: Path) -> Path:
    """The same pairs as a log whose rows are in order of time."""
    rows = [f"{user},{item},{place}" for place, (user, item) in enumerate(zip(LOG.users, LOG.items, strict=True))]
    (folder / "log.csv").write_text("user,item,timestamp\n" + "\n".join(rows) + "\n")
    return folder / "log.csv"


def all_come_after(earlier: Interactions, later: Interactions) -> bool:
    """Whether all pairs of each user in ``later`` come after those in ``earlier``."""
    column = "timestamps" if earlier.timestamps is not None else "places"
    for user in np.flatnonzero(later.user_degrees):
        before, after = (getattr(part, column)[part.users == user] for part in (earlier, later))
        if before.max() >= after.min():
            return False
    return True


def test_leaving_out_the_last_item_validates_on_the_one_before(tmp_path: Path) -> None:
    source = write_log(tmp_path)
    train_part, validation, test = split_parts(source, split="leave-last-out")
    assert validation.user_degrees.tolist() == test.user_degrees.tolist() == [1] * 30
    assert all_come_after(train_part, validation)
    assert all_come_after(validation, test)
    share = split_parts(source, split="leave-last-out", validation_split="last", validation_fraction=0.3)[1]
    assert len(share) > 2 * len(validation)


@pytest.mark.parametrize("kind", ["log", "lines"])
def test_without_a_test_set_the_latest_pairs_are_the_validation_set(tmp_path: Path, kind: str) -> None:
    in_time = write_log(tmp_path) if kind == "log" else write_lines(tmp_path / "a", 0)
    options = {} if kind == "log" else {"lines_in_time": True}
    train_part, validation, test = split_parts(in_time, split="none", **options)
    assert len(test) == 0
    assert all_come_after(train_part, validation)
    assert len(validation) == pytest.approx(0.1 * len(LOG), abs=15)


def test_fit_validates_on_the_latest_pairs_by_default(tmp_path: Path) -> None:
    fit(write_log(tmp_path), tmp_path / "run", model="ease", epochs=2, show_progress=False)
    split = RunFolder(tmp_path / "run").read_data().split
    assert split.validation is not None
    assert all_come_after(split.train, split.validation)


def test_a_random_test_set_has_a_random_validation_set(tmp_path: Path) -> None:
    source = write_log(tmp_path)
    train_part, validation, _ = split_parts(source)
    assert not all_come_after(train_part, validation)
    assert validation.keys.tolist() == split_parts(source, validation_split="random")[1].keys.tolist()


@pytest.mark.parametrize(
    ("model", "values", "data", "warned"),
    [
        ("ease", {"recency": "auto"}, {"split": "leave-last-out", "validation_split": "random"}, True),
        ("ease", {"recency": "auto"}, {"split": "none", "validation_split": "random"}, True),
        ("blend", {"members": [{"model": "ease", "recency": "auto"}]}, {"split": "time"}, True),
        ("ease", {"recency": "auto"}, {"split": "leave-last-out"}, False),
        ("ease", {"recency": "off"}, {"split": "leave-last-out", "validation_split": "random"}, False),
        ("ease", {"recency": "auto"}, {"validation_split": "random"}, False),
        ("ease", {"recency": "auto"}, {}, False),
    ],
    ids=["last", "fit", "blend", "as-the-test", "a-set", "random-test", "defaults"],
)
def test_recency_chosen_on_pairs_that_are_not_the_latest_gives_a_warning(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    model: str,
    values: dict[str, Any],
    data: dict[str, Any],
    warned: bool,
) -> None:
    if model == "blend":
        data = data | {"validation_split": "random"}
    prepare_data(Config(DataSettings(str(write_log(tmp_path)), **data), model, values))
    text = "the power of recency is chosen on pairs that are not the latest: set validation_split = 'auto'"
    assert caplog.messages.count(text) == warned


def test_a_split_by_time_has_a_validation_set_by_time(tmp_path: Path) -> None:
    source = write_log(tmp_path)
    train_part, validation, test = split_parts(source, split="time")
    assert all_come_after(train_part, validation)
    share = len(test) / len(LOG)
    assert len(validation) == pytest.approx(share * (len(train_part) + len(validation)), abs=15)
    assert load_dataset(source).is_in_order


def test_new_events_come_after_the_known_history(tmp_path: Path) -> None:
    train_ease(write_lines(tmp_path / "a", 0), tmp_path / "run", lines_in_time=True, recency="auto", epochs=2)
    before = load(tmp_path / "run")
    new_items = [item for item in range(40) if item not in before.history(3)["item"].to_list()][:2]
    after = update(tmp_path / "run", [(3, new_items[0], 9), (3, new_items[1], 5), (99, 0, 7)])
    of_user = after.seen.users == 3
    history = after.seen.items[of_user][np.argsort(after.seen.places[of_user])]
    assert history[-2:].tolist() == [new_items[1], new_items[0]]  # in the order of their timestamps
    assert after.model.reads_order
    assert after.model.learned() == before.model.learned()


DRIFT = Drift(0.5, 3.0)
FACTORS = ("recency_in_items", "trend")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Interactions, Interactions, int]]:
    """The arguments of each measurement of the drift, which always is `DRIFT`."""
    calls: list[tuple[Interactions, Interactions, int]] = []

    def measured_drift(train: Interactions, validation: Interactions, seed: int) -> Drift:
        calls.append((train, validation, seed))
        return DRIFT

    monkeypatch.setattr(protocol, "measured_drift", measured_drift)
    return calls


def recencies(folder: Path) -> tuple[list[list[float]], list[list[float]]]:
    """Power and trend of each member of the selected and of the final model of a run."""
    selected, final = (
        [[each.learned()[name] for name in FACTORS] for each in getattr(model, "models", [model])]
        for model in (
            TrainedModel.load(file).model
            for file in (RunFolder(folder).selection_model_file, RunFolder(folder).model_file)
        )
    )
    return selected, final


def extrapolated(selected: list[list[float]]) -> list[Any]:
    return [pytest.approx([value * factor for value, factor in zip(each, DRIFT, strict=True)]) for each in selected]


def chosen_recency(monkeypatch: pytest.MonkeyPatch) -> None:
    """Selection always chooses a power of 0.8 and a trend of 0.4."""
    monkeypatch.setattr(history, "best_recency", lambda *_: (Recency(0.8, trend=0.4), False))
    monkeypatch.setattr(history_rescoring, "best_recency", lambda *_: (Recency(0.8, trend=0.4), False))


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("item-knn", {}),
        ("ltocf", {"retraining": "repeated"}),
        ("ltocf", {"retraining": "continued"}),
        ("ltocf", {"retraining": "compressed"}),
        ("blend", {"members": [{"model": "item-knn", "recency": "auto"}]}),
    ],
    ids=["item-knn", "repeated", "continued", "compressed", "blend"],
)
def test_recency_is_extrapolated_before_retraining(
    model: str, more: dict[str, Any], tmp_path: Path, measured: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen_recency(monkeypatch)
    source = write_lines(tmp_path / "a", 0)
    settings: dict[str, Any] = {"lines_in_time": True, "epochs": 2, "seed": 7, "show_progress": False}
    metrics = train(source, tmp_path / "run", model=model, init="random", **settings, **more)
    selected, final = recencies(tmp_path / "run")
    assert selected != final == extrapolated(selected)
    assert metrics["recency_drift"] == DRIFT._asdict()
    ((pairs, validation, seed),) = measured
    split = RunFolder(tmp_path / "run").read_data().split
    assert (len(pairs), len(validation), seed) == (len(split.train), len(split.validation or ()), 7)


@pytest.mark.parametrize("more", [{"extrapolate_recency": False}, {"recency": "off"}], ids=["off", "as a set"])
def test_drift_is_measured_only_where_it_is_used(more: dict[str, Any], tmp_path: Path, measured: list[Any]) -> None:
    metrics = train_ease(write_lines(tmp_path / "a", 0), tmp_path / "run", lines_in_time=True, **more)
    assert measured == []
    assert metrics.get("recency_drift", NO_DRIFT._asdict()) == NO_DRIFT._asdict()


def test_drift_is_left_out_if_time_is_short(
    tmp_path: Path, measured: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(protocol, "drift_minutes", lambda *_: 1.0)
    caplog.set_level("INFO", "ltocf")
    metrics = train_ease(write_lines(tmp_path / "a", 0), tmp_path / "run", lines_in_time=True, max_minutes=5.0)
    assert (measured, metrics["recency_drift"]) == ([], NO_DRIFT._asdict())
    assert "no time to measure" in caplog.text
    roomy = train_ease(write_lines(tmp_path / "b", 0), tmp_path / "roomy", lines_in_time=True, max_minutes=50.0)
    assert (len(measured), roomy["recency_drift"]) == (1, DRIFT._asdict())


def test_a_contest_measures_the_drift_once(
    tmp_path: Path, measured: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [Candidate("item-knn", "item-knn", {}), Candidate("ease", "ease", {})]
    monkeypatch.setattr(contest, "candidates_for", lambda *_: few)
    chosen_recency(monkeypatch)
    metrics = train(write_lines(tmp_path / "a", 0), tmp_path / "run", lines_in_time=True, show_progress=False)
    assert metrics["recency_drift"] == DRIFT._asdict()
    assert len(measured) == 1
    selected, final = recencies(tmp_path / "run")
    assert selected != final == extrapolated(selected)


def test_a_resumed_run_keeps_the_drift_that_it_measured(
    tmp_path: Path, measured: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    settings: dict[str, Any] = {"model": "item-knn", "lines_in_time": True, "show_progress": False}
    with monkeypatch.context() as patched:
        patched.setattr(protocol, "prepare_retraining", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(write_lines(tmp_path / "a", 0), tmp_path / "run", **settings)
    assert len(measured) == 1
    metrics = resume(tmp_path / "run", show_progress=False)
    assert (len(measured), metrics["recency_drift"]) == (1, DRIFT._asdict())
    assert not (tmp_path / "run" / "drift.json").exists()


def test_a_contest_without_extrapolation_measures_no_drift(
    tmp_path: Path, measured: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "candidates_for", lambda *_: [Candidate("item-knn", "item-knn", {})])
    chosen_recency(monkeypatch)
    source = write_lines(tmp_path / "a", 0)
    metrics = train(
        source, tmp_path / "run", lines_in_time=True, model="auto", extrapolate_recency=False, show_progress=False
    )
    assert (measured, metrics["recency_drift"]) == ([], NO_DRIFT._asdict())
    selected, final = recencies(tmp_path / "run")
    assert selected == final


@pytest.mark.parametrize("retraining", ["repeated", "compressed"])
def test_weights_that_are_restored_are_extrapolated_once(retraining: Any) -> None:
    ordered = Interactions.from_pairs(LOG.users, LOG.items, 30, 40, places=np.arange(len(LOG)))
    graph = BipartiteGraph.from_interactions(ordered)
    members = [{"model": "item-knn", "recency": "auto"}, {"model": "ltocf", "recency": "auto", "dim": 4}]
    chosen, model = Blend(graph, members), Blend(graph, members)
    chosen.models[0].state_dict()["numbers"][-2:] = torch.tensor([0.8, 0.4])
    for name, value in (("power", 0.8), ("trend", 0.4)):
        chosen.models[1].state_dict()[f"ranking_numbers.{name}"].fill_(value)
    settings, context = TrainingSettings(retraining=retraining), FitContext(deadline=1.0)
    selected = Selected(chosen, FitResult(5, 5, 0.1, 1.0, "epochs"), DRIFT)
    settings, context = prepare_retraining(model, selected, settings, context)
    restore_selected_if_cut(model, selected, FitResult(1, None, None, 1.0, "max_minutes"), settings, context)
    for each in model.models:
        assert [each.learned()[name] for name in FACTORS] == pytest.approx([0.4, 1.2])
