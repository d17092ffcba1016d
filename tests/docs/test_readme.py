"""The README's commands work unchanged, twice in a row, in the folder that `make demo` leaves; its badges are right."""

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
"""Prefixes of the commands that are not run here, and why."""
SHORTENED = {
    "ltocf fit LOG": "--set max_minutes=0.02 --threads 1",
    "ltocf train LOG": "--set max_minutes=0.02 --threads 1",
    "ltocf reproduce": "--dry-run",
}
"""Arguments that are added to commands which take minutes or hours."""


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
    """What the commands print in one shell; the first failure ends it."""
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
    """A folder with what `make demo` leaves, an environment with the command and a run, and with two logs."""
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
def in_folder_of_the_demo(after_the_demo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(after_the_demo)
    return after_the_demo


def test_commands_in_the_text_work_twice(in_folder_of_the_demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the table, each twice."""
    commands = [command for command in commands_in_the_text() if not is_left_out(command)]
    # Without the data of the paper the command would download it.
    runnable = [command for command in commands if "gowalla" not in command or find_source("gowalla") is not None]
    for command in runnable:
        added = next((added for prefix, added in SHORTENED.items() if command.startswith(prefix)), "")
        for _ in range(2):
            main(shlex.split(f"{command} {added}".replace("LOG", "events.csv"))[1:])
            assert capsys.readouterr().out or "recommend" in command, command
    assert {command.split()[1] for command in runnable} >= {"fit", "train", "recommend", "explain", "update"}
    assert pl.read_parquet("lists.parquet")["user"].n_unique() == pl.read_csv("events.csv")["user"].n_unique()
    assert ltocf.load("shop-2").recommend(999, k=3).height == 3


def test_commands_left_out_or_shortened_are_in_the_readme() -> None:
    commands = [*shell_commands(), *commands_in_the_text()]
    for prefix in (*LEFT_OUT, *SHORTENED):
        assert any(command.startswith(prefix) for command in commands), f"{prefix} is no longer there"


def test_commands_in_the_text_are_valid() -> None:
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
