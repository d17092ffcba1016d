"""A page has everything that it is given, as text, and loads nothing from the network."""

from __future__ import annotations

import base64
import json
import math
import sys
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ltocf.report.content import Curve, Figure, Panel, Report, Table
from ltocf.report.html import numbers_text, read_report, write_report

HOSTILE = """<b>bold</b> & </script><script>alert("it's")</script><!-- -->"""


class Page(HTMLParser):
    """The tags of a page with their attributes and texts, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes), []))

    def handle_data(self, data: str) -> None:
        if self.elements:
            self.elements[-1][2].append(data)

    def texts(self, *tags: str) -> list[str]:
        return ["".join(texts).strip() for tag, _, texts in self.elements if tag in tags]

    def charts(self) -> list[dict[str, Any]]:
        scripts = [texts for tag, attributes, texts in self.elements if attributes.get("type") == "application/json"]
        return [json.loads("".join(texts)) for texts in scripts]


def figure(name: str = "figure6", label: str = "LT-OCF") -> Figure:
    curve = Curve(label, [1.0, 2.0, 3.0], [0.1875, math.nan, 0.25], [0.0625, 0.0625, 0.0625])
    return Figure(name, f"Figure {name}", f"Caption of {name}.", [Panel("Gowalla", "epoch", "recall@20", [curve])])


@pytest.fixture
def report() -> Report:
    return Report(
        what="table3",
        title="All methods",
        summary=["First paragraph.", "Second paragraph."],
        tables=[
            Table(
                "Accuracy",
                ["method", "recall@20", "difference", "p", "note"],
                [
                    ["MF", "0.1291 ± 0.0003", "−1.5 %", "< 0.001 ▼", "own code"],
                    ["LT-OCF", "0.1875", "–", "0.04", "2 seeds"],
                ],
                "Mean of two seeds.",
            )
        ],
        figures=[figure()],
        settings={"gowalla/ltocf": '[model]\nname = "ltocf"\n'},
        numbers={"recall": [0.1291, math.nan, -math.inf], "seeds": (0, 1)},
        command="ltocf reproduce table3 --data gowalla",
        environment={"processor": "a processor", "versions": {"torch": "2.13.0"}, "seeds": [0, 1]},
    )


def written_page(report: Report, folder: Path) -> Page:
    return Page(write_report(report, folder).read_text(encoding="utf-8"))


def test_everything_is_on_the_page(report: Report, tmp_path: Path) -> None:
    page = written_page(report, tmp_path)
    assert page.texts("title", "h1") == ["All methods"] * 2
    assert page.texts("p")[:2] == report.summary
    assert page.texts("h2") == ["Accuracy", "Figure figure6", "Settings", "Command and environment"]
    cells = [cell for row in report.tables[0].rows for cell in row]
    assert page.texts("td", "th")[: 5 + len(cells)] == report.tables[0].columns + cells
    assert page.texts("td", "th")[5 + len(cells) :] == [
        *["processor", "a processor"],
        *["versions.torch", "2.13.0"],
        *["seeds", "0, 1"],
    ]
    assert page.texts("pre") == ['[model]\nname = "ltocf"', report.command]
    assert "gowalla/ltocf" in page.texts("summary")
    assert page.texts("figcaption") == ["Caption of figure6."]


def test_a_long_paragraph_is_folded(report: Report, tmp_path: Path) -> None:
    long = "Results still missing: " + ", ".join(f"gowalla/mf-seed{seed}" for seed in range(40)) + "."
    page = written_page(replace(report, summary=["First paragraph.", long]), tmp_path)
    assert page.texts("p")[:2] == ["First paragraph.", long]
    (summary,) = (text for text in page.texts("summary") if text.startswith("Results still missing: gowalla/mf-seed0"))
    assert len(summary) <= 90


def test_the_contents_link_to_every_section(report: Report, tmp_path: Path) -> None:
    page = written_page(replace(report, figures=[figure("a"), figure("b")]), tmp_path)
    links = [attributes["href"] for tag, attributes, _ in page.elements if tag == "a"]
    sections = [f"#{attributes['id']}" for tag, attributes, _ in page.elements if tag == "section"]
    assert links == sections == ["#table-1", "#figure-1", "#figure-2", "#settings", "#origin"]
    assert page.texts("a") == page.texts("h2")


def test_only_columns_of_numbers_are_aligned_as_numbers(report: Report, tmp_path: Path) -> None:
    page = written_page(report, tmp_path)
    numeric = [attributes.get("class") == "number" for tag, attributes, _ in page.elements if tag in ("th", "td")]
    assert numeric[:15] == [False, True, True, True, False] * 3


def test_the_page_loads_nothing_from_elsewhere(report: Report, tmp_path: Path) -> None:
    page = written_page(report, tmp_path)
    addresses = [
        value or ""
        for _, attributes, _ in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster")
    ]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    styles = "".join(page.texts("style"))
    assert "@import" not in styles
    assert "url(" not in styles
    policies = [attributes["content"] for _, attributes, _ in page.elements if "http-equiv" in attributes]
    assert policies[0] is not None
    assert policies[0].startswith("default-src 'none'")


def test_scripts_are_included_once(report: Report, tmp_path: Path) -> None:
    text = write_report(replace(report, figures=[figure("a"), figure("b")]), tmp_path).read_text(encoding="utf-8")
    # Assigned once, by the bundle; called by the page twice, the second time for narrower panels.
    assert (text.count("window.vegaEmbed"), text.count("vegaEmbed(element")) == (1, 2)
    assert 500_000 < len(text) < 2_000_000
    assert len(Page(text).texts("script")) == 4


def test_the_page_has_the_picture_and_the_chart_of_the_figure(report: Report, tmp_path: Path) -> None:
    page = written_page(report, tmp_path)
    (source,) = [attributes["src"] for tag, attributes, _ in page.elements if tag == "img"]
    assert source is not None
    assert base64.b64decode(source.partition("base64,")[2]) == (tmp_path / "figure6.svg").read_bytes()
    assert (tmp_path / "figure6.png").read_bytes()[:4] == b"\x89PNG"
    (chart,) = page.charts()
    (rows,) = chart["datasets"].values()
    assert [(row["x"], row["y"]) for row in rows] == [(1, 0.1875), (2, None), (3, 0.25)]


def test_hostile_text_is_only_text(report: Report, tmp_path: Path) -> None:
    hostile = replace(
        report,
        title=HOSTILE,
        summary=[HOSTILE],
        tables=[Table(HOSTILE, ["a", HOSTILE], [[HOSTILE, HOSTILE]], HOSTILE)],
        figures=[replace(figure(label=HOSTILE), title=HOSTILE, caption=HOSTILE)],
        settings={HOSTILE: HOSTILE},
        command=HOSTILE,
        environment={HOSTILE: HOSTILE},
    )
    path = write_report(hostile, tmp_path)
    page = Page(path.read_text(encoding="utf-8"))
    for tag in ("title", "h1", "h2", "p", "td", "th", "summary", "pre", "figcaption"):
        assert HOSTILE in page.texts(tag)
    assert not page.texts("b")
    assert len(page.texts("script")) == 3
    (chart,) = page.charts()
    (rows,) = chart["datasets"].values()
    assert rows[0]["label"] == HOSTILE
    assert "<script>alert" not in path.read_text(encoding="utf-8")


def test_the_numbers_can_be_read_from_the_file(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)
    text = (tmp_path / "table3.json").read_text(encoding="utf-8")
    content = json.loads(text)
    assert content["numbers"] == {"recall": [0.1291, None, None], "seeds": [0, 1]}
    assert content["tables"] == [asdict(table) for table in report.tables]
    for name in ("what", "title", "summary", "settings", "environment", "command"):
        assert content[name] == getattr(report, name)
    assert text == numbers_text(report)
    assert text.startswith('{\n "what": "table3",\n')


def test_a_page_can_be_written_again_from_its_numbers(report: Report, tmp_path: Path) -> None:
    first = write_report(report, tmp_path / "first")
    again = write_report(read_report(first.with_suffix(".json")), tmp_path / "again")
    for path in (first, first.with_suffix(".json"), first.with_name("figure6.svg")):
        assert (again.parent / path.name).read_bytes() == path.read_bytes()


def test_the_same_report_gives_the_same_bytes(report: Report, tmp_path: Path) -> None:
    first, second = (write_report(report, tmp_path / name).parent for name in ("a", "b"))
    names = sorted(path.name for path in first.iterdir())
    assert names == ["figure6-dark.svg", "figure6.png", "figure6.svg", "table3.html", "table3.json"]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_a_report_without_figures_has_no_scripts(tmp_path: Path) -> None:
    bare = Report("figure6", "Nothing yet", [], [], [], {}, {}, "ltocf reproduce figure6")
    path = write_report(bare, tmp_path)
    page = Page(path.read_text(encoding="utf-8"))
    assert page.texts("h2") == ["Command and environment"]
    assert not page.texts("script")
    assert path.stat().st_size < 20_000
    assert sorted(file.name for file in tmp_path.iterdir()) == ["figure6.html", "figure6.json"]


def test_figures_of_the_same_name_are_an_error(report: Report, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"need different names, got \['a', 'a'\]"):
        write_report(replace(report, figures=[figure("a"), figure("a")]), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("library", ["matplotlib", "altair", "vl_convert", "jinja2"])
def test_a_missing_library_names_its_extra(
    library: str, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=r"reports need the `plots` extra: pip install .*\[plots\]"):
        write_report(report, tmp_path)
