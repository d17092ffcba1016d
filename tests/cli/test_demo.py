"""The demo's command, shortened: a table with three methods, three users, ten titles each, and what to type next."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import shlex
from pathlib import Path

import pytest

from ltocf.cli import demo, main


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[str]]:
    """A folder in which the demo has trained, shortened; what it printed and what it logged."""
    folder, printed = tmp_path_factory.mktemp("a folder") / "demo", io.StringIO()
    logged: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setitem(demo.SETTINGS, "epochs", 1)
        demo.demo(out=folder)
    logging.getLogger().removeHandler(handler)
    return folder, printed.getvalue(), logged


def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    demo.demo(out=folder)
    return capsys.readouterr().out


def test_nothing_is_set_by_hand() -> None:
    assert demo.SETTINGS.keys() == {"max_minutes"}
    assert list(demo.MODELS) == ["spectral", "ltocf"]


def test_shows_metrics_and_titles_and_does_not_train_twice(
    finished: tuple[Path, str, list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, first, _ = finished
    monkeypatch.setattr("ltocf.runs.experiment.train", None)
    again = run(folder, capsys)
    assert again.count("trained before") == first.count("choosing on a validation set") == 2
    assert first.partition("\n\n")[2] == again.partition("\n\n")[2]
    for row in ("the most popular films", "Spectral", "LT-OCF"):
        assert re.search(rf"{row} +│ 0\.\d{{3}} +│ 0\.\d{{3}}", first)
    titles = re.findall(r"^ +\d+\. (.+)$", first, re.MULTILINE)
    assert len(titles) == 30
    assert all(re.search(r"\(\d{4}\)$", title) for title in titles)  # to the end, however long
    for words in ("recall@20: ", "ndcg@20: "):
        assert first.count(words) == 1
    assert len(re.findall(r"^t = \d\.\d\d of 4: .+$", first, re.MULTILINE)) == 1


def test_its_last_line_is_a_command_that_works(
    finished: tuple[Path, str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    main(shlex.split(finished[1].splitlines()[-1])[1:])
    assert len(re.findall(r"^│ 42 ", capsys.readouterr().out, re.MULTILINE)) == 10


def test_logs_and_warns_of_nothing(finished: tuple[Path, str, list[str]]) -> None:
    assert finished[2] == []


def test_serves_both_and_says_how(
    finished: tuple[Path, str, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[Path, ...]] = []
    monkeypatch.setattr("ltocf.cli.serving.serve", lambda *runs: calls.append(runs))
    folder, printed, _ = finished
    assert f"ltocf serve '{folder / 'ltocf'}' '{folder / 'spectral'}'\n" in printed
    demo.demo(out=folder, serve=True)
    assert calls == [(folder / "ltocf", folder / "spectral")]


def test_says_what_to_install_if_it_cannot_serve(
    finished: tuple[Path, str, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    printed = run(finished[0], capsys)
    assert re.search(r"first install the `serve` extra: pip install .*\[serve\]", printed)
    assert "ltocf serve" not in printed
