"""Every user has one row, however many workers wrote, and whatever happened to them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ltocf
from dying_workers import DiesOnce, always_dies, dies_once
from ltocf.scale import recommend_all as everybody
from ltocf.scale.recommend_all import Worker, recommend_all
from ltocf.serving import TrainedModel

N_USERS = 45


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("run") / "run"
    pairs = [(f"u{user:02}", int(item)) for user in range(N_USERS) for item in random.integers(0, 30, 6)]
    ltocf.fit(pairs, folder, model="popularity", show_progress=False)
    return folder / "model.safetensors"


def _lists(out: Path) -> pl.DataFrame:
    return pl.read_parquet(sorted(out.glob("part-*.parquet")))


def _expected(model: Path, k: int) -> pl.DataFrame:
    frame = pl.concat(list(TrainedModel.load(model).snapshot.recommend_all(k)))
    return frame.group_by("user", maintain_order=True).agg(pl.col("item").alias("items"))


def test_one_row_for_each_user(model: Path, tmp_path: Path) -> None:
    assert recommend_all(model, tmp_path / "out", 4, workers=1, users_per_part=10, show_progress=False) == N_USERS
    lists = _lists(tmp_path / "out")
    assert lists.columns == ["user", "items", "scores", "by"]
    assert lists.select("user", "items").equals(_expected(model, 4))
    assert len(list((tmp_path / "out").glob("part-*.parquet"))) == 5


def test_finished_parts_are_not_written_again(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_three_parts(worker: Worker, part: int) -> int:
        if part == 3:
            raise KeyboardInterrupt
        return write(worker, part)

    write = Worker.write
    with monkeypatch.context() as patched:
        patched.setattr(Worker, "write", write_three_parts)
        with pytest.raises(KeyboardInterrupt):
            recommend_all(model, tmp_path / "out", 4, workers=1, users_per_part=10, show_progress=False)
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("part-*.parquet")}
    assert len(before) == 3
    recommend_all(model, tmp_path / "out", 4, workers=1, users_per_part=10, show_progress=False)
    assert _lists(tmp_path / "out").select("user", "items").equals(_expected(model, 4))
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_parts_of_a_killed_process_are_written_again(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everybody, "write_share", dies_once)
    recommend_all(model, tmp_path / "out", 4, workers=2, users_per_part=15, show_progress=False)
    assert [marker.name for marker in tmp_path.glob("killed-*")] == ["killed-0"]
    lists = _lists(tmp_path / "out")
    assert lists.select("user", "items").equals(_expected(model, 4))
    assert not list((tmp_path / "out").glob(".*.part"))


def test_a_part_that_kills_its_workers_is_given_up(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(everybody, "write_share", always_dies)
    monkeypatch.setattr(everybody, "ROUNDS", 2)
    with pytest.raises(RuntimeError, match="died 2 times"):
        recommend_all(model, tmp_path / "out", 4, workers=2, users_per_part=30, show_progress=False)


def test_users_without_a_list_have_an_empty_row(model: Path, tmp_path: Path) -> None:
    trained = TrainedModel.load(model)
    seen_by_first = trained.item_ids.decode(trained.seen.items[trained.seen.users == 0])
    recommend_all(
        model, tmp_path / "out", 3, workers=1, only=seen_by_first, users_per_part=N_USERS, show_progress=False
    )
    lists = _lists(tmp_path / "out")
    assert lists["user"].to_list() == trained.user_ids.ids.to_list()
    assert lists["items"].list.len()[0] == 0


def test_skipping_unknown_users_keeps_all_users_of_training(model: Path, tmp_path: Path) -> None:
    recommend_all(model, tmp_path / "out", 4, workers=1, unknown="skip", show_progress=False)
    lists = _lists(tmp_path / "out")
    assert lists.select("user", "items").equals(_expected(model, 4))
    assert lists["by"].unique().to_list() == ["model"]


@pytest.mark.parametrize(
    "make", [set, np.array, pl.Series, lambda ids: (id for id in ids)], ids=["set", "array", "series", "generator"]
)
def test_items_may_be_named_in_any_way(model: Path, tmp_path: Path, make: Callable[[list[int]], Any]) -> None:
    for ids in ([3, 9, 1, 20, 11], [20, 11, 9, 3, 1]):
        recommend_all(model, tmp_path / "out", 2, workers=1, only=make(ids), users_per_part=20, show_progress=False)
    assert set(_lists(tmp_path / "out")["items"].explode().drop_nulls()) <= {3, 9, 1, 20, 11}


def test_a_model_that_is_replaced_meanwhile_is_an_error(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that replaces another opens the file again."""
    own_copy = tmp_path / "model.safetensors"
    own_copy.write_bytes(model.read_bytes())

    def write_and_replace_model(worker: Worker, part: int) -> int:
        n_users = write(worker, part)
        os.utime(own_copy, ns=(1, 1))
        del worker.trained
        return n_users

    write = Worker.write
    monkeypatch.setattr(Worker, "write", write_and_replace_model)
    with pytest.raises(ValueError, match="another model"):
        recommend_all(own_copy, tmp_path / "out", 4, workers=1, users_per_part=20, show_progress=False)
    assert len(list((tmp_path / "out").glob("part-*"))) == 1


def test_a_folder_that_disappears_meanwhile_is_an_error(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise parts would be written without the plan that continuing needs."""

    def write_and_remove_folder(worker: Worker, part: int) -> int:
        n_users = write(worker, part)
        shutil.rmtree(tmp_path / "out")
        return n_users

    write = Worker.write
    with monkeypatch.context() as patched:
        patched.setattr(Worker, "write", write_and_remove_folder)
        with pytest.raises(FileNotFoundError, match="must be a folder that stays"):
            recommend_all(model, tmp_path / "out", 4, workers=1, users_per_part=20, show_progress=False)
    assert recommend_all(model, tmp_path / "out", 4, workers=1, users_per_part=20, show_progress=False) == N_USERS


def test_lists_of_two_models_do_not_mix(model: Path, tmp_path: Path) -> None:
    recommend_all(model, tmp_path / "out", 4, workers=1, show_progress=False)
    assert recommend_all(model, tmp_path / "out", 4, workers=1, show_progress=False) == N_USERS
    with pytest.raises(FileExistsError, match=r"with other arguments \(k\)"):
        recommend_all(model, tmp_path / "out", 5, workers=1, show_progress=False)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "notes.txt").write_text("a note")
    with pytest.raises(FileExistsError, match="not empty"):
        recommend_all(model, tmp_path / "notes", show_progress=False)


def test_wrong_arguments_are_refused_before_anything_is_written(model: Path, tmp_path: Path) -> None:
    for wrong, rule in (({"k": 0}, "`k`"), ({"workers": -1}, "`workers`"), ({"users_per_part": 0}, "`users_per_part`")):
        with pytest.raises(ValueError, match=rule):
            recommend_all(model, tmp_path / "out", show_progress=False, **wrong)
    with pytest.raises(ValueError, match="item"):
        recommend_all(model, tmp_path / "out", only=["nothing"], show_progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.skipif("LTOCF_RAY" not in os.environ, reason="a Ray cluster takes twenty seconds: set LTOCF_RAY")
def test_ray_writes_the_same_and_survives_an_actor(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Actors are killed before a part and after one, before Ray knows of it; Ray starts them again."""
    import ray

    # Workers must find the module of `DiesOnce`, which is among the tests.
    ray.init(log_to_driver=False, runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}})
    try:
        monkeypatch.setattr(everybody, "Worker", DiesOnce)
        recommend_all(model, tmp_path / "out", 4, engine="ray", workers=2, users_per_part=10, show_progress=False)
    finally:
        ray.shutdown()
    assert sorted(marker.name for marker in tmp_path.glob("killed-*")) == ["killed-2", "killed-3"]
    lists = _lists(tmp_path / "out")
    assert lists["user"].n_unique() == len(lists) == N_USERS
    assert lists.select("user", "items").equals(_expected(model, 4))
    assert not list((tmp_path / "out").glob(".*.part"))


def test_a_call_killed_before_its_plan_was_written_is_called_again(model: Path, tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / ".lists.json.0123abcd.part").touch()
    recommend_all(model, tmp_path / "lists", k=2, workers=1, show_progress=False)
    assert {file.name for file in (tmp_path / "lists").iterdir()} == {".lock", "lists.json", "part-000000.parquet"}
