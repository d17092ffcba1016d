"""The help of every command has examples and explains every option, and it loads no large package."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cyclopts import App

from ltocf.cli.examples import EXAMPLES
from ltocf.cli.main import app, main

HEAVY = ("torch", "numpy", "scipy", "polars", "safetensors", "torchdiffeq", "matplotlib", "altair", "fastapi")
READ_A_LOG = ("train", "ingest", "fit", "update", "inspect", "bench", "data stats")


def commands(parent: App = app, prefix: str = "") -> dict[str, App]:
    """All commands by their full name, without the groups that contain them."""
    found: dict[str, App] = {}
    for name in parent:
        if not name.startswith("-"):
            subcommands = commands(parent[name], f"{prefix}{name} ")
            found |= subcommands or {f"{prefix}{name}": parent[name]}
    return found


def help_of(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    main([*command, "--help"])
    return capsys.readouterr().out


def test_every_command_has_two_examples() -> None:
    assert set(EXAMPLES) == {"", *commands()}
    assert {len(examples) for examples in EXAMPLES.values()} == {2}


@pytest.mark.parametrize("command", EXAMPLES)
def test_examples_are_valid_commands(command: str) -> None:
    for line, _ in EXAMPLES[command]:
        program, *arguments = shlex.split(line)
        assert program == "ltocf"
        assert command in ("", " ".join(arguments[: len(command.split())]))
        app.parse_args(arguments, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("command", EXAMPLES)
def test_help_ends_with_the_examples(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    _, _, end = help_of(capsys, *command.split()).partition("Examples:")
    for line, meaning in EXAMPLES[command]:
        assert line in end
        assert meaning.partition("`")[0] in end


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_option_has_a_help_text(command: str) -> None:
    for argument in commands()[command].assemble_argument_collection(parse_docstring=True):
        if argument.names and argument.names != ("*",) and argument.parameter.parse is not False:
            assert argument.parameter.help, f"{command} {argument.name} has no help"


@pytest.mark.parametrize("command", sorted(commands()))
def test_commands_that_read_a_log_have_options_for_its_columns(command: str) -> None:
    names = {name for argument in commands()[command].assemble_argument_collection() for name in argument.names}
    has_columns = {"--user-column", "--item-column", "--timestamp-column", "--only", "--items"} <= names
    assert has_columns == (command in READ_A_LOG)


def test_choices_and_defaults_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown = " ".join(help_of(capsys, "similar").replace("│", " ").split())
    assert "[choices: cosine, inner_product, history] [default: cosine]" in shown


@pytest.mark.parametrize("command", ["", "train", "recommend", "settings", "data stats"])
def test_help_loads_nothing_heavy(command: str) -> None:
    program = (
        "import sys; from ltocf.cli import main\n"
        f"main({[*command.split(), '--help']!r})\n"
        f"print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_importing_the_package_loads_nothing_heavy() -> None:
    program = f"import sys, ltocf; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_importing_train_loads_no_package_that_only_some_trainings_need() -> None:
    """Statistics, integrators, figures and optional packages are imported on first use."""
    lazy = ("scipy.stats", "scipy.integrate", "torchdiffeq", "sklearn", "matplotlib", "pandas", "optuna", "implicit")
    program = f"import sys, ltocf; ltocf.train; print([name for name in {lazy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_bash_completion_is_a_valid_script_with_the_commands(tmp_path: Path) -> None:
    script = tmp_path / "ltocf.sh"
    app.install_completion(shell="bash", output=script, add_to_startup=False)
    subprocess.run(["bash", "-n", str(script)], check=True, timeout=60)
    assert all(word in script.read_text(encoding="utf-8") for word in ("recommend", "settings", "--user-column"))
