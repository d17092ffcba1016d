"""Where the real datasets are, for the tests that read them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real datasets: $LTOCF_DATA, else shared/data beside the repository."""
    folder = Path(os.environ.get("LTOCF_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (folder / "gowalla" / "train.txt").is_file():
        pytest.skip(f"needs the real datasets in $LTOCF_DATA or ../shared/data, not in {folder}")
    return folder
