"""The README's commands work as they stand, twice in a row, in what `make demo` leaves; its badges are true."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import venv
from pathlib import Path

import polars as pl
import pytest

import ltocf
from docs.test_documentation import DOCS, ROOT, blocks
from ltocf.cli import app, main
from ltocf.reproduce.cells import find_source
from scripts import load_script

README = ROOT / "README.md"
LEFT_OUT = {
    "make ": "installs from the network, and `make test` runs this test",
    "pip install ": "installs from the network",
    "ltocf demo": "tests/cli/test_demo.py runs it, shortened",
    "ltocf serve": "does not end; tests/service starts it",
    "ltocf bench": "takes turns with other programs for minutes; tests/cli/test_bench.py runs it on a small log",
    "ltocf --install-completion": "writes into the home folder; tests/cli/test_help.py writes the script elsewhere",
}
"""Beginnings of commands that are not run here, and why."""
SHORTENED = {
    "ltocf fit LOG": "--set max_minutes=0.02 --threads 1",
    "ltocf train LOG": "--set max_minutes=0.02 --threads 1",
    "ltocf reproduce": "--dry-run",
}
"""What is added to commands that take minutes or hours."""


def shell_commands() -> list[str]:
    """Every line of the shell blocks, without comments."""
    lines = [line for _, block in blocks(README, "sh") for line in block.splitlines()]
    return [shlex.join(shlex.split(line, comments=True)) for line in lines]


def commands_in_the_text() -> list[str]:
    """Every command in backquotes, in order, each once."""
    text = re.sub(r"^```.*?^```$", "", README.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return list(dict.fromkeys(re.findall(r"`(ltocf [^`]+)`", text)))


def is_left_out(command: str) -> bool:
    return command.startswith(tuple(LEFT_OUT))


def run_lines(commands: list[str], folder: Path) -> str:
    """What the commands of a shell session print; the first that fails ends it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    script = "\n".join(["set -e", *commands])
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def visits() -> pl.DataFrame:
    """A small part of the shipped MovieLens set, user 42 and item 318 in it."""
    log = ltocf.load_dataset("movielens-small")
    pairs = log.interactions
    rows = pl.DataFrame({"user": log.user_ids.decode(pairs.users), "item": log.item_ids.decode(pairs.items)})
    return rows.filter((pl.col("user") <= 60) & (pl.col("item") <= 330))


@pytest.fixture
def after_the_demo(visits: pl.DataFrame, tmp_path: Path) -> Path:
    """A folder with what `make demo` leaves in it: an environment with the command, and runs; and with two logs."""
    venv.create(tmp_path / ".venv", with_pip=False)
    program = tmp_path / ".venv" / "bin" / "ltocf"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m ltocf "$@"\n')
    program.chmod(0o755)
    ltocf.train(
        visits, tmp_path / "runs/demo/ltocf", model="ltocf", dim=4, epochs=1, n_negatives=64, show_progress=False
    )
    visits.write_csv(tmp_path / "events.csv")
    pl.DataFrame({"user": [42, 999], "item": [318, 318]}).write_csv(tmp_path / "tonight.csv")
    return tmp_path


def test_shell_blocks_work_twice(after_the_demo: Path) -> None:
    commands = [command for command in shell_commands() if not is_left_out(command)]
    assert [command.split()[0] for command in commands] == [".", "ltocf"]
    printed = run_lines(2 * commands, after_the_demo)
    assert len(re.findall(r"^│ 42 ", printed, re.MULTILINE)) == 2 * 3


@pytest.fixture
def in_that_folder(after_the_demo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(after_the_demo)
    return after_the_demo


def test_commands_in_the_text_work_twice(in_that_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One after the other as the table has them, each twice."""
    commands = [command for command in commands_in_the_text() if not is_left_out(command)]
    # Without the data of the paper that command would download it.
    run = [one for one in commands if "gowalla" not in one or find_source("gowalla") is not None]
    for command in run:
        more = next((more for beginning, more in SHORTENED.items() if command.startswith(beginning)), "")
        for _ in range(2):
            main(shlex.split(f"{command} {more}".replace("LOG", "events.csv"))[1:])
            assert capsys.readouterr().out or "recommend" in command, command
    assert {command.split()[1] for command in run} >= {"fit", "train", "recommend", "explain", "update"}
    assert pl.read_parquet("lists.parquet")["user"].n_unique() == pl.read_csv("events.csv")["user"].n_unique()
    assert ltocf.load("shop-2").recommend(999, k=3).height == 3


def test_what_is_left_out_or_shortened_is_in_the_readme() -> None:
    commands = [*shell_commands(), *commands_in_the_text()]
    for beginning in (*LEFT_OUT, *SHORTENED):
        assert any(command.startswith(beginning) for command in commands), f"{beginning} is no longer there"


def test_commands_in_the_text_are_ones_the_program_has() -> None:
    for command in commands_in_the_text():
        if "--install-completion" not in command:
            app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)


def test_badges_are_those_of_the_project() -> None:
    script = load_script(DOCS / "draw_badges.py")
    assert script.badges()["licence"] == ("licence", "Apache-2.0")
    text = README.read_text(encoding="utf-8")
    for name, (label, value) in script.badges().items():
        assert f"](docs/images/badge-{name}.svg)" in text
        assert (DOCS / "images" / f"badge-{name}.svg").read_text("utf-8") == script.badge(label, value)
