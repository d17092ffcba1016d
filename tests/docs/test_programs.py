"""Programs beside the package, which nothing imports, name what the package has."""

from __future__ import annotations

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted([*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "docs").glob("*.py")])
BESIDE = {path.stem for path in PROGRAMS}
OF_OTHERS = {"recbole", "atheris"}
"""What only the environment of benchmarks/recbole/requirements.txt has, or that of `make faults`."""


def absent(source: str) -> list[str]:
    """Modules and names that a program imports and that are not there."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if not _is_there(alias.name)]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [alias.name for alias in node.names]
            found += [f"{node.module}.{name}" for name in names if not _is_there(node.module, name)]
    return found


def _is_there(module: str, name: str = "") -> bool:
    first = module.partition(".")[0]
    if first in BESIDE | OF_OTHERS:
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
def test_what_a_program_imports_is_there(program: Path) -> None:
    assert absent(program.read_text(encoding="utf-8")) == []


def test_what_is_absent_is_found() -> None:
    program = "import ltocf.nowhere\nfrom ltocf.ranks import ALONE\nfrom ltocf.graph import Bipartite\nimport json\n"
    assert absent(program) == ["ltocf.nowhere", "ltocf.ranks.ALONE", "ltocf.graph.Bipartite"]
