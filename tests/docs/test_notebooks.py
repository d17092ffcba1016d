"""The notebooks of examples/ run, their statements hold, and their stored outputs are those of a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
LARGEST = 200_000
"""The largest size of a stored notebook in bytes, with its pictures."""


def texts(notebook: Any) -> list[str]:
    """The text of each output."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return [output.get("text") or output.data["text/plain"] for output in outputs]


def table(text: str) -> list[list[str]]:
    """The rows of a printed frame."""
    body = text.partition("╞")[2]
    rows = [line.strip("│").split("┆") for line in body.splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row] for row in rows]


def tables(notebook: Any) -> list[list[list[str]]]:
    return [table(text) for text in texts(notebook) if text.startswith("shape: ")]


def outline(text: str) -> str:
    """A text without what may differ by processor: numbers, their width, marks of significance."""
    text = re.sub(r"[-+]?\d[\d.,]*(e[-+]\d+)?", "#", text)
    return re.sub(r"[\s─═]+", " ", re.sub("[▲▼<]", "", text))


def shelf(product: str) -> str:
    return product.partition("-")[0]


def strength(product: str) -> int:
    return int(product.partition("-")[2])


def check_quickstart(notebook: Any) -> None:
    """The planted customers drink tea or coffee, each of about one strength."""
    items, lists, chosen, everybody, similar, new, reasons, newer, recalls = tables(notebook)
    assert [row[1] for row in items] == ["Tea 00", "Tea 01", "Tea 02"]
    assert [(row[0], shelf(row[2])) for row in lists] == [("007", "coffee")] * 3 + [("008", "tea")] * 3
    assert {shelf(row[2]) for row in chosen} == {"coffee"}
    assert everybody == [["240", "1200"]]
    assert all(shelf(row[1]) == "tea" and 0 < abs(strength(row[1]) - 30) < 10 for row in similar)
    assert all(row[0] == "new" and shelf(row[2]) == "coffee" and abs(strength(row[2]) - 43) < 10 for row in new)
    assert not {40, 42, 47} & {strength(row[2]) for row in new}
    assert all(row[0].startswith("Coffee ") and float(row[1]) > 0 for row in reasons)
    assert all(row[0] == "240" and shelf(row[2]) == "coffee" and abs(strength(row[2]) - 25) < 10 for row in newer)
    (_, popularity), (_, model) = recalls
    assert float(model) > 2 * float(popularity) > 20 / 120  # by chance
    report = next(text for text in texts(notebook) if text.startswith("events.csv: CSV"))
    assert "separator ';'" in report
    assert re.search(r"\d+ rows dropped: `drop` event = return", report)
    assert "1 row dropped: no user id (first: line 7202)" in report


def check_research(notebook: Any) -> None:
    ((lightgcn, ltocf, own),) = tables(notebook)
    assert [row[0] for row in (lightgcn, ltocf, own)] == ["LightGCN", "LT-OCF", "sgc"]
    for row in (lightgcn, ltocf, own):
        assert all(0.05 < float(row[metric].split(" ± ")[0]) < 1 for metric in (1, 3))
    assert ltocf[2] == ltocf[4] == "–"
    assert all(re.fullmatch(r"(< )?[01]\.\d{3}( [▲▼])?", row[place]) for row in (lightgcn, own) for place in (2, 4))
    assert "as its formula says\n" in texts(notebook)
    assert texts(notebook)[-1] == "6"


def check_paper(notebook: Any) -> None:
    """What mathematics implies, and that the learned times moved; which method is best is not checked."""
    data, errors, times, compared = tables(notebook)
    users, films, pairs, density = map(float, data[0])
    assert density == pytest.approx(pairs / users / films, abs=1e-3)
    assert texts(notebook)[2] == "True"  # LightGCN is LT-OCF by Euler's method
    error_by_solver = {name: float(error) for name, error in errors}
    assert error_by_solver["euler"] > 10 * error_by_solver["rk4"] > 100 * error_by_solver["dopri5"]
    assert times[0] == ["fixed", "[1.0, 2.0, 3.0]"]
    assert times[1][0] == "learned"
    assert times[1][1] != times[0][1]
    assert [row[0] for row in compared] == ["learned", "fixed", "lightgcn", "popularity"]
    assert all(float(row[1]) > 1.2 * float(compared[-1][1]) for row in compared[:-1])
    assert all(0 <= float(row[place]) <= 1 for row in compared[1:] for place in (2, 4))
    assert any(
        "epoch selected on the validation set" in text and "test" in text.splitlines()[1] for text in texts(notebook)
    )


CHECKS: dict[str, Callable[[Any], None]] = {
    "quickstart": check_quickstart,
    "research": check_research,
    "paper": check_paper,
}


def test_every_notebook_is_checked() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} == CHECKS.keys()


@pytest.mark.parametrize("name", CHECKS)
def test_a_notebook_runs_and_its_stored_outputs_are_those_of_the_run(name: str, tmp_path: Path) -> None:
    stored: Any = nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)
    found = load_script(ROOT / "docs" / "run_notebooks.py").run(EXAMPLES / f"{name}.ipynb", tmp_path)
    CHECKS[name](found)
    CHECKS[name](stored)
    assert [outline(text) for text in texts(stored)] == [outline(text) for text in texts(found)]
    for stored_cell, found_cell in zip(stored.cells, found.cells, strict=True):
        assert stored_cell.get("execution_count") == found_cell.get("execution_count")
        kinds = [
            [sorted(output.get("data", {})) for output in cell.get("outputs", [])] for cell in (stored_cell, found_cell)
        ]
        assert kinds[0] == kinds[1]


@pytest.mark.parametrize("name", CHECKS)
def test_a_stored_notebook_is_small_and_names_no_local_path(name: str) -> None:
    text = (EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8")
    notebook: Any = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert len(text) < LARGEST
    assert not re.findall(r"[\"' (](?:/(?:home|root|tmp|usr|work|Users|var)/[^\s\"']*|[A-Z]:\\\\)", text)
    assert not any(cell.metadata for cell in notebook.cells)
    assert [output.output_type for cell in notebook.cells for output in cell.get("outputs", [])].count("error") == 0
