"""`ltocf models` and `ltocf settings` agree with the registry, the documentation and the errors."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ltocf
from ltocf.cli import main
from ltocf.models import MODELS
from ltocf.runs import reference
from ltocf.runs.config import Config
from ltocf.runs.settings import DataSettings

DOCS = Path(__file__).resolve().parents[2] / "docs"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main(list(arguments))
    return capsys.readouterr().out


def test_models_have_the_sources_and_abilities_of_the_documentation(capsys: pytest.CaptureFixture[str]) -> None:
    found = {row["name"]: row for row in json.loads(printed(capsys, "models", "--format", "json"))}
    assert list(found) == list(MODELS)
    page = (DOCS / "models.md").read_text(encoding="utf-8")
    sources = dict(re.findall(r"^\| `([\w-]+)` \| .* \| (.*) \|$", page, re.MULTILINE))
    assert list(sources) == list(MODELS)
    for name, source in sources.items():
        addresses = [address for address in re.findall(r"\((https?://[^)]+)\)", source) if "github" not in address]
        assert all(address in found[name]["source"] for address in addresses), name
    table = (DOCS / "recommending.md").read_text(encoding="utf-8").split("### Which model can what")[1]
    rows = re.findall(r"^\| `([\w-]+)` \| \w+ \| (yes|no) \| (yes|no) \|", table, re.MULTILINE)
    assert [name for name, *_ in rows] == list(MODELS)
    for name, folds_in, explains in rows:
        assert (found[name]["folds_in"], found[name]["explains"]) == (folds_in == "yes", explains == "yes"), name


def test_the_largest_data_of_a_model_come_from_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "small").mkdir()
    for name, dataset, n_pairs in (("a", "small", 70), ("b", "large", 800)):
        split = {"train": n_pairs, "validation": 10, "test": 20}
        record = {"model": "mf", "dataset": dataset, "split": split}
        (tmp_path / "small" / f"{name}.json").write_text(json.dumps(record))
    (tmp_path / "small" / "other.json").write_text("[]")
    found = json.loads(printed(capsys, "models", "--results", str(tmp_path), "--format", "json"))
    assert {row["name"]: row["largest_data"] for row in found if row["largest_data"]} == {"mf": "large, 830 pairs"}
    without_results = json.loads(printed(capsys, "models", "--results", str(tmp_path / "none"), "--format", "json"))
    assert "largest_data" not in without_results[0]


@pytest.mark.parametrize("model", [*MODELS, "auto"])
def test_every_setting_has_its_default_a_rule_and_a_meaning(model: str) -> None:
    settings = reference.settings(model)
    config = Config(DataSettings(""), model)
    assert all(setting.meaning for setting in settings)
    without_rule = {setting.name for setting in settings if not setting.allowed}
    assert without_rule == {"items"}
    assert {setting.name: setting.fast for setting in settings if setting.section == "model"} == config.options
    if model != "auto":
        training = {setting.name: setting.fast for setting in settings if setting.section == "training"}
        assert training == vars(config.training)


def test_the_rules_are_worded_as_in_the_errors(capsys: pytest.CaptureFixture[str]) -> None:
    rows = csv.DictReader(io.StringIO(printed(capsys, "settings", "--format", "csv")))
    allowed = {row["name"]: row["allowed"] for row in rows}
    assert allowed["solver"] == "one of euler, rk4, adams_moulton, adams_bashforth, dopri5, exact"
    assert allowed["robustness"] == "in [0, 1)"
    assert allowed["device"].startswith("one of auto, cpu, cuda")
    assert allowed["user_column"] == "text"
    assert (allowed["header"], allowed["columns"], allowed["items"]) == ("true or false", "list", "")


@pytest.mark.parametrize(
    ("name", "value"), [("dim", 0), ("tolerance", 0.0), ("robustness", 1.0), ("epochs", 0), ("test_fraction", 1.0)]
)
def test_the_error_of_a_forbidden_value_gives_the_rule_of_the_listing(name: str, value: float | int) -> None:
    setting = next(setting for setting in reference.settings("ltocf") if setting.name == name)
    with pytest.raises(ValueError, match=re.escape(f"`{name}` must be {setting.allowed}, got {value}")):
        ltocf.train([(0, 0), (1, 1)], Path("never"), **{name: value})


def test_auto_lists_only_the_settings_that_it_accepts(capsys: pytest.CaptureFixture[str]) -> None:
    names = {row["name"] for row in json.loads(printed(capsys, "settings", "auto", "--format", "json"))}
    assert {"max_minutes", "validation_users", "seed", "split", "user_column"} <= names
    assert not {"dim", "epochs", "init", "learning_rate"} & names


def test_in_a_pipe_no_text_is_truncated_or_wrapped() -> None:
    command = [sys.executable, "-m", "ltocf"]
    lists = subprocess.run([*command, "data", "list"], capture_output=True, text=True, timeout=60, check=True).stdout
    shown = subprocess.run([*command, "settings"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert "…" not in lists + shown
    assert len(re.findall(r"│ https://\S+/[\w-]+ +│", lists)) >= 3
    assert all(setting.meaning in shown for setting in reference.settings("ltocf"))
