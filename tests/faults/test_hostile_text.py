"""Text in data is displayed and never executed by a terminal, a spreadsheet, a browser or a file system.

Pages and reports: tests/report/test_html.py, tests/service/pages; lists as CSV: tests/serving/test_writing.py; cards:
tests/serving/test_hub.py; names of cells: tests/reproduce/test_cells.py.
"""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console

import ltocf
from ltocf.cli import main
from ltocf.data import load_dataset
from ltocf.progress import harmless, log_line, progress_bar
from ltocf.service.logs import TextLines

HOSTILE = "\x1b]8;;http://e.org\x07[/]\\[bold] :smile: \x9b31m\x7f"
ESCAPES = set("\x1b\x07\x9b\x7f\x00\x08")
FORMULA = '=HYPERLINK("http://e.org")'


def hostile_log(folder: Path) -> Path:
    """A log with hostile titles, ids, column name and file name."""
    rows = [(f"{HOSTILE}{user}", item, FORMULA) for user in range(12) for item in range(10) if (user + item) % 3]
    frame = pl.DataFrame(rows, schema=["user", "item", "title"], orient="row")
    frame = frame.with_columns(pl.lit(1).alias(HOSTILE))
    path = folder / "log[x]\x1b[31m.parquet"
    frame.write_parquet(path)
    return path


def exit_code(command: list[str]) -> object:
    try:
        main(command)
    except SystemExit as error:
        return error.code
    return 0


def test_no_command_prints_an_escape(tmp_path: Path, capsys: pytest.CaptureFixture[str], figures: Counter[str]) -> None:
    log, run = hostile_log(tmp_path), tmp_path / "run[/]\x1b[31m"
    options = [
        "--model",
        "mf",
        *(text for name in ("dim=2", "epochs=1", "select_by=recall@5") for text in ("--set", name)),
    ]
    commands = [
        ["data", "stats", str(log)],
        ["inspect", str(log)],
        ["train", str(log), "--out", str(run), *options, "--set", "title_column=title"],
        ["recommend", str(run), "--user", f"{HOSTILE}1"],
        ["recommend", str(run), "--user", f"{HOSTILE}nobody"],
        ["similar", str(run), "--item", "1"],
        ["popular", str(run)],
        ["explain", str(run), "--user", f"{HOSTILE}1", "--item", "1"],
        ["evaluate", str(run), "--at", "5"],
        ["compare", str(run), str(run)],
        ["train", str(log), "--out", str(run), *options],
        ["train", f"{HOSTILE}.csv", "--out", str(tmp_path / "x")],
    ]
    for command in commands:
        code = exit_code(command)
        assert code in (0, 2), command
        printed = capsys.readouterr()
        assert not ESCAPES & set(printed.out + printed.err), command
        assert "Traceback" not in printed.err
        assert printed.out + printed.err
        figures["commands"] += 1


@pytest.mark.parametrize("format", ["csv", "json", "jsonl"])
def test_lists_for_programs_are_escaped(
    format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], figures: Counter[str]
) -> None:
    """A spreadsheet finds no formula, and JSON escapes control characters."""
    ltocf.fit(
        hostile_log(tmp_path), tmp_path / "run", model="mf", dim=2, epochs=1, title_column="title", show_progress=False
    )
    main(["recommend", str(tmp_path / "run"), "--all", "--format", format])
    printed = capsys.readouterr().out
    assert FORMULA[1:8] in printed
    if format == "csv":
        assert "\"'=HYPERLINK" in printed
        assert not [line for line in printed.splitlines() if line.rpartition(",")[2].strip('"').startswith("=")]
    else:
        assert not ESCAPES & set(printed) - {"\x7f", "\x9b"}
    figures["formats"] += 1


def test_progress_and_logs_print_no_escape(capsys: pytest.CaptureFixture[str]) -> None:
    log_line(f"reading {HOSTILE}")
    assert not ESCAPES & set(capsys.readouterr().err)
    with progress_bar() as bar:
        task = bar.add_task("[/]", total=1, note="[/]")
        Console(file=None, quiet=True).print(bar.make_tasks_table([bar.tasks[task]]))
    record = logging.LogRecord("ltocf", logging.INFO, "", 0, "run %s", (f"{HOSTILE}\nfaked line",), None)
    line = TextLines().format(record)
    assert not (ESCAPES | {"\n"}) & set(line)
    assert harmless("tab\tand line\n") == "tab\tand line\n"


def test_the_name_of_a_data_set_is_not_a_path(tmp_path: Path, figures: Counter[str]) -> None:
    (tmp_path / "a").mkdir()
    for name in ("..csv", "...csv", "a b.csv", "=1+1.csv", "x\x1b[31m.csv"):
        (tmp_path / "a" / name).write_text("user,item\nann,7\nbob,8\n")
        dataset = load_dataset(tmp_path / "a" / name)
        assert "/" not in dataset.name
        assert not ESCAPES & set(repr(dataset))
        figures["file_names"] += 1
