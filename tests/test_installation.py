"""Advice on extras is a command that works for the way the package was installed."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from ltocf import installation
from ltocf.installation import how_to_install, needs_extra

ROOT = Path(__file__).resolve().parents[1]


class Distribution:
    """What importlib.metadata has of an installed package."""

    def __init__(self, record: dict[str, Any] | None) -> None:
        self.record = record

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.record is None else json.dumps(self.record)


def test_in_a_clone_the_clone_is_named() -> None:
    assert how_to_install("sql") == f"pip install -c constraints.txt -e '.[sql]' (in {ROOT})"


@pytest.mark.parametrize(
    ("record", "advice"),
    [
        (None, "pip install 'ltocf[sql]'"),
        (
            {"url": "file:///wheels/ltocf-0.1.0-py3-none-any.whl", "archive_info": {}},
            "pip install 'ltocf[sql] @ file:///wheels/ltocf-0.1.0-py3-none-any.whl'",
        ),
        (
            {"url": "https://git.example/ltocf", "vcs_info": {"vcs": "git", "commit_id": "0123abc"}},
            "pip install 'ltocf[sql] @ git+https://git.example/ltocf@0123abc'",
        ),
    ],
    ids=["index", "wheel", "git"],
)
def test_elsewhere_it_is_installed_from_where_it_came(
    record: dict[str, Any] | None, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "CLONE", tmp_path)
    monkeypatch.setattr(installation, "distribution", lambda name: Distribution(record))
    assert how_to_install("sql") == advice


def test_without_a_record_of_any_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Distribution:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installation, "CLONE", tmp_path)
    monkeypatch.setattr(installation, "distribution", missing)
    assert str(needs_extra("figures need", "plots")) == "figures need the `plots` extra: pip install 'ltocf[plots]'"


def test_extras_that_messages_name_exist_and_only_one_place_words_the_advice() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    sources = {path: path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")}
    named = [name for text in sources.values() for name in re.findall(r'needs_extra\("[^"]+", "(\w+)"\)', text)]
    assert len(named) > 8
    assert set(named) <= set(extras)
    assert [path.name for path, text in sources.items() if "pip install" in text] == ["installation.py"]
