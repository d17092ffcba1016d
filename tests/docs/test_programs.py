"""Programs outside the package, which nothing imports, import names that exist."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted([*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "docs").glob("*.py")])
PROGRAM_NAMES = {path.stem for path in PROGRAMS}
OTHER_PACKAGES = {"recbole", "atheris"}
"""Packages of the environment of benchmarks/recbole/requirements.txt, or of `make faults`, only."""


def missing_imports(source: str) -> list[str]:
    """Modules and names that a program imports and that do not exist."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if not _exists(alias.name)]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [alias.name for alias in node.names]
            found += [f"{node.module}.{name}" for name in names if not _exists(node.module, name)]
    return found


def _exists(module: str, name: str = "") -> bool:
    first = module.partition(".")[0]
    if first in PROGRAM_NAMES | OTHER_PACKAGES:
        return True
    if first != "ltocf":
        return find_spec(first) is not None
    if find_spec(first) is None or (not name and find_spec(module) is None):
        return False
    try:
        return not name or hasattr(import_module(module), name) or find_spec(f"{module}.{name}") is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_program_imports_only_what_exists(program: Path) -> None:
    assert missing_imports(program.read_text(encoding="utf-8")) == []


def test_missing_imports_are_found() -> None:
    program = "import ltocf.nowhere\nfrom ltocf.ranks import ALONE\nfrom ltocf.graph import Bipartite\nimport json\n"
    assert missing_imports(program) == ["ltocf.nowhere", "ltocf.ranks.ALONE", "ltocf.graph.Bipartite"]
