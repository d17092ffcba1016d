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
