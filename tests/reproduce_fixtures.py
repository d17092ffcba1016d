"""A small log with configurations that train in a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from ltocf.reproduce.cells import Places
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


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A table file called log.csv."""
    log = random_interactions(40, 30, density=0.3)
    path = tmp_path / "log.csv"
    path.write_text(
        "user,item\n" + "".join(f"{user},{item}\n" for user, item in zip(log.users, log.items, strict=True))
    )
    return str(path)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Folders with a configuration of three methods."""
    for model, learning_rate in (("ltocf", 0.02), ("lightgcn", 0.01), ("mf", 0.01)):
        path = tmp_path / "configs" / "log" / f"{model}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# a comment\n\n" + QUICK.format(model=model, options="", learning_rate=learning_rate))
    return Places(tmp_path / "configs", tmp_path / "results", tmp_path / "runs")
