"""What an editor completes exists: the settings with their types, and the public names."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import ltocf
from ltocf.models import MODELS
from ltocf.models.objective import ObjectiveOptions
from ltocf.runs.config import model_options
from ltocf.runs.settings import DataSettings, RunSettings
from ltocf.runs.typed import Settings
from ltocf.training import TrainingSettings

SNAPSHOT = Path(__file__).with_name("public_names.json")
ALSO_A_PATH = {"data_dir"}
"""Settings that may be a path in Python and are text in the file of a run."""


def expected_hints() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for model in MODELS.values():
        of_model = get_type_hints(model.__init__) | get_type_hints(ObjectiveOptions)
        found |= {name: of_model[name] for name in model.options()}
    for section in (TrainingSettings, RunSettings, DataSettings):
        found |= get_type_hints(section)
    del found["source"]
    return found


def test_the_typed_settings_are_all_settings_with_their_types() -> None:
    typed, expected = get_type_hints(Settings), expected_hints()
    assert typed.keys() == expected.keys()
    assert {name: typed[name] for name in typed if name not in ALSO_A_PATH} == {
        name: hint for name, hint in expected.items() if name not in ALSO_A_PATH
    }
    assert {name for model in MODELS for name in model_options(model)} <= typed.keys()


def test_every_model_is_exported_by_the_package() -> None:
    assert all(getattr(ltocf, model.__name__) is model for model in MODELS.values())
    assert {model.__name__ for model in MODELS.values()} <= set(ltocf.__all__)


@pytest.mark.parametrize("package", json.loads(SNAPSHOT.read_text()))
def test_public_names_change_only_on_purpose(package: str) -> None:
    """Add a new name to the file; name a removed one in the changelog."""
    module = importlib.import_module(package)
    assert sorted(module.__all__) == json.loads(SNAPSHOT.read_text())[package]
    assert all(hasattr(module, name) for name in module.__all__)
