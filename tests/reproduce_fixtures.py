"""A small log with configurations that train in a second."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ltocf.reproduce.cells import Cell, Places, make_cells, with_splits
from ltocf.reproduce.run import run_cells
from samples import random_interactions

QUICK = """[model]
name = "{model}"
dim = 4
{options}
[training]
epochs = 3
validate_every = 1
batch_size = 64
learning_rate = {learning_rate}

[run]
preset = "paper"
threads = 1
"""


def write_source(folder: Path) -> str:
    """A table file called log.csv."""
    log = random_interactions(40, 60, density=0.2)
    path = folder / "log.csv"
    path.write_text(
        "user,item\n" + "".join(f"{user},{item}\n" for user, item in zip(log.users, log.items, strict=True))
    )
    return str(path)


def write_places(folder: Path) -> Places:
    """Folders with a configuration of three methods."""
    for model, learning_rate in (("ltocf", 0.02), ("lightgcn", 0.01), ("mf", 0.01)):
        path = folder / "configs" / "log" / f"{model}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# a comment\n\n" + QUICK.format(model=model, options="", learning_rate=learning_rate))
    return Places(folder / "configs", folder / "results", folder / "runs")


@pytest.fixture
def source(tmp_path: Path) -> str:
    return write_source(tmp_path)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return write_places(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of ltocf and mf with seeds 0 and 1 on the data of `source`, not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    places = write_places(folder)
    progress = run_cells(make_cells(write_source(folder), ["ltocf", "mf"], [0, 1], places))
    assert len(progress.done) == 4
    return places.results


@pytest.fixture
def cells(source: str, places: Places, finished: Path) -> list[Cell]:
    """Cells with a result of their own: ltocf and mf with seeds 0 and 1."""
    shutil.copytree(finished, places.results)
    found = with_splits(make_cells(source, ["ltocf", "mf"], [0, 1], places))
    assert all(cell.is_done for cell in found)
    return found
