"""General code has no special cases for a model or a data set by name: it asks the model, or a table."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import ltocf
from ltocf.data import CATALOG
from ltocf.models import MODELS

SOURCE = Path(ltocf.__file__).parent
EXCEPTIONS = {
    "__init__.py": "exports the models",
    "bench/contenders.py": "compares models by name",
    "cli/calling.py": "the program is named like a model",
    "runs/contest.py": "makes a blend of the winners",
}
CLASSES = {model.__name__ for model in MODELS.values()}
NAMES = {*MODELS, *CATALOG}
FILES = sorted(
    path
    for path in SOURCE.rglob("*.py")
    if "models" not in path.parts and path.relative_to(SOURCE).as_posix() not in EXCEPTIONS
)


def special_cases(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of each import of a model class, comparison with a name, and call of hasattr."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ltocf"):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name in CLASSES)
        elif isinstance(node, ast.Compare):
            constants = (part.value for part in [node.left, *node.comparators] if isinstance(part, ast.Constant))
            yield from ((node.lineno, repr(constant)) for constant in constants if constant in NAMES)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "hasattr":
            yield node.lineno, "hasattr"
        elif isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant) and node.value.value in NAMES:
            yield node.lineno, repr(node.value.value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_model_and_no_data_set_is_a_special_case(path: Path) -> None:
    assert list(special_cases(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "code",
    [
        "from ltocf.models import LTOCF",
        "from ltocf.models.cmn import CMN",
        'if model == "ltocf": pass',
        'x = name in ("a",) or "movielens-small" != name',
        "hasattr(model, 'times')",
        'match model:\n    case "mf": pass',
    ],
)
def test_every_kind_of_special_case_is_found(code: str) -> None:
    assert list(special_cases(ast.parse(code)))


def test_the_root_of_the_package_has_few_files() -> None:
    assert len([path for path in SOURCE.iterdir() if path.is_file()]) <= 9
