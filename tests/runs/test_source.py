"""A run reads the source that was given: the data set of a name, or the folder at a path."""

from __future__ import annotations

from pathlib import Path

import pytest

import ltocf
from ltocf.runs.folder import RunFolder

SETTINGS = {"model": "mf", "preset": "paper", "dim": 4, "epochs": 1, "select_by": "recall@5"}


@pytest.fixture
def namesake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A local folder with the name of a data set in the catalog."""
    folder = tmp_path / "movielens-small"
    folder.mkdir()
    (folder / "train.txt").write_text("".join(f"{user} 0 1 2 3 4 5 6 7 {8 + user % 3} 11\n" for user in range(20)))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("namesake")
@pytest.mark.parametrize(
    ("source", "n_users", "written"),
    [
        (Path("./movielens-small"), 20, "./movielens-small"),
        ("./movielens-small", 20, "./movielens-small"),
        ("movielens-small", 671, "movielens-small"),
    ],
)
@pytest.mark.parametrize("with_file", [False, True])
def test_a_path_is_the_folder_and_a_name_is_the_data_set(
    source: str | Path, n_users: int, written: str, with_file: bool, tmp_path: Path
) -> None:
    (tmp_path / "config.toml").write_text("[training]\nbatch_size = 4096\n")
    ltocf.train(source, "run", config=tmp_path / "config.toml" if with_file else None, **SETTINGS)
    run = RunFolder("run")
    assert run.config().data.source == written
    assert run.read_data().split.n_users == n_users

    run.metrics_file.unlink()
    run.data_file.unlink()
    ltocf.resume("run")
    assert run.read_data().split.n_users == n_users


def test_columns_reach_the_reader(tmp_path: Path) -> None:
    table = tmp_path / "log.csv"
    rows = [f"u{user},i{item},{1 + item % 5}" for user in range(12) for item in range(user % 3, 10 + user % 3)]
    table.write_text("\n".join(["who,what,liked", *rows]))
    columns = {"user_column": "who", "item_column": "what", "rating_column": "liked", "min_rating": 2}
    ltocf.train(table, tmp_path / "run", **SETTINGS, **columns)
    run = RunFolder(tmp_path / "run")
    split = run.read_data().split
    parts = [part for part in (split.train, split.test, split.validation) if part is not None]
    assert sum(map(len, parts)) == sum(not row.endswith(",1") for row in rows)
    assert run.config().data.given() == columns
