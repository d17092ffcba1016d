"""The demo's command, shortened: a table with three methods, three users, ten titles each."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from ltocf.cli import demo


def test_shows_metrics_and_titles_and_does_not_train_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(demo.SETTINGS, "epochs", 2)
    texts = []
    for _ in range(2):
        console = Console(record=True, width=120, file=io.StringIO())
        demo.run_demo(tmp_path / "demo", console)
        texts.append(console.export_text())
    assert texts[0] == texts[1]
    for row in ("most popular", "lightgcn", "ltocf"):
        assert re.search(rf"{row} +│ 0\.\d{{4}} +│ 0\.\d{{4}}", texts[0])
    assert len(re.findall(r"^ +\d+\. .+\(\d{4}\)", texts[0], re.MULTILINE)) == 30


def test_ends_by_saying_how_to_open_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(demo.SETTINGS, "epochs", 1)
    served: list[tuple[Path, ...]] = []
    monkeypatch.setattr("ltocf.cli.serving.serve", lambda *runs: served.append(runs))
    demo.demo(out=tmp_path / "demo", serve=True)
    folder = tmp_path / "demo"
    said = "".join(capsys.readouterr().out.split("\n"))
    assert f"ltocf serve {folder / 'ltocf'} {folder / 'lightgcn'}" in said
    assert served == [(folder / "ltocf", folder / "lightgcn")]
