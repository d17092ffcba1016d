"""The advice to install an extra is a command that suits how the package was installed."""

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
    """An installed package as importlib.metadata describes it."""

    def __init__(self, record: dict[str, Any] | None) -> None:
        self.record = record

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self.record is None else json.dumps(self.record)


def test_in_a_clone_the_advice_names_the_clone() -> None:
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
def test_elsewhere_the_advice_names_the_origin_of_the_installation(
    record: dict[str, Any] | None, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "CLONE", tmp_path)
    monkeypatch.setattr(installation, "distribution", lambda name: Distribution(record))
    assert how_to_install("sql") == advice


def test_without_metadata_the_advice_names_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Distribution:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(installation, "CLONE", tmp_path)
    monkeypatch.setattr(installation, "distribution", missing)
    assert str(needs_extra("figures need", "plots")) == "figures need the `plots` extra: pip install 'ltocf[plots]'"


def test_messages_name_existing_extras_and_the_advice_is_written_in_one_place() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    sources = {path: path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")}
    named_extras = [name for text in sources.values() for name in re.findall(r'needs_extra\("[^"]+", "(\w+)"\)', text)]
    assert len(named_extras) > 8
    assert set(named_extras) <= set(extras)
    assert [path.name for path, text in sources.items() if "pip install" in text] == ["installation.py"]
