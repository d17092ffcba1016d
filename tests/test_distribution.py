"""What the source distribution takes along is there, and is what the README's commands need."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def included() -> list[str]:
    return list(settings()["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])


def test_everything_that_is_included_exists() -> None:
    for pattern in included():
        assert pattern.startswith("/")  # else folders of that name deeper down would come along
        assert any(ROOT.glob(pattern[1:])), pattern


def test_every_entry_of_the_repository_is_included_or_left_out_on_purpose() -> None:
    """Only what git keeps counts; results come without the metrics of every user."""
    first = {pattern.split("/")[1] for pattern in included()}
    if not (ROOT / ".git").exists():
        pytest.skip("what git keeps is known in a clone only")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    kept = {line.split("/")[0] for line in listed.splitlines()}
    assert kept - first <= {".gitignore", "pyproject.toml"}  # hatchling adds these itself


def test_the_papers_address_is_the_one_that_is_cited() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    doi = re.search(r"^  doi: (\S+)$", citation, re.MULTILINE)
    assert doi is not None
    assert settings()["project"]["urls"] == {"Paper": f"https://doi.org/{doi[1]}"}
    assert doi[1] in (ROOT / "README.md").read_text(encoding="utf-8")
