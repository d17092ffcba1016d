"""The page of a comparison: its tables and figures have the numbers of the runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ltocf
from ltocf.report.comparison import MARK, comparison_report, comparison_table, label, shown
from ltocf.report.content import Report
from ltocf.runs.comparison import RunComparison, compare_runs

EARLIER = Path(__file__).parents[1] / "runs" / "earlier_version"
RUNS = [EARLIER / f"run-{name}" for name in ("ltocf", "spectral")]


@pytest.fixture(scope="module")
def found() -> RunComparison:
    return compare_runs(RUNS, ks=[3, 10])


@pytest.fixture(scope="module")
def report(found: RunComparison) -> Report:
    return comparison_report(found, "page", "ltocf compare")


def test_the_table_has_every_value_and_marks_the_best(found: RunComparison) -> None:
    table = comparison_table(found)
    assert [row[0] for row in table.rows] == ["run-ltocf", "run-spectral", "popularity"]
    by_column = dict(zip(table.columns, zip(*table.rows, strict=True), strict=True))
    for name in found.columns():
        values = [line.measured.values[name] for line in found.lines]
        cells = by_column[label(name)]
        assert [cell.removesuffix(f" {MARK}") for cell in cells] == [shown(name, value) for value in values]
        marked = [cell.endswith(MARK) for cell in cells]
        best = {"recall": max, "ndcg": max, "coverage": max, "gini": min}.get(name.partition("@")[0])
        assert marked == [best is not None and value == best(values) for value in values]
    assert by_column["p of recall@10"][0] == "–"
    assert "against run-ltocf" in table.caption


def test_a_significant_difference_is_marked() -> None:
    compared = compare_runs(RUNS, ks=[3, 10])
    for line, difference in zip(compared.lines[1:], (0.1, -0.1), strict=True):
        line.significance["recall@10"] |= {"p_holm": 0.0002, "difference": difference}
        line.significance["ndcg@10"] |= {"p_holm": 0.051, "difference": difference}
    rows = comparison_table(compared).rows
    assert [row[-3:-1] for row in rows] == [["–", "–"], ["< 0.001 ▲", "0.051"], ["< 0.001 ▼", "0.051"]]


def test_figures_have_the_values_of_the_groups(found: RunComparison, report: Report) -> None:
    activity, popularity, beyond = report.figures
    assert [figure.name for figure in report.figures] == ["page-activity", "page-popularity", "page-beyond"]
    for index, line in enumerate(found.lines):
        users, items = line.measured.beyond.by_activity, line.measured.beyond.by_popularity
        curve = activity.panels[1].curves[index]
        assert (curve.label, curve.x) == (line.name, [group.span for group in users])
        assert curve.y == [group.values["ndcg@10"] for group in users]
        curve = popularity.panels[0].curves[index]
        assert curve.x == [group.name for group in items]
        assert curve.y == [group.values["recall@10"] for group in items]
        point = beyond.panels[0].curves[index]
        assert (point.x, point.y) == (
            [line.measured.values["novelty@10"]],
            [line.measured.values["recall@10"]],
        )
    assert {panel.kind for panel in beyond.panels} == {"point"}


def test_group_tables_have_the_sizes_and_values_of_the_groups(found: RunComparison, report: Report) -> None:
    _, users, items = report.tables
    first = found.lines[0].measured.beyond
    assert [row[:2] for row in users.rows] == [[group.span, str(group.n_users)] for group in first.by_activity]
    assert [row[0] for row in items.rows] == [group.name for group in first.by_popularity]
    assert len(users.rows[0]) == len(users.columns) == 2 + 2 * 3
    assert len(items.rows[0]) == len(items.columns) == 4 + 2 * 3
    assert users.rows[0][2] == shown("recall@10", first.by_activity[0].values["recall@10"])


def test_the_page_is_written_with_its_numbers(tmp_path: Path) -> None:
    page = tmp_path / "new" / "side-by-side.html"
    found = ltocf.compare(RUNS, out=page, ks=[3], against="popularity")
    names = {path.name for path in page.parent.iterdir()}
    figures = {
        f"side-by-side-{name}{ending}"
        for name in ("activity", "popularity", "beyond")
        for ending in (".svg", "-dark.svg", ".png")
    }
    assert names == {"side-by-side.html", "side-by-side.json", *figures}
    text = page.read_text(encoding="utf-8")
    assert "<h1>2 runs on log.csv</h1>" in text
    assert "side-by-side.json" in text
    assert "--k 3 --on test --against popularity" in text
    content: dict[str, Any] = json.loads((page.parent / "side-by-side.json").read_text(encoding="utf-8"))
    assert [line["run"] for line in content["numbers"]["runs"]] == ["run-ltocf", "run-spectral", "popularity"]
    assert content["numbers"]["runs"][0]["recall@3"] == found.lines[0].measured.means["recall@3"]
    assert set(content["settings"]) == set(content["environment"]) == {"run-ltocf", "run-spectral"}
    with pytest.raises(ValueError, match=r"`out` must end in \.html, got 'page\.pdf'"):
        ltocf.compare(RUNS, out="page.pdf")
