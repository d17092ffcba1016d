"""The page on production: its commands and its Python run, and give the same lists."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import polars as pl
import pytest

from docs.test_documentation import DOCS, blocks, rows
from ltocf.cli import main
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.service.engine import Engine
from ltocf.service.metrics import Metrics
from ltocf.service.settings import ServiceSettings
from ltocf.service.tools import tool_server
from ltocf.serving import TrainedModel

PAGE = DOCS / "production.md"
LOG = Interactions.from_pairs([0, 1], [0, 1])


def test_commands_and_python_give_the_same_lists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (_, log), *rest = blocks(PAGE, "python")
    commands = [line for _, block in blocks(PAGE, "sh") for line in block.splitlines()]
    commands = [line for line in commands if not line.startswith("ltocf serve ")]  # it would not end
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
    for name, variable in (("lists", "lists"), ("customer", "customer"), ("tomorrow", "tomorrows")):
        written, returned = pl.read_parquet(tmp_path / "shell" / f"{name}.parquet"), namespace[variable]
        assert written.drop("user", "score").equals(returned.drop("user", "score")), name
        assert np.allclose(written["score"], returned["score"]), name
    liked = namespace["lists"].with_columns(
        taste=pl.col("user").str.slice(1).cast(int) % 2, kind=pl.col("item").cast(int) % 2
    )
    assert (liked["taste"] == liked["kind"]).mean() > 0.95  # customers like items of their own parity


def test_every_metric_is_listed() -> None:
    kinds = {"counter": "_total", "gauge": "", "histogram": ""}
    found = [metric.name + kinds[metric.type] for metric in Metrics().registry.collect()]
    assert sorted(row[0] for row in rows("production.md", "What to watch")) == sorted(found)


def test_every_tool_is_listed(tmp_path: Path) -> None:
    model = build_model("popularity", BipartiteGraph.from_interactions(LOG), {})
    TrainedModel("popularity", {}, model, LOG, Names.identity(2, 2)).save(tmp_path / "model.safetensors")
    server = tool_server([Engine(tmp_path / "model.safetensors")], ServiceSettings())
    tools = [tool.name for tool in anyio.run(server.list_tools)]
    assert [row[0] for row in rows("production.md", "Tools for agents")] == tools
