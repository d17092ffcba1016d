"""All models and settings as rows, read from the registry, the dataclasses and their docstrings."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ltocf.data import Interactions
from ltocf.data.readers.options import ReadOptions
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS, Objective, Recommender, build_model, find_model
from ltocf.models.installed import register_installed
from ltocf.runs.candidates import candidates_for
from ltocf.runs.config import AUTO, Config, first_model_setting
from ltocf.runs.presets import PRESETS
from ltocf.runs.settings import DataSettings, RunSettings
from ltocf.serving.abilities import is_linear, takes_histories
from ltocf.training import TrainingSettings

SECTIONS: dict[str, tuple[type, ...]] = {
    "training": (TrainingSettings,),
    "run": (RunSettings,),
    "data": (DataSettings, ReadOptions),
}
"""The tables of a configuration besides that of the model, and the classes that describe their settings."""
PROBES: dict[type, tuple[Any, ...]] = {
    str: ("?",), int: (-1,), float: (math.nan, -1.0), bool: (), list: (), type(None): ("?", -1),
}  # fmt: skip
"""Values by type that the rule for a setting refuses, if there is one."""
KINDS = {bool: "true or false", int: "whole number", float: "number", str: "text", Sequence: "list"}
ANY_SIZE = (100_000, 8_000, 1_000_000, 1e9)
"""Users, items, pairs and minutes for which auto tries all its candidates."""


@dataclass(frozen=True)
class ModelFacts:
    """A model as `models` lists it; ``largest_data`` is empty if there is no result."""

    name: str
    summary: str
    source: str
    folds_in: bool
    explains: bool
    largest_data: str = ""


@dataclass(frozen=True)
class SettingFacts:
    """A setting as `settings` lists it: its value in each preset, the rule for its values, and its meaning.

    ``auto`` has the values that auto tries, if they differ from that of ``fast``.
    """

    section: str
    name: str
    fast: Any
    paper: Any
    auto: list[Any] | None
    allowed: str
    meaning: str


def models(results: Path | None = None) -> list[ModelFacts]:
    """All models, including those of other installed packages.

    Args:
        results: a folder with the results of runs, to find the largest data that each model was tried on.

    Example:
        >>> next(facts for facts in models() if facts.name == "ease").source
        'Steck, WWW 2019, Section 3.1, https://arxiv.org/abs/1905.03375'
    """
    register_installed(MODELS)
    largest = {} if results is None else _largest_data(results)
    return [
        ModelFacts(
            name, _summary(model), _source(model), takes_histories(model), is_linear(model), largest.get(name, "")
        )
        for name, model in MODELS.items()
    ]


def settings(model: str = "ltocf") -> list[SettingFacts]:
    """Every setting of a run of a model: those of the model, then those of training, of the run and of the data.

    Raises:
        ValueError: an unknown model.

    Example:
        >>> facts = {row.name: row for row in settings("ltocf")}
        >>> facts["solver"].fast, facts["solver"].paper, facts["dim"].auto
        ('exact', 'rk4', [128, 64])
        >>> facts["warm_up"].allowed, facts["seed"].meaning
        ('in [0, 1)', 'seed of initialisation and sampling.')
    """
    by_preset = {preset: _values(model, preset) for preset in PRESETS}
    tried = _tried_by_auto(model)
    return [
        SettingFacts(
            section,
            name,
            by_preset["fast"][section, name],
            by_preset["paper"][section, name],
            tried.get(name),
            _choices(hint) or _allowed(value, try_other) or _kind(hint),
            meaning,
        )
        for section, name, value, hint, try_other, meaning in _described(model)
        if model != AUTO or first_model_setting({name: value}) is None
    ]


def _values(model: str, preset: str) -> dict[tuple[str, str], Any]:
    config = Config(DataSettings(""), model, run=RunSettings(preset=preset))
    sections = {name: vars(getattr(config, name)) for name in SECTIONS} | {"model": config.options}
    return {(section, name): value for section, values in sections.items() for name, value in values.items()}


def _described(model: str) -> Iterator[tuple[str, str, Any, Any, Callable[[Any], None], str]]:
    """Section, name, value in `paper`, type hint, a function that tries another value, and meaning of each setting."""
    config = Config(DataSettings(""), model, run=RunSettings(preset="paper"))
    kinds = () if model == AUTO else [kind for kind in find_model(model).__mro__ if issubclass(kind, Recommender)]
    described = _arguments(Objective, *reversed(kinds))
    hints = get_type_hints(Objective) | ({} if model == AUTO else get_type_hints(find_model(model).__init__))
    for name, value in config.options.items():
        yield "model", name, value, hints.get(name), partial(_build, model, name), described.get(name, "")
    for section, classes in SECTIONS.items():
        described, hints = _arguments(*classes), get_type_hints(classes[0])
        for name, value in vars(getattr(config, section)).items():
            yield section, name, value, hints[name], partial(_change, config, section, name), described[name]


def _build(model: str, name: str, value: Any) -> None:
    graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0], [0]))
    build_model(model, graph, {name: value}).prepare()


def _change(config: Config, section: str, name: str, value: Any) -> None:
    changed = dataclasses.replace(getattr(config, section), **{name: value})
    dataclasses.replace(config, **{section: changed}).runtime()


def _tried_by_auto(model: str) -> dict[str, list[Any]]:
    """The settings of a model that auto varies, each with its values."""
    tried: dict[str, list[Any]] = {}
    for candidate in candidates_for(*ANY_SIZE, in_order=True):
        if candidate.model == model:
            for name, value in candidate.values.items():
                tried.setdefault(name, []).append(value)
    return tried


def _allowed(value: Any, try_other: Callable[[Any], None]) -> str:
    """The rule for a value, taken from the error of a value that breaks it; empty if there is no rule."""
    for probe in PROBES[type(value)]:
        try:
            try_other(probe)
        except ValueError as error:
            rule = re.match(r"`\w+` must be (.+?), got ", str(error), re.DOTALL)
            if rule is not None:
                return rule[1]
        except TypeError:  # the default is None, which does not show the type
            continue
    return ""


def _choices(hint: Any) -> str:
    return f"one of {', '.join(get_args(hint))}" if get_origin(hint) is Literal else ""


def _kind(hint: Any) -> str:
    """The kind of value that a type hint means, in words.

    Example:
        >>> _kind(int | None), _kind(Sequence[str] | None), _kind(float | int)
        ('whole number', 'list', 'number')
    """
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return KINDS.get(get_origin(kinds[0]) or kinds[0], "")


def _summary(described: type) -> str:
    return (inspect.getdoc(described) or "").partition("\n")[0].replace("``", "`")


def _source(model: type) -> str:
    """The first source in the paragraph "Source" of a docstring, up to its address."""
    text = re.sub(r"\s+", " ", model.__doc__ or "")
    found = re.search(r"Source: (.*?https?://[^\s,;]+)", text)
    if found is None:
        return ""
    named = found[1].rstrip(".")
    return named if named.count("(") == named.count(")") else named.removesuffix(")") + ")"


def _arguments(*classes: type) -> dict[str, str]:
    """The descriptions of arguments in docstrings, by name.

    Example:
        >>> _arguments(RunSettings)["threads"]
        "number of CPU threads; 0: PyTorch's choice."
    """
    meanings: dict[str, str] = {}
    for described in classes:
        listed = re.search(r"^Args:\n((?:    .*\n|\n)*)", (inspect.getdoc(described) or "") + "\n", re.MULTILINE)
        for names, meaning in re.findall(
            r"^    (\w+(?:, \w+)*): (.*(?:\n {5,}.*)*)", "" if listed is None else listed[1], re.MULTILINE
        ):
            text = re.sub(r",? see `[\w.]+`", "", re.sub(r"\s+", " ", meaning).replace("``", "`"))
            meanings |= dict.fromkeys(names.split(", "), text)
    return meanings


def _largest_data(results: Path) -> dict[str, str]:
    """By model, the data set with the most pairs among its results."""
    largest: dict[str, tuple[int, str]] = {}
    for file in sorted(results.glob("*/*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(record, dict) and {"model", "dataset", "split"} <= record.keys():
            n_pairs = sum(record["split"].get(each) or 0 for each in ("train", "validation", "test"))
            largest[record["model"]] = max(largest.get(record["model"], (0, "")), (n_pairs, record["dataset"]))
    return {model: f"{name}, {n_pairs:,} pairs" for model, (n_pairs, name) in largest.items()}
