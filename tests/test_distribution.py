"""The source distribution: every included path exists, and nothing of the repository is left out by accident."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def project_settings() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def included_patterns() -> list[str]:
    return list(project_settings()["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])


def test_every_included_path_exists() -> None:
    for pattern in included_patterns():
        assert pattern.startswith("/")  # otherwise deeper folders of that name would be included too
        assert any(ROOT.glob(pattern[1:])), pattern


def test_every_entry_of_the_repository_is_included() -> None:
    """Entries at the root of the repository that git tracks."""
    included = {pattern.split("/")[1] for pattern in included_patterns()}
    if not (ROOT / ".git").exists():
        pytest.skip("only a clone knows which files git tracks")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    tracked = {line.split("/")[0] for line in listed.splitlines()}
    assert tracked - included <= {".gitignore", "pyproject.toml"}  # hatchling adds these itself


def test_pyproject_and_readme_have_the_doi_of_the_citation() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    doi = re.search(r"^  doi: (\S+)$", citation, re.MULTILINE)
    assert doi is not None
    assert project_settings()["project"]["urls"] == {"Paper": f"https://doi.org/{doi[1]}"}
    assert doi[1] in (ROOT / "README.md").read_text(encoding="utf-8")
