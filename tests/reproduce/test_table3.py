"""Table 3 of planted results: the text of each cell of the table, and the order of its rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from scipy import stats

from ltocf.report.content import Curve, Figure, Panel
from ltocf.reproduce.cells import METHODS, Cell, Places, make_cells
from ltocf.reproduce.table3 import by_name, figure, numbers, published, row_label, table
from reproduce_fixtures import plant

TRAINED = {"learning_rate": 0.003, "l2": 1e-05, "batch_size": 2048}


def cell(places: Places, name: str, seed: int = 0, digest: str = "one", dataset: str = "log") -> Cell:
    """A cell without a result, for which no data is read."""
    file = places.configs / dataset / f"{name}.toml"
    if name not in METHODS:
        file.parent.mkdir(parents=True, exist_ok=True)
        on_test = '[run]\nselect_on = "test"\n' if name.endswith("-test") else ""
        file.write_text(f'[model]\nname = "mf"\n{on_test}')
    return replace(make_cells(f"{dataset}.csv", [name], [seed], places)[0], split={"digest": digest})


def planted(
    places: Places, name: str, recall: Sequence[float], *, of: dict[str, Any] | None = None, **more: Any
) -> Cell:
    """A cell with these values of its test users; ``of`` are arguments of `cell`."""
    return plant(cell(places, name, **(of or {})), recall, **more)


@pytest.fixture
def known_published(monkeypatch: pytest.MonkeyPatch) -> None:
    """Published numbers of mf and ltocf, of one metric each."""
    known = {"source": "a paper", "mf": {"recall@20": 0.25}, "ltocf": {"ndcg@20": 0.5}}
    monkeypatch.setattr("ltocf.reproduce.table3.published", lambda dataset: known if dataset == "log" else {})


def test_rows_are_in_the_papers_order_then_those_selected_on_test_then_all_others(places: Places) -> None:
    names = ["zoo", "ltocf-test", "ltocf", "apple", "mf", "lightgcn-test", "cmn", "apple-test", "neumf"]
    cells = [planted(places, name, [0.5, 0.25]) for name in names]
    cells.append(planted(places, "mf", [0.5, 0.25], of={"seed": 1}))
    found = by_name([*cells, cell(places, "grmf")])
    assert list(found) == ["mf", "neumf", "cmn", "ltocf", "lightgcn-test", "ltocf-test", "apple", "apple-test", "zoo"]
    assert found["mf"] == [cells[4], cells[-1]]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("ltocf", "LT-OCF"),
        ("ltocf-test", "LT-OCF, best on test"),
        ("custom-test", "custom, best on test"),
        ("ngcf-published", "NGCF, as published"),
    ],
)
def test_a_label_names_the_protocol(name: str, label: str) -> None:
    assert row_label(name) == label


@pytest.mark.usefixtures("known_published")
def test_a_published_number_is_shown_beside_the_published_variant(places: Places) -> None:
    cells = [planted(places, name, [0.5, 0.25]) for name in ("mf", "mf-published", "ltocf", "neumf")]
    found = numbers(cells)
    assert list(found) == ["mf", "mf-published", "neumf", "ltocf"]
    assert [row["recall@20"]["published"] for row in found.values()] == [None, 0.25, None, None]
    assert found["mf-published"]["recall@20"]["p_holm"] == 1.0
    assert "As published: the variant" in table(cells).caption
    assert "As published" not in table(cells[:1]).caption


@pytest.mark.usefixtures("known_published")
def test_numbers_are_over_all_seeds(places: Places) -> None:
    cells = [
        planted(places, "mf", [0.0, 0.5], ndcg=[0.25, 0.25], seconds=60.0, selected={"epoch": 7}, training=TRAINED),
        planted(places, "mf", [0.5, 1.0], of={"seed": 3}, seconds=240.0, selected={"epoch": 9}),
    ]
    (row,) = numbers(cells).values()
    assert row["recall@20"] == {"mean": 0.5, "standard_deviation": pytest.approx(math.sqrt(0.125)), "published": 0.25}
    assert row["ndcg@20"] == {"mean": 0.5, "standard_deviation": pytest.approx(math.sqrt(0.125)), "published": None}
    assert (row["model"], row["seeds"], row["epochs"], row["minutes"]) == ("mf", [0, 3], [7, 9], 2.5)
    assert (row["protocol"], row["training"]) == ("validation", TRAINED)
    (alone,) = numbers(cells[:1]).values()
    assert alone["recall@20"] == {"mean": 0.25, "standard_deviation": None, "published": 0.25}


@pytest.mark.usefixtures("known_published")
def test_the_cells_of_a_row_are_in_order(places: Places) -> None:
    cells = [
        planted(places, "mf", [0.0, 0.5], ndcg=[0.25, 0.25], seconds=75.0, selected={"epoch": 7}, training=TRAINED),
        planted(places, "mf", [0.5, 1.0], of={"seed": 1}, seconds=75.0, selected={"epoch": 9}),
        planted(places, "ltocf", [0.25, 0.625], ndcg=[0.25, 0.375], training=TRAINED | {"batch_size": 0, "l2": 0.5}),
    ]
    made = table(cells)
    assert made.title == "log"
    assert made.columns == [
        "method",
        *("recall@20", "published", "difference", "p against LT-OCF"),
        *("NDCG@20", "published", "difference", "p against LT-OCF"),
        *("learning rate, L2, batch", "epochs", "minutes", "epoch selected on"),
    ]
    p_values = [
        format(stats.ttest_rel(*pair).pvalue, ".3f")
        for pair in (([0.25, 0.625], [0.25, 0.75]), ([0.25, 0.375], [0.375, 0.625]))
    ]
    assert made.rows == [
        [
            "MF",
            *("0.5000 ± 0.3536", "0.2500", "+100.0 %", p_values[0]),
            *("0.5000 ± 0.3536", "–", "–", p_values[1]),
            *("0.003, 1e-05, 2048", "7, 9", "1.2", "validation"),
        ],
        [
            "LT-OCF",
            *("0.4375", "–", "–", "–"),
            *("0.3125", "0.5000", "-37.5 %", "–"),
            *("0.003, 0.5, auto", "1", "0.1", "validation"),
        ],
    ]


def test_the_caption_explains_the_columns(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltocf.reproduce.table3.published", lambda _: {})
    validated = [planted(places, name, [0.5, 0.25]) for name in ("mf", "ltocf")]
    plain = table(validated).caption
    assert plain.startswith("Mean ± standard deviation over seeds. Difference: measured minus published, in percent")
    assert plain.endswith("▼ methods that beat it, at 0.05. Minutes: selection and retraining.")
    # The validation part is of train, so the splits of the two protocols always differ.
    on_test = planted(places, "mf-test", [0.5, 0.25], of={"digest": "two"})
    of_test = " Best on test: the protocol of the papers, compared with LT-OCF under the same one."
    assert table([*validated, on_test]).caption == plain + of_test
    elsewhere = planted(places, "cmn", [0.5, 0.25], of={"digest": "two"})
    of_split = " A row without p has another validation set than LT-OCF's."
    assert table([*validated, elsewhere]).caption == plain + of_split
    monkeypatch.setattr("ltocf.reproduce.table3.published", lambda name: {"source": f"a paper on {name}"})
    assert table([*validated, on_test, elsewhere]).caption == plain + of_test + of_split + " Published: a paper on log."


def test_given_numbers_are_not_computed_again(places: Places) -> None:
    cells = [planted(places, name, [0.5, 0.25]) for name in ("mf", "ltocf")]
    found = {"ltocf": numbers(cells)["ltocf"]}
    assert [row[0] for row in table(cells, found).rows] == ["LT-OCF"]
    assert figure(cells, found).panels[0].curves[0].x == ["LT-OCF"]


@pytest.mark.parametrize(
    ("p_value", "better_by", "shown"),
    [
        (0.0009, 0.1, "< 0.001 ▲"),
        (0.001, 0.1, "0.001 ▲"),
        (0.0499, -0.1, "0.050 ▼"),
        (0.05, 0.1, "0.050"),
        (0.5, -0.1, "0.500"),
    ],
)
def test_a_significant_difference_is_marked(p_value: float, better_by: float, shown: str, places: Places) -> None:
    cells = [planted(places, name, [0.5, 0.25]) for name in ("mf", "ltocf")]
    found = numbers(cells)
    for metric in ("recall@20", "ndcg@20"):
        found["mf"][metric] |= {"p_holm": p_value, "ltocf_is_better_by": better_by}
    assert table(cells, found).rows[0][4] == shown


def test_a_method_that_is_worse_for_every_user_is_marked_as_beaten(places: Places) -> None:
    ltocf = planted(places, "ltocf", [0.5, 0.625, 0.5, 0.625], ndcg=[0.0, 0.125, 0.0, 0.125])
    row = table([planted(places, "mf", [0.25, 0.25, 0.25, 0.25]), ltocf]).rows[0]
    assert (row[4][-1], row[8][-1]) == ("▲", "▼")


def test_p_values_are_adjusted_for_all_methods_of_the_protocol(places: Places) -> None:
    """Holm: the smallest of two p-values is doubled, the other stays."""
    ltocf = [0.5, 0.75, 0.5, 1.0]
    others = {"mf": [0.25, 0.5, 0.375, 0.625], "cmn": [0.5, 0.5, 0.625, 0.75]}
    found = numbers([planted(places, name, values) for name, values in {**others, "ltocf": ltocf}.items()])
    p_values = {name: stats.ttest_rel(ltocf, values).pvalue for name, values in others.items()}
    assert p_values["mf"] < p_values["cmn"]
    assert found["mf"]["recall@20"]["p_holm"] == pytest.approx(2 * p_values["mf"])
    assert found["cmn"]["recall@20"]["p_holm"] == pytest.approx(p_values["cmn"])
    assert found["mf"]["recall@20"]["ltocf_is_better_by"] == 0.25
    assert found["cmn"]["recall@20"]["ltocf_is_better_by"] == 0.09375


def test_without_ltocf_nothing_is_compared(places: Places) -> None:
    cells = [planted(places, name, [0.5, 0.25]) for name in ("mf", "ltocf-test")]
    assert not [row for row in numbers(cells).values() if "p_holm" in row["recall@20"]]


@pytest.mark.usefixtures("known_published")
def test_dots_are_measured_and_published_values_with_the_best_method_first(places: Places) -> None:
    cells = [
        planted(places, "mf", [0.0, 0.5], ndcg=[0.25, 0.25]),
        planted(places, "mf", [0.5, 1.0], of={"seed": 1}),
        planted(places, "ltocf", [0.25, 0.625], ndcg=[0.25, 0.375]),
    ]
    made = figure(cells)
    assert (made.name, made.title) == ("table3-log", "Every method on log")
    assert made.caption == "Intervals: standard deviation over seeds. Best recall first."
    assert [(panel.title, panel.x_label, panel.y_label, panel.kind) for panel in made.panels] == [
        ("", "", "recall@20", "dot"),
        ("", "", "NDCG@20", "dot"),
    ]
    measured, paper = made.panels[0].curves
    assert (measured.label, measured.x, measured.y) == ("measured", ["MF", "LT-OCF"], [0.5, 0.4375])
    assert measured.spread == [pytest.approx(math.sqrt(0.125)), 0.0]
    assert (paper.label, paper.x, paper.y[0]) == ("published", ["MF", "LT-OCF"], 0.25)
    assert math.isnan(paper.y[1])


def test_without_published_numbers_there_are_only_measured_dots(places: Places) -> None:
    cells = [planted(places, "mf", [0.0, 0.5])]
    assert published("log") == {}
    assert figure(cells) == Figure(
        "table3-log",
        "Every method on log",
        "Intervals: standard deviation over seeds. Best recall first.",
        [Panel("", "", label, [Curve("measured", ["MF"], [0.25], [0.0])], "dot") for label in ("recall@20", "NDCG@20")],
    )


def test_a_row_selected_on_test_has_the_same_published_numbers(places: Places) -> None:
    (row,) = numbers([planted(places, "mf-test", [0.0, 0.5], of={"dataset": "gowalla"})]).values()
    assert row["recall@20"]["published"] == 0.1291
    assert row["protocol"] == "test"
