"""`ltocf demo`, shortened: it prints a table of three methods, ten titles for three users, and what to type next."""

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
    """The folder of a finished, shortened demo, with its output and its log messages."""
    folder, output = tmp_path_factory.mktemp("a folder") / "demo", io.StringIO()
    logged: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output):
        patch.setitem(demo.SETTINGS, "epochs", 1)
        demo.demo(out=folder)
    logging.getLogger().removeHandler(handler)
    return folder, output.getvalue(), logged


def run_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    demo.demo(out=folder)
    return capsys.readouterr().out


def test_the_demo_sets_only_a_time_limit() -> None:
    assert demo.SETTINGS.keys() == {"max_minutes"}
    assert list(demo.MODELS) == ["spectral", "ltocf"]


def test_the_demo_prints_metrics_and_titles_and_trains_only_once(
    finished: tuple[Path, str, list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, first, _ = finished
    monkeypatch.setattr("ltocf.runs.experiment.train", None)
    again = run_again(folder, capsys)
    assert again.count("trained before") == first.count("choosing on a validation set") == 2
    assert first.partition("\n\n")[2] == again.partition("\n\n")[2]
    for row in ("the most popular films", "Spectral", "LT-OCF"):
        assert re.search(rf"{row} +│ 0\.\d{{3}} +│ 0\.\d{{3}}", first)
    titles = re.findall(r"^ +\d+\. (.+)$", first, re.MULTILINE)
    assert len(titles) == 30
    assert all(re.search(r"\(\d{4}\)$", title) for title in titles)  # not truncated, however long
    for words in ("recall@20: ", "ndcg@20: "):
        assert first.count(words) == 1
    assert len(re.findall(r"^t = \d\.\d\d of 4: .+$", first, re.MULTILINE)) == 1


def test_the_last_line_is_a_command_that_works(
    finished: tuple[Path, str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    main(shlex.split(finished[1].splitlines()[-1])[1:])
    assert len(re.findall(r"^│ 42 ", capsys.readouterr().out, re.MULTILINE)) == 10


def test_the_demo_logs_no_message(finished: tuple[Path, str, list[str]]) -> None:
    assert finished[2] == []


def test_the_demo_serves_both_runs_and_prints_the_command_for_it(
    finished: tuple[Path, str, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[Path, ...]] = []
    monkeypatch.setattr("ltocf.cli.serving.serve", lambda *runs: calls.append(runs))
    folder, printed, _ = finished
    assert f"ltocf serve '{folder / 'ltocf'}' '{folder / 'spectral'}'\n" in printed
    demo.demo(out=folder, serve=True)
    assert calls == [(folder / "ltocf", folder / "spectral")]


def test_without_the_serve_extra_the_demo_says_what_to_install(
    finished: tuple[Path, str, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    printed = run_again(finished[0], capsys)
    assert re.search(r"first install the `serve` extra: pip install .*\[serve\]", printed)
    assert "ltocf serve" not in printed
