"""The page on recommending says correctly what each model can do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS
from ltocf.serving import Snapshot
from ltocf.serving.export import vectors_of
from samples import random_interactions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recommending.md"
CALLS: tuple[Callable[[Snapshot], Any], ...] = (
    lambda snapshot: (snapshot.similar_items(0, 3), snapshot.similar_users(0, 3), vectors_of(snapshot)),
    lambda snapshot: snapshot.fold_in([[0]], 3),
    lambda snapshot: snapshot.explain(0, 0),
)


def ability(call: Callable[[Snapshot], Any], snapshot: Snapshot) -> str:
    try:
        call(snapshot)
    except ValueError as error:
        return "no" if re.match(r"(the scores of )?`[a-z0-9-]+` (has no|are not)", str(error)) else repr(error)
    return "yes"


@pytest.mark.parametrize("name", MODELS)
def test_the_page_says_what_a_model_can_do(name: str) -> None:
    log = random_interactions(6, 8)
    model = MODELS[name](BipartiteGraph.from_interactions(log))
    model.prepare()
    snapshot = Snapshot.of(name, model, log, Names.identity(6, 8))
    section = PAGE.read_text(encoding="utf-8").partition("### Which model can what")[2]
    row = next(line for line in section.splitlines() if line.startswith(f"| `{name}` |"))
    assert row.strip("| ").split(" | ")[1:] == [ability(call, snapshot) for call in CALLS]
