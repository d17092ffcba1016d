"""Runs that read the order of histories, and runs that never see one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ltocf.data import Interactions, load_dataset
from ltocf.runs.config import Config, DataSettings
from ltocf.runs.experiment import load, train
from ltocf.runs.folder import RunFolder
from ltocf.runs.preparation import prepare_data
from ltocf.runs.production import fit
from ltocf.runs.update import update
from samples import random_interactions

LOG = random_interactions(30, 40, 0.3)


def write_lines(folder: Path, seed: int) -> Path:
    """The same sets of items for any seed, in another order; the last fifth of them is the test part."""
    folder.mkdir()
    test = np.random.default_rng(0).random(len(LOG)) < 0.2
    for name, part in (("train.txt", LOG.where(~test)), ("test.txt", LOG.where(test))):
        lines = []
        for user in range(30):
            items = np.random.default_rng(seed + user).permutation(part.items[part.users == user])
            lines.append(" ".join(map(str, [user, *items])))
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def run(source: Path, out: Path, **settings: Any) -> dict[str, Any]:
    return train(source, out, model="ease", show_progress=False, **settings)


def measured(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in metrics.items() if "@" in name or name in ("learned", "selected")}


def test_a_run_without_recency_never_sees_an_order(tmp_path: Path) -> None:
    first, second = (write_lines(tmp_path / name, seed) for name, seed in (("a", 0), ("b", 99)))
    runs = [run(source, tmp_path / f"run-{source.name}", lines_in_time=True) for source in (first, second)]
    assert measured(runs[0]) == measured(runs[1])
    assert {metrics["history"] for metrics in runs} == {"as a set"}
    in_order = [
        run(source, tmp_path / f"aged-{source.name}", lines_in_time=True, recency="auto") for source in (first, second)
    ]
    assert {metrics["history"] for metrics in in_order} == {"in order"}
    assert measured(in_order[0]) != measured(in_order[1])
    unordered = run(first, tmp_path / "unordered", recency="auto")
    assert unordered["history"] == "as a set"
    assert measured(unordered) == measured(runs[0])


def test_places_are_kept_in_run_and_model_and_timestamps_are_not_made_of_them(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a", 0)
    run(source, tmp_path / "run", lines_in_time=True, recency="auto", epochs=2)
    kept = RunFolder(tmp_path / "run").read_data().split.train
    assert kept.timestamps is None
    assert kept.places is not None
    trained = load(tmp_path / "run")
    assert trained.seen.places is not None
    with pytest.raises(ValueError, match="needs timestamps"):
        trained.snapshot.popular(3, days=1)
    again = fit(like=tmp_path / "run", show_progress=False)
    assert len(again.seen) == len(LOG)
    assert again.seen.places is not None
    unsaid = prepare_data(Config(DataSettings(str(source))))
    assert unsaid.split.train.places is None


def carved(source: Path, **settings: Any) -> tuple[Interactions, Interactions, Interactions]:
    split = prepare_data(Config(DataSettings(str(source), validation_split="auto", **settings))).split
    assert split.validation is not None
    return split.train, split.validation, split.test


def test_the_validation_part_is_made_as_the_test_part_is(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "a", 0)
    train_part, validation, test = carved(source, lines_in_time=True)
    assert train_part.places is not None
    assert validation.places is not None
    for user in range(30):
        before, after = (part.places[part.users == user] for part in (train_part, validation))
        assert not len(after) or before.max() < after.min()
    share = len(test) / (len(test) + len(validation) + len(train_part))
    assert len(validation) / (len(validation) + len(train_part)) == pytest.approx(share, abs=0.02)
    at_random = carved(source)[1]
    by_name = prepare_data(Config(DataSettings(str(source)))).split.validation
    assert by_name is not None
    assert at_random.keys.tolist() == by_name.keys.tolist()


def test_splits_by_time_are_validated_by_time(tmp_path: Path) -> None:
    rows = [f"{user},{item},{place}" for place, (user, item) in enumerate(zip(LOG.users, LOG.items, strict=True))]
    (tmp_path / "log.csv").write_text("user,item,timestamp\n" + "\n".join(rows) + "\n")
    train_part, validation, _ = carved(tmp_path / "log.csv", split="leave-last-out")
    for user in np.flatnonzero(validation.user_degrees):
        before, after = (part.timestamps[part.users == user] for part in (train_part, validation))
        assert before.max() < after.min()
    assert load_dataset(tmp_path / "log.csv").is_in_order


def test_new_events_come_after_what_was_there(tmp_path: Path) -> None:
    run(write_lines(tmp_path / "a", 0), tmp_path / "run", lines_in_time=True, recency="auto", epochs=2)
    before = load(tmp_path / "run")
    fresh = [item for item in range(40) if item not in before.history(3)["item"].to_list()][:2]
    after = update(tmp_path / "run", [(3, fresh[0], 9), (3, fresh[1], 5), (99, 0, 7)])
    mine = after.seen.users == 3
    order = after.seen.items[mine][np.argsort(after.seen.places[mine])]
    assert order[-2:].tolist() == [fresh[1], fresh[0]]  # by their own times
    assert after.model.reads_order
    assert after.model.learned() == before.model.learned()
