"""Progress is a bar on a terminal or in a notebook, lines in a log, and nothing if it is turned off."""

from __future__ import annotations

import importlib.util

import pytest
from rich.console import Console

from ltocf import progress
from ltocf.progress import log_line, progress_bar


@pytest.mark.parametrize(
    ("terminal", "jupyter", "widgets", "watched"),
    [
        (True, False, False, True),
        (False, True, True, True),
        (False, True, False, False),
        (False, False, True, False),
    ],
)
def test_a_terminal_and_a_notebook_with_widgets_are_watched(
    terminal: bool, jupyter: bool, widgets: bool, watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name == "ipywidgets" and widgets else None)
    console = Console(force_terminal=terminal, force_jupyter=jupyter)
    assert progress._is_watched(console) is watched


@pytest.mark.parametrize("watched", [True, False])
def test_watched_output_gets_a_bar_and_other_output_gets_lines(
    watched: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_is_watched", lambda _: watched)
    for enabled in (True, False):
        with progress_bar(enabled=enabled) as bar:
            assert bar.disable is not (enabled and watched)
    capsys.readouterr()
    log_line("epoch 1 of 2 [a]")
    assert capsys.readouterr().err == ("" if watched else "epoch 1 of 2 [a]\n")
