"""An error names flags in a shell and arguments in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

import ltocf
from ltocf.cli import main
from ltocf.cli.main import app
from ltocf.cli.wording import flags_of


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text("client,thing\n1,2\n3,4\n")
    return path


def error_line(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "lightgnc"], "did you mean `lightgcn`? `ltocf models` lists them"),
        (["--set", "learning_rat=1"], "no setting `learning_rat`; did you mean `learning_rate`?"),
        (["--set", "epoch=1"], "no setting `epoch`; did you mean `--epochs`?"),
        (["--model", "mf", "--set", "horizon=1"], "no setting `horizon` of mf; it is one of ltocf"),
        (["--model", "mf", "--user-column", "clint"], "got 'clint'; did you mean `client`?"),
        (
            ["--model", "mf", "--user-column", "client"],
            "named like an item; pass `--item-column` as one of",
        ),
        (["--epochs", "0"], "`--epochs` must be > 0, got 0"),
        (["--set", "patience=0"], "`patience` must be > 0, got 0"),
    ],
    ids=str,
)
def test_in_a_shell_errors_name_flags_and_guess_misspelt_names(
    options: list[str], message: str, log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in error_line(capsys, "train", str(log_file), "--out", str(log_file.parent / "run"), *options)


def test_a_misspelt_data_set_is_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean `gowalla`?" in error_line(capsys, "data", "stats", "gowala")
    assert "a dataset must be one of gowalla, " in error_line(capsys, "data", "stats", "my-own-log")


def test_in_python_errors_name_arguments(log_file: Path) -> None:
    with pytest.raises(ValueError, match="no column is named like an item; pass `item_column` as one of"):
        ltocf.load_dataset(log_file, user_column="client")
    with pytest.raises(ValueError, match="no setting `epoch`; did you mean `epochs`"):
        ltocf.train(log_file, log_file.parent / "run", epoch=1)


def test_flags_of_a_command_are_known_and_an_unknown_command_has_none() -> None:
    assert "--user-column" in flags_of(app, ["data", "stats", "gowalla"])
    assert flags_of(app, ["no-such-command"]) == flags_of(app, []) == []
