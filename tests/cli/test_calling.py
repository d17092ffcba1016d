"""Printed commands can be typed: they begin with the way the program was called."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import ltocf.cli
from ltocf.cli import main
from ltocf.cli.calling import as_called, command, torchrun
from ltocf.runs import experiment

MODULE = f"{shlex.quote(sys.executable)} -m ltocf"
"""How the program is called if the interpreter is not on the PATH."""
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "my events.csv"
    rows = [f"{user},{item}" for user in range(8) for item in range(9) if (user * item) % 4 != 1]
    path.write_text("\n".join(["user,item", *rows]) + "\n")
    return path


@pytest.fixture
def called_as_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # away from the repository, below which the interpreter may have a short path
    monkeypatch.setattr(sys, "argv", ["/usr/lib/ltocf/__main__.py"])
    monkeypatch.setenv("PATH", "/nowhere")


@pytest.mark.parametrize(
    ("on_path", "program"), [(True, "ltocf"), (False, ".venv/bin/ltocf")], ids=["on the path", "by its path"]
)
def test_commands_are_printed_as_the_program_was_called(
    on_path: bool, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / ".venv" / "bin" / "ltocf"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", str(script.parent) if on_path else "/nowhere")
    assert command("demo", "--out", Path("my runs")) == f"{program} demo --out 'my runs'"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert command("demo") == ("ltocf demo" if on_path else f"{script} demo")


@pytest.mark.usefixtures("called_as_a_module")
def test_commands_of_the_module_name_the_interpreter() -> None:
    assert command("demo") == f"{shlex.quote(sys.executable)} -m ltocf demo"


def test_an_interpreter_on_the_path_is_printed_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    python = Path(sys.executable)
    monkeypatch.setattr(sys, "argv", ["/usr/lib/ltocf/__main__.py"])
    monkeypatch.setenv("PATH", str(python.parent))
    assert command("demo") == f"{python.name} -m ltocf demo"


def test_a_link_to_the_interpreter_on_the_path_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / Path(sys.executable).name).symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["/usr/lib/ltocf/__main__.py"])
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command("demo") == f"{MODULE} demo"


def hints(printed: str) -> list[list[str]]:
    """The arguments of the commands at the ends of lines; each must begin with the way the program was called."""
    assert not re.search(r"(?<!-m )\bltocf (train|fit|recommend|serve)\b", printed)
    return [shlex.split(line.partition(f"{MODULE} ")[2]) for line in printed.splitlines() if f"{MODULE} " in line]


@pytest.mark.usefixtures("called_as_a_module")
def test_hints_at_the_end_of_commands_can_be_typed(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, shop = str(log.parent / "a run"), str(log.parent / "shop")
    main(["train", str(log), "--out", run, "--model", "popularity"])
    assert hints(capsys.readouterr().out) == [["fit", "--like", run, "--out", "DIR"]]
    main(["fit", "--like", run, "--out", shop])
    assert hints(capsys.readouterr().out) == [["recommend", shop, "--user", "ID"]]
    main(["ingest", str(log), str(log.parent / "store")])
    (hint,) = hints(capsys.readouterr().out)
    assert hint == ["train", str(log.parent / "store"), "--out", "runs/store"]
    main(["inspect", str(log)])
    assert f"`{MODULE} train`: several models compete for 1 min" in capsys.readouterr().out


@pytest.mark.usefixtures("called_as_a_module")
@pytest.mark.parametrize("processes", [1, 2])
def test_an_interrupted_training_prints_how_to_resume_it(
    processes: int, log: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = log.parent / "a run"

    def interrupted(*_: object, **__: object) -> None:
        run.mkdir()
        (run / "config.toml").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(experiment, "train", interrupted)
    monkeypatch.setattr("ltocf.cli.training.place", lambda: (0, processes, 0))
    with pytest.raises(SystemExit):
        main(["train", str(log), "--out", str(run)])
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"interrupted; continue with: {MODULE} train --resume '{run}'"
    several = f"{sys.executable} -m torch.distributed.run --nproc-per-node N -m ltocf train --resume '{run}'"
    assert lines[1:] == [f"or with any number of processes: {several}"] * (processes - 1)


def test_torchrun_of_this_environment_is_printed_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("python", "torchrun"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert torchrun("train") == "torchrun --nproc-per-node N -m ltocf train"


@pytest.mark.usefixtures("called_as_a_module")
def test_errors_advise_commands_that_can_be_typed(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", str(log), "--out", str(log.parent / "run"), "--model", "lightgnc"])
    assert f"`{MODULE} models` lists them" in capsys.readouterr().err
    assert as_called("`ltocf` is a model, ltocf models are many") == "`ltocf` is a model, ltocf models are many"


def test_no_command_of_the_program_is_printed_by_its_bare_name() -> None:
    """In the texts of the command line a command is in backquotes, for `as_called`, or built by `command`."""
    bare = re.compile(r"(?<![`\w-])ltocf [a-z]+(-[a-z]+)? ")
    for path in Path(ltocf.cli.__file__).parent.glob("*.py"):
        if path.stem != "examples":  # whose commands are quoted later
            tree = ast.parse(path.read_text(encoding="utf-8"))
            texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
            docs = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, DOCUMENTED)}
            assert [text for text in texts if isinstance(text, str) and text not in docs and bare.search(text)] == []


def test_the_last_line_of_a_real_process_is_a_command_that_works(log: Path) -> None:
    """Called by `python -m ltocf`, its examples and its last line are commands of this interpreter."""
    folder = log.parent

    def run(line: str) -> str:
        arguments = shlex.split(line)
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout

    trained = run(f"{MODULE} train {shlex.quote(str(log))} --out run --model popularity")
    last = trained.splitlines()[-1].partition(": ")[2]
    assert last.endswith(" -m ltocf fit --like run --out DIR")
    assert run(last).splitlines()[-1].endswith(" -m ltocf recommend DIR --user ID")
    assert "-m ltocf fit events.csv" in run(f"{MODULE} fit --help")
