"""``ltocf reproduce`` shows a plan, runs what is missing, and writes a report that never replaces a fuller one."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from ltocf.cli import main
from ltocf.cli.reproduce import _fitting_columns
from ltocf.files import write_text
from ltocf.report.content import Report, Table
from ltocf.report.html import numbers_text
from ltocf.reproduce.cells import Cell, Places, make_cells
from ltocf.reproduce.plan import keep_report, report
from ltocf.reproduce.run import run_cells


def command(places: Places, *arguments: str) -> None:
    folders = {"--configs": places.configs, "--results": places.results, "--runs": places.runs}
    main(["reproduce", *arguments, *(str(part) for pair in folders.items() for part in pair)])


def test_the_command_writes_a_report(source: str, places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["table3", "--dataset", source, "--models", "mf,ltocf", "--seeds", "1"]
    command(places, *arguments, "--run-long")
    printed = capsys.readouterr().out
    assert "log: 0 done, 2 to run: mf, ltocf; time unknown" in printed
    assert "report: " in printed
    written = json.loads((places.results / "reports" / "table3-log.json").read_text())
    # Nothing is cut if the output is not a terminal.
    assert all(column in printed for table in written["tables"] for column in table["columns"])
    assert "…" not in printed
    assert written["command"] == "ltocf reproduce table3 --dataset log.csv --models mf,ltocf --seeds 1"
    assert written["numbers"]["log"]["ltocf"]["seeds"] == [1]
    assert list(written["cells"]) == ["log/mf-seed1", "log/ltocf-seed1"]
    page = (places.results / "reports" / "table3-log.html").read_text()
    assert "LT-OCF" in page
    assert str(places.configs.parent) not in page
    command(places, *arguments, "--dry-run")
    assert "log: 2 done, 0 to run\n" in capsys.readouterr().out
    command(places, *arguments[:-1], "1,2", "--report-only", "--run-long")
    assert "2 cells are left" in capsys.readouterr().out
    command(places, *arguments, "--format", "json")
    (report_again,) = json.loads(capsys.readouterr().out)
    assert (report_again["tables"], report_again["cells"]) == (written["tables"], written["cells"])
    with pytest.raises(SystemExit):
        command(places, "table3", "--dataset", source, "--seeds", "one")
    assert "`--seeds` takes whole numbers >= 0" in capsys.readouterr().err


def test_a_terminal_shows_as_many_columns_as_fit() -> None:
    content = Table("", ["a" * 30, "b" * 20, "c" * 20, "d" * 50], [])
    assert [_fitting_columns(content, width) for width in (20, 80, 81, 400)] == [2, 3, 3, 4]


def test_the_command_searches(source: str, places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    grid = ["--grid", "l2=0.001,0.01", "--grid", "adaptive_temperature=0.0", "--grid", "init_l2=0.5"]
    command(places, "search", "--dataset", source, "--models", "mf", *grid)
    assert "log/mf: {'values': {'l2': " in capsys.readouterr().out
    kept = json.loads((places.results / "log" / "search" / "mf.json").read_text())
    written = tomllib.loads((places.configs / "log" / "mf.toml").read_text())
    assert (written["run"]["init_l2"], written["training"]["l2"]) == (0.5, kept["best"]["values"]["l2"])
    assert len(make_cells(source, ["mf"], [0], places)) == 1
    with pytest.raises(SystemExit):
        command(places, "search", "--dataset", source, "--models", "mf", "--dry-run")
    assert "`--dry-run` is for tables and figures, got search" in capsys.readouterr().err


def test_nothing_is_written_if_no_cell_is_done(source: str, places: Places, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(places.configs.parent.rglob("*"))
    with pytest.raises(SystemExit) as ended:
        command(places, "figure6", "--dataset", source, "--budget", "2")
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert "log: 0 done, 2 to run: lightgcn, ltocf; time unknown" in printed.out
    assert "nothing is run, as it may take more than 5 minutes; add --run-long to run it" in printed.out
    assert "no cell of figure6 has a result, so nothing is written: 2 are left to run" in printed.err
    command(places, "figure9", "--dataset", source, "--dry-run", "--run-long")
    assert "log: 0 done, 5 to run: solver/euler, ltocf, solver/adams_moulton" in capsys.readouterr().out
    assert sorted(places.configs.parent.rglob("*")) == before


@pytest.mark.usefixtures("quick_drawing")
def test_long_cells_are_left_and_the_others_are_reported(
    cells: list[Cell], source: str, places: Places, capsys: pytest.CaptureFixture[str]
) -> None:
    command(places, "table3", "--dataset", source, "--models", "mf,ltocf,grmf")
    printed = capsys.readouterr().out
    assert "log: 2 done, 1 to run: grmf; time unknown" in printed
    assert "1 cells are left" in printed
    written = json.loads((places.results / "reports" / "table3-log.json").read_text())
    assert "Results still missing: log/grmf-seed0." in written["summary"]
    assert list(written["cells"]) == [cell.label for cell in cells if cell.seed == 0][::-1]


@pytest.fixture
def quick_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures get their title only, and there is no page: tests/report tests what they look like."""

    def write(made: Report, folder: Path) -> Path:
        write_text(folder / f"{made.stem}.json", numbers_text(made))
        for figure in made.figures:
            write_text(folder / f"{figure.name}.svg", figure.title)
        return folder / f"{made.stem}.html"

    monkeypatch.setattr("ltocf.reproduce.plan.write_report", write)


def kept_name(cells: list[Cell], places: Places) -> str:
    """Write a report of Table 3; the name under which it is kept."""
    made = report("table3", cells, [], places, "ltocf reproduce table3", {"processor": "one"})
    return keep_report(made, places.results / "reports").stem


@pytest.mark.usefixtures("quick_drawing")
def test_a_report_never_replaces_a_fuller_one(cells: list[Cell], places: Places) -> None:
    folder = places.results / "reports"
    assert kept_name(cells[:1], places) == "table3-log"
    assert kept_name(cells, places) == "table3-log"
    full = {path.name: path.read_bytes() for path in folder.iterdir()}
    part = kept_name(cells[2:], places)
    assert part.startswith("table3-log-")
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after.keys() == full.keys() | {f"{part}.json", f"{part}.svg"}
    assert {name: after[name] for name in full} == full
    # The same part is written to the same file again, and the full report to its own.
    assert kept_name(cells[2:], places) == part
    assert kept_name(cells, places) == "table3-log"


@pytest.mark.usefixtures("quick_drawing")
def test_a_report_of_other_data_of_the_same_name_is_another_file(
    cells: list[Cell], source: str, places: Places
) -> None:
    assert kept_name(cells[3:], places) == "table3-log"
    with Path(source).open("a") as log:
        log.write("999,0\n999,1\n999,2\n")
    other = run_cells(make_cells(source, ["mf"], [1], places)).done
    assert [cell.label for cell in other] == ["log/mf-seed1"]
    assert other[0].file(".json") != cells[3].file(".json")
    assert kept_name(other, places).startswith("table3-log-")


@pytest.mark.usefixtures("quick_drawing")
def test_two_sources_of_the_same_name_in_one_call_have_two_reports(
    cells: list[Cell], source: str, places: Places, tmp_path: Path
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "log.csv").write_text(Path(source).read_text() + "999,0\n999,1\n999,2\n")
    both = f"{source},{tmp_path / 'b' / 'log.csv'}"
    command(places, "table3", "--dataset", both, "--models", "mf", "--run-long")
    first, second = sorted((places.results / "reports").glob("*.json"), key=lambda path: len(path.name))
    assert first.name == "table3-log.json"
    found = [json.loads(path.read_text())["numbers"]["log"]["mf"] for path in (first, second)]
    assert [row["seeds"] for row in found] == [[0], [0]]
    assert found[0]["recall@20"]["mean"] == cells[2].metrics()["recall@20"]
    assert found[0] != found[1]


@pytest.mark.usefixtures("quick_drawing")
def test_a_report_of_another_data_set_is_another_file(cells: list[Cell], places: Places, tmp_path: Path) -> None:
    kept_name(cells, places)
    elsewhere = tmp_path / "other.csv"
    elsewhere.write_text(Path(cells[0].config.data.source).read_text())
    made = run_cells(make_cells(str(elsewhere), ["mf"], [0], places, {"epochs": 1, "dim": 4})).done
    assert kept_name(made, places) == "table3-other"
    assert (places.results / "reports" / "table3-log.json").exists()
