"""The page from a log to answers: its commands run too, and give the lists that its Python gives."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from docs.test_documentation import DOCS, blocks
from ltocf.cli import main

PAGE = DOCS / "production.md"


def test_commands_and_python_give_the_same_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, log), *rest = blocks(PAGE, "python")
    commands = [line for _, block in blocks(PAGE, "sh") for line in block.splitlines()]
    namespace: dict[str, Any] = {}
    for folder in ("shell", "python"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        exec(log, namespace)
        if folder == "shell":
            for command in commands:
                main(shlex.split(command)[1:])
    for _, code in rest:
        exec(code, namespace)
    for name, answer in (("lists", "lists"), ("customer", "customer"), ("tomorrow", "tomorrows")):
        written, asked = pl.read_parquet(tmp_path / "shell" / f"{name}.parquet"), namespace[answer]
        assert written.drop("user", "score").equals(asked.drop("user", "score")), name
        assert np.allclose(written["score"], asked["score"]), name
    liked = namespace["lists"].with_columns(
        taste=pl.col("user").str.slice(1).cast(int) % 2, kind=pl.col("item").cast(int) % 2
    )
    assert (liked["taste"] == liked["kind"]).mean() > 0.95  # customers like the things of their own parity
