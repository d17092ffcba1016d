"""An explanation in words and as a picture, whose bars sum to the score."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF, MODELS, LinearModel, SummedModel
from ltocf.report.explanation import panels_of
from ltocf.serving import Explanation, Snapshot
from samples import random_interactions

HISTORY = pl.DataFrame(
    {"item": [1, 2, 3, 4], "contribution": [0.5, 0.25, 0.25, -0.5], "title": ["Ran", "Up", "M", "Up"]}
)
LOG = random_interactions()


def explanation(history: pl.DataFrame = HISTORY, own: float = 0.0, popularity: float = 0.0) -> Explanation:
    score = history["contribution"].sum() + own + popularity
    return Explanation("ann", 7, score, own, popularity, history, "Heat $1$")


@pytest.mark.parametrize(
    ("n", "expected"),
    [(1, "Ran"), (2, "Ran and Up"), (3, "Ran, Up and M"), (9, "Ran, Up and M")],
)
def test_the_sentence_names_the_items_that_add_most(n: int, expected: str) -> None:
    assert explanation().sentence(n) == f"Heat $1$, because of {expected}"


def test_the_sentence_without_a_reason_in_the_history() -> None:
    assert explanation(HISTORY[3:], popularity=1.0).sentence() == "Heat $1$, because of its popularity"
    words = "what the model learned about the user"
    assert explanation(HISTORY[:0], own=1.0).sentence() == f"Heat $1$, because of {words}"
    untitled = Explanation("ann", 7, 0.5, 0.0, 0.0, HISTORY[:1].drop("title"))
    assert untitled.sentence() == "7, because of 1"
    with pytest.raises(ValueError, match="`n` must be >= 1, got 0"):
        untitled.sentence(0)


def test_the_largest_items_are_bars_of_their_own_and_all_bars_sum_to_the_score() -> None:
    why = explanation(own=0.25, popularity=0.5)
    assert why.bars(2) == {"Ran": 0.5, "Up": -0.5, "2 other items": 0.5, "the user's own": 0.25, "popularity": 0.5}
    assert list(why.bars()) == ["Ran", "Up", "M", "Up [4]", "the user's own", "popularity"]
    for n in (1, 2, 3, 10):
        assert sum(why.bars(n).values()) == pytest.approx(why.score)


@pytest.mark.parametrize(
    "name", [name for name, model in MODELS.items() if issubclass(model, (LinearModel, SummedModel))]
)
def test_parts_of_every_model_sum_to_its_score(name: str) -> None:
    model = MODELS[name](BipartiteGraph.from_interactions(LOG))
    model.prepare()
    snapshot = Snapshot.of(name, model, LOG, Names.identity(30, 40))
    best = snapshot.recommend(7, k=1)
    why = snapshot.explain(7, best["item"][0])
    assert why.score == pytest.approx(best["score"][0], rel=1e-4, abs=1e-6)
    assert sum(why.bars(3).values()) == pytest.approx(why.score)
    parts = why.parts()
    assert parts.is_empty() or parts["contribution"].sum() == pytest.approx(why.history["contribution"].sum())


def test_parts_are_called_by_the_times_of_the_states() -> None:
    model = LTOCF(BipartiteGraph.from_interactions(LOG), dim=8, n_times=2, horizon=3.0)
    why = Snapshot.of("ltocf", model, LOG, Names.identity(30, 40)).explain(7, 3)
    assert why.parts()["part"].to_list() == ["t = 0.00", "t = 1.00", "t = 2.00", "t = 3.00"]
    assert why.columns_of_parts() == dict(zip(why.history.columns[2:], why.parts()["part"], strict=True))
    by_item, by_state = panels_of(why).values()
    assert list(by_state) == why.parts()["part"].to_list()
    assert sum(by_item.values()) == pytest.approx(why.score)


def test_the_chart_names_every_bar(tmp_path: Path) -> None:
    explanation(own=0.25).draw(tmp_path / "why.svg")
    text = (tmp_path / "why.svg").read_text(encoding="utf-8")
    for word in ("Heat $1$", "Ran", "Up [4]", "the user's own", "popularity", "user ann"):
        assert f"<!-- {word}" in text or word in text
    title = text.partition("<title>")[2].partition("</title>")[0]
    assert title.startswith("Heat $1$, score"), "the title of the figure, not that of a panel"
    with pytest.raises(ValueError, match=r"must end in \.svg"):
        explanation().draw(tmp_path / "why.txt")
