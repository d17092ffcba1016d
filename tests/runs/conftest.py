"""A run folder that several tests begin with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ltocf.runs.folder import RunFolder


@pytest.fixture
def started_run(tmp_path: Path) -> RunFolder:
    """A run that has its configuration and nothing else."""
    shutil.copy(Path(__file__).with_name("earlier_version") / "run-ltocf" / "config.toml", tmp_path)
    return RunFolder(tmp_path)
