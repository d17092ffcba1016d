"""The forms for issues are valid, and the commands and pages that they name exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from ltocf.cli import app, main

GITHUB = Path(__file__).resolve().parents[2] / ".github"
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
KINDS = {"checkboxes", "dropdown", "input", "markdown", "textarea"}


def texts(value: Any) -> str:
    """All text of a form."""
    if isinstance(value, dict):
        value = list(value.values())
    return "\n".join(map(texts, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_has_its_required_fields(path: Path) -> None:
    form = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    assert all(field["type"] in KINDS and field["attributes"]["label"] for field in form["body"])
    names = [field["id"] for field in form["body"]]
    assert len(set(names)) == len(names)
    assert any(field.get("validations", {}).get("required") for field in form["body"])


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_commands_in_a_form_exist(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    commands = re.findall(r"`(ltocf [^`]+)`", texts(yaml.safe_load(path.read_text(encoding="utf-8"))))
    assert commands
    for command in commands:
        arguments = shlex.split(command)[1:]
        if arguments == ["--version"]:
            main(arguments)
            assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", capsys.readouterr().out)
        else:
            app.parse_args(arguments, exit_on_error=False, print_error=False)


def test_pages_that_the_forms_name_exist() -> None:
    root = GITHUB.parent
    paths = [*FORMS, GITHUB / "pull_request_template.md"]
    named = {name for path in paths for name in re.findall(r"docs/[\w-]+\.md|CHANGELOG\.md", path.read_text("utf-8"))}
    assert {"docs/add-a-model.md", "CHANGELOG.md"} <= named
    assert all((root / name).is_file() for name in named)


def test_there_is_a_form_for_each_kind_of_issue() -> None:
    assert [path.stem for path in FORMS] == ["bug", "new-model", "question"]
    assert isinstance(yaml.safe_load((GITHUB / "ISSUE_TEMPLATE" / "config.yml").read_text("utf-8")), dict)
