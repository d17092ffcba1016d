"""The documentation is right: its code runs, its links lead somewhere, its tables are those of the program."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from ltocf.cli import app
from ltocf.data import CATALOG, SPLITS
from ltocf.data.readers.tables import TABLE_READERS
from ltocf.evaluation import METRICS
from ltocf.evaluation.beyond import BEYOND
from ltocf.models import MODELS
from ltocf.ode import SOLVERS
from ltocf.runs.config import Config, model_options
from ltocf.runs.presets import PRESETS
from ltocf.runs.settings import DataSettings, RunSettings
from ltocf.training import TrainingSettings
from scripts import load_script

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """Line number and content of each fenced code block of a language; the lines of one command are joined."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    folded = "\\\n" if language in ("sh", "bash") else "\0"
    return [(text.count("\n", 0, match.start(1)), match.group(1).replace(folded, " ")) for match in found]


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_code_is_at_most_80_columns_wide(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = re.findall(r"^```(?:python|py|sh|bash|toml)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert [line for block in code for line in block.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_an_empty_line_is_between_a_table_and_a_heading(page: Path) -> None:
    """Without an empty line between them the heading would be one more row."""
    assert re.findall(r"^\|.*\n#+ .*$", page.read_text(encoding="utf-8"), re.MULTILINE) == []


def rows(page: str, heading: str) -> list[list[str]]:
    """Cells of the first table under a heading, without backticks and without the head of the table."""
    text = (DOCS / page).read_text(encoding="utf-8")
    after = re.split(rf"^##+ {heading}$", text, maxsplit=1, flags=re.MULTILINE)[-1]
    section = re.split(r"^#+ ", after, maxsplit=1, flags=re.MULTILINE)[0]
    lines = re.search(r"(^\|.*\n)+", section, re.MULTILINE)
    assert lines is not None, f"{page} has no table under {heading!r}"
    cells = [
        [cell.strip().strip("`") for cell in line.strip().strip("|").split(" | ")] for line in lines[0].splitlines()
    ]
    return cells[2:]


def names(page: str, heading: str) -> list[str]:
    return [row[0] for row in rows(page, heading)]


@pytest.fixture
def registry() -> Iterator[dict[str, Any]]:
    """The registry of models; it and that of metrics are restored afterwards."""
    before, metrics_before = dict(MODELS), dict(METRICS)
    yield MODELS
    for registry, content in ((MODELS, before), (METRICS, metrics_before)):
        registry.clear()
        registry.update(content)


@every_page
def test_python_blocks_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: dict[str, Any]
) -> None:
    """With fewer negatives than the preset has, to save time: the blocks show what to call."""
    monkeypatch.chdir(tmp_path)
    for model in PRESETS["fast"]:
        if "n_negatives" in PRESETS["fast"][model]:
            monkeypatch.setitem(PRESETS["fast"][model], "n_negatives", 256)
    namespace: dict[str, Any] = {"__name__": "page"}
    for line, code in blocks(page, "python"):
        exec(compile("\n" * line + code, str(page), "exec"), namespace)


@every_page
def test_commands_are_valid(page: Path) -> None:
    for line, block in blocks(page, "sh"):
        for command in block.splitlines():
            program, *arguments = shlex.split(command, comments=True) or [""]
            if program == "ltocf":
                try:
                    app.parse_args(arguments, exit_on_error=False, print_error=False)
                except Exception as error:
                    pytest.fail(f"{page.name}, block at line {line}: {command}: {error}")


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor and linked.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-") for heading in headings], target


def test_every_page_is_in_the_navigation() -> None:
    navigation = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    assert [name for group in navigation for name in group] == ["Start", "Use", "Reproduce", "Understand"]
    assert sorted(pages_of(navigation)) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def pages_of(navigation: Any) -> Iterator[str]:
    """Every page below an entry of the navigation."""
    if isinstance(navigation, str):
        yield navigation
        return
    for entry in navigation.values() if isinstance(navigation, dict) else navigation:
        yield from pages_of(entry)


@pytest.mark.parametrize(
    ("heading", "settings"), [("Data", DataSettings), ("Training", TrainingSettings), ("Run", RunSettings)]
)
def test_the_table_of_settings_has_every_default(heading: str, settings: type) -> None:
    expected = {field.name: field.default for field in dataclasses.fields(settings)}
    documented = documented_settings(heading)
    assert dict(documented) == expected
    assert len(documented) == len(expected)


@pytest.mark.parametrize("model", MODELS)
def test_the_table_of_a_model_has_every_option(model: str) -> None:
    options = model_options(model)
    if not options:
        assert f"`{model}` has no settings" in (DOCS / "settings.md").read_text(encoding="utf-8")
        return
    shared = documented_settings("Model: all") if "loss" in options else []
    assert documented_settings(f"Model: {model}") + shared == list(options.items())


def documented_settings(heading: str) -> list[tuple[str, Any]]:
    special = {"required": dataclasses.MISSING, "none": None}
    table = rows("settings.md", heading)
    assert all(len(row) in (3, 4) and row[-1] for row in table)
    return [(row[0], special[row[1]] if row[1] in special else value_of(row[1])) for row in table]


def value_of(text: str) -> Any:
    return tomllib.loads(f"v = {text}")["v"]


def test_the_columns_of_the_preset_fast_have_its_values() -> None:
    """The values that the default preset sets, which stand beside those of the papers."""
    fast = Config(DataSettings("movielens-small"))
    settings = {**fast.options, **vars(fast.training)}
    documented = {
        row[0]: value_of(row[2])
        for heading in ("Model: all", "Model: ltocf", "Training")
        for row in rows("settings.md", heading)
    }
    assert documented == {name: settings[name] for name in documented}
    assert documented.keys() == settings.keys()


def test_the_table_of_presets_has_what_fast_changes() -> None:
    own = model_options("ltocf") | vars(TrainingSettings()) | {"init": "random"}
    documented = {
        name: [tomllib.loads(f"v = {text}")["v"] for text in texts]
        for name, *texts in rows("presets.md", "What `fast` changes")
    }
    assert documented == {name: [own[name], value] for name, value in PRESETS["fast"]["ltocf"].items()}


def test_the_complete_configuration_has_every_setting() -> None:
    ((_, text),) = blocks(DOCS / "settings.md", "toml")
    assert text == Config(DataSettings("gowalla")).to_toml()


def test_tables_list_every_name() -> None:
    assert names("mathematics.md", "Solvers") == list(SOLVERS)
    assert names("data.md", "Splits") == list(SPLITS)
    assert names("models.md", "Names") == list(MODELS)
    assert names("evaluation.md", "Metrics") == list(METRICS)
    table_files = next(row[0] for row in rows("data.md", "What can be read") if row[0].startswith("a table"))
    assert re.findall(r"\.\w+", table_files) == list(TABLE_READERS)


def test_measures_beyond_accuracy_are_listed() -> None:
    assert names("evaluation.md", "Beyond accuracy") == ["coverage", *BEYOND]


def test_the_numbers_of_models_by_ability_are_right() -> None:
    """The page for users of other packages has the numbers that follow from the page on recommending."""
    n_models = {
        ability: sum(row[column] == "yes" for row in rows("recommending.md", "Which model can what"))
        for column, ability in ((2, "fold in"), (3, "explain"))
    }
    stated = {row[0]: row[-1] for row in rows("coming-from.md", "What is there and what is not")}
    assert (len(MODELS), n_models) == (22, {"fold in": 20, "explain": 14})
    assert stated["models of ids alone"].startswith("[twenty-two](models.md)")
    assert stated["new users without training"] == "twenty of twenty-two models"
    assert stated["reasons that add up to the score"] == "thirteen models"


def test_the_table_of_the_catalog_has_every_count() -> None:
    expected = [
        [name, *(f"{count:,}" for count in (entry.n_users, entry.n_items, entry.n_train, entry.n_test))]
        for name, entry in CATALOG.items()
    ]
    assert rows("data.md", "Sets known by name") == expected


def test_figures_are_those_that_the_script_draws(tmp_path: Path) -> None:
    script = load_script(DOCS / "draw_figures.py")
    for name, (title, cases) in script.PICTURES.items():
        script.draw(tmp_path / f"{name}.svg", title, cases)
        for ending in ("", "-dark"):
            file = f"{name}{ending}.svg"
            assert texts(tmp_path / file) == texts(DOCS / "images" / file)  # outlines may differ by library version


def texts(picture: Path) -> list[str]:
    return [text.text or "" for text in ElementTree.parse(picture).iter("{http://www.w3.org/2000/svg}text")]


# A badge has a background of its own.
DRAWN = sorted(path for path in (DOCS / "images").glob("*.svg") if path.stem.partition("-")[0] != "badge")


@pytest.mark.parametrize("picture", DRAWN, ids=lambda path: path.stem)
def test_a_picture_has_a_title_a_description_and_a_dark_version(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    assert [element.tag.rpartition("}")[2] for element in root[:2]] == ["title", "desc"]
    title, description = ((element.text or "").strip() for element in root[:2])
    assert title
    assert description
    if not picture.stem.startswith("rooms"):  # the map of packages is no figure of results
        assert title in " ".join(texts(picture)), "the title is not drawn"
    stem = picture.stem.removesuffix("-dark")
    assert {path.stem for path in DRAWN} >= {stem, f"{stem}-dark"}
    shown = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert f"images/{picture.name}" in shown


def test_links_to_reports_lead_to_reports(tmp_path: Path) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.glob("*.md"))
    linked = re.findall(r'href="\.\./reports/([\w-]+)\.html"', pages)
    assert sorted(linked) == sorted(path.stem for path in (ROOT / "results" / "reports").glob("*.json"))
    reports = tmp_path / "reports"
    reports.mkdir()
    shutil.copy(ROOT / "results" / "reports" / "table1.json", reports)
    (page,) = load_script(DOCS / "render_reports.py").render(tmp_path / "site", reports)
    assert page == tmp_path / "site" / "reports" / "table1.html"
    assert "What each solver connects" in page.read_text(encoding="utf-8")
