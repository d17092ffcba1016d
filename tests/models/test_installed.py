"""Models of other packages are found and trained by name; those that fail are left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ltocf.models import MF
from ltocf.models.installed import register_installed

MODULE = """
from ltocf import MF


class TheirModel(MF):
    pass
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path as pip leaves it: a module and its metadata."""
    information = tmp_path / "their_models-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: their-models\nVersion: 1.0\n")
    entries = [
        "[ltocf.models]",
        "theirs = their_models:TheirModel",
        "mf = their_models:TheirModel",
        "broken = no_such_module:Model",
    ]
    (information / "entry_points.txt").write_text("\n".join(entries) + "\n")
    (tmp_path / "their_models.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("package")
def test_installed_models_are_added_and_failures_are_warned_about() -> None:
    models = {"mf": MF}
    with pytest.warns(UserWarning, match="is left out") as warned:
        register_installed(models)
    assert models["mf"] is MF
    assert models["theirs"].__name__ == "TheirModel"
    assert list(models) == ["mf", "theirs"]
    messages = [str(warning.message) for warning in warned]
    assert any("'broken' of their-models is left out: ModuleNotFoundError" in message for message in messages)
    assert any("'mf' of their-models is left out: its name is taken" in message for message in messages)


def test_an_installed_model_trains_by_its_name(package: Path) -> None:
    out = package / "run"
    command = [sys.executable, "-m", "ltocf", "train", "movielens-small", "--model", "theirs", "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(package)}
    subprocess.run([*command, "--epochs", "1", "--set", "dim=4"], check=True, env=environment, capture_output=True)
    assert json.loads((out / "metrics.json").read_text())["model"] == "theirs"
