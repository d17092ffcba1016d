"""What pytest needs under mutmut, which runs it several times in one process and in forks of it.

`--jaxtyping-packages` refuses a package that is imported already, as it is in every fork: here the shape checks are
installed once. Tests run in the order of their known duration, so that most mutants die within a second.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch._dynamo  # noqa: F401  (two seconds; an optimiser imports it, here once instead of in every fork)
from jaxtyping import install_import_hook

if "ltocf" not in sys.modules:
    install_import_hook("ltocf", "beartype.beartype")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests, the fastest first; before durations are known they keep their order."""
    stats = Path("mutmut-stats.json")
    seconds = json.loads(stats.read_text(encoding="utf-8"))["duration_by_test"] if stats.exists() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0.0))
