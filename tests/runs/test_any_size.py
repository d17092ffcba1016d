"""Data of any size train with the defaults: short histories, few items, few users, one giant user."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ltocf
from ltocf.runs.folder import RunFolder
from ltocf.runs.preparation import selection_metric

Pairs = list[tuple[int, int]]
RANDOM = np.random.default_rng(0)
LOGS: dict[str, Pairs] = {
    "five items": [(user, int(item)) for user in range(40) for item in RANDOM.choice(5, 3, replace=False)],
    "two items each": [(user, int(item)) for user in range(40) for item in RANDOM.choice(300, 2, replace=False)],
    "a giant user": [(0, item) for item in range(300)],
    "a giant among small ones": [*((0, item) for item in range(300)), *((user, 7 * user) for user in range(1, 40))],
    "everybody has everything": [(user, item) for user in range(6) for item in range(4)],
    "one item each": [(user, user % 7) for user in range(40)],
    "one pair": [(0, 0)],
}


@pytest.mark.parametrize("model", ["ltocf", "spectral"])
@pytest.mark.parametrize("name", LOGS)
def test_the_defaults_train_and_recommend(name: str, model: str, tmp_path: Path) -> None:
    metrics = ltocf.train(LOGS[name], tmp_path / "run", model=model, show_progress=False)
    users = sorted({user for user, _ in LOGS[name]})
    answers = ltocf.load(tmp_path / "run").recommend(users, k=1, exclude_seen=False)
    assert answers["user"].unique().sort().to_list() == users
    if name in ("one item each", "one pair"):
        assert not [key for key in metrics if "@" in key]
        assert "nothing is held back" in metrics["protocol"]
    else:
        assert [value for key, value in metrics.items() if "@" in key and not 0 <= value <= 1] == []


def test_fit_trains_on_every_pair_and_recommends_none_of_them(tmp_path: Path) -> None:
    trained = ltocf.fit(LOGS["five items"], tmp_path / "run", epochs=1, dim=4, show_progress=False)
    pairs = {(user, item) for user, item in LOGS["five items"]}
    assert len(trained.seen) == len(pairs)
    answers = trained.recommend(list(range(40)), k=2)
    assert len(answers) == 80
    assert not pairs & set(answers.select("user", "item").iter_rows())
    with pytest.raises(ValueError, match='holds nothing back for a test; use `on = "validation"`'):
        ltocf.evaluate_run(tmp_path / "run")
    assert 0 < ltocf.evaluate_run(tmp_path / "run", on="validation")["recall@5"] <= 1


def test_fit_takes_settings_and_data_of_a_run(tmp_path: Path) -> None:
    ltocf.train(LOGS["five items"], tmp_path / "measured", epochs=1, dim=4, show_progress=False)
    ltocf.fit(like=tmp_path / "measured", out=tmp_path / "used", seed=3, show_progress=False)
    measured, used = RunFolder(tmp_path / "measured").config(), RunFolder(tmp_path / "used").config()
    assert used == measured.with_values({"split": "none", "seed": 3})
    parts = RunFolder(tmp_path / "measured").read_data().split
    assert parts.validation is not None
    all_pairs = parts.train.union(parts.test).union(parts.validation)
    assert ltocf.load(tmp_path / "used").seen.keys.tolist() == all_pairs.keys.tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give the data to fit, or `like=` a run"),
        ({"config": "a.toml", "like": "run"}, "give `config` or `like`, not both"),
        ({"source": [(0, 1)], "split": "time"}, "`split` must be left out: fit holds nothing back, got 'time'"),
    ],
)
def test_fit_refuses_contradictory_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ltocf.fit(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("requested", "n_items", "expected"),
    [
        ("recall@20", 21, "recall@20"),
        ("recall@20", 20, "recall@10"),
        ("ndcg@20", 3, "ndcg@1"),
        ("mrr@5", 1, "mrr@1"),
    ],
)
def test_selection_lists_are_shorter_than_the_catalogue(requested: str, n_items: int, expected: str) -> None:
    assert selection_metric(requested, n_items) == expected
