"""Everything that defines a run, as frozen dataclasses that make up one TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from ltocf.models import MODELS, find_model, no_option
from ltocf.runs.presets import preset_values
from ltocf.runs.settings import DataSettings, RunSettings
from ltocf.spelling import did_you_mean
from ltocf.training import Runtime, TrainingSettings

WHERE_AND_HOW_LONG = {
    "data": {"source", "data_dir"},
    "training": {"max_minutes"},
    "run": {"device", "threads", "tensorboard"},
}
"""Settings by table that may differ between two calls of one run."""
AUTO = "auto"
"""In place of the name of a model: a contest of several, see `ltocf.runs.contest`."""
SETTINGS_OF_AUTO = ("max_minutes", "validation_users", "extrapolate_recency")
"""Settings of the table ``training`` that a contest has too; all others belong to one model."""


class _FromPreset(TrainingSettings):
    """A placeholder for the training settings of the preset, until the model and the preset are known."""


@dataclass(frozen=True)
class Config:
    """A run: data, model with its options, training, and the run's own settings.

    Options that are left out, ``training`` if it is left out, and ``run.init`` if it is None come from ``run.preset``,
    then from the defaults.

    Example:
        >>> config = Config(DataSettings("gowalla"), model="lightgcn")
        >>> config = config.with_values({"learning_rate": 0.01, "n_layers": 2})
        >>> config.training.learning_rate, config.options["n_layers"], config.options["dim"]
        (0.01, 2, 64)
        >>> Config.from_toml(config.to_toml()) == config
        True
    """

    data: DataSettings
    model: str = "ltocf"
    options: Mapping[str, Any] = field(default_factory=dict)
    training: TrainingSettings = field(default_factory=_FromPreset)
    run: RunSettings = field(default_factory=RunSettings)

    def __post_init__(self) -> None:
        options, starts = model_options(self.model), model_starts(self.model)
        if self.model == AUTO and self.run.select_on != "validation":
            raise ValueError(f"auto chooses on validation, got `select_on` {self.run.select_on!r}; name a `model`")
        recipe = preset_values(self.run.preset, self.model)
        if self.run.init is None:
            object.__setattr__(self, "run", dataclasses.replace(self.run, init=_init_of(recipe)))
        if self.run.init not in starts:
            able = ", ".join(name for name, model in MODELS.items() if self.run.init in model.starts)
            raise ValueError(
                f"{self.model} has no `init` {self.run.init!r}; it has {', '.join(starts)}. Models that have it: {able}"
            )
        types = {name: type(value).__name__ for name, value in options.items()}
        options |= {name: value for name, value in recipe.items() if name in options}
        for name, value in self.options.items():
            if name not in options:
                raise ValueError(no_option(self.model, name, options))
            options[name] = _converted(name, value, types[name])
        object.__setattr__(self, "options", options)
        if isinstance(self.training, _FromPreset):
            training = {name: value for name, value in recipe.items() if name in _fields(TrainingSettings)}
            object.__setattr__(self, "training", TrainingSettings(**training))

    def with_values(self, values: Mapping[str, Any]) -> Config:
        """A copy with some settings changed, each by its own name: no two sections share one.

        Another model or preset starts from its own recipe.
        """
        values = dict(values)
        model, preset = values.pop("model", self.model), values.pop("preset", self.run.preset)
        start = self
        if (model, preset) != (self.model, self.run.preset):
            is_of_preset = self.run.init == _init_of(preset_values(self.run.preset, self.model))
            run = dataclasses.replace(self.run, preset=preset, init=None if is_of_preset else self.run.init)
            start = Config(self.data, model, run=run)
        options = dict(start.options)
        changed: dict[str, dict[str, Any]] = {"data": {}, "training": {}, "run": {}}
        for name, value in values.items():
            section = next((s for s in changed if name in _fields(getattr(start, s))), None)
            if model == AUTO and section == "training" and name not in SETTINGS_OF_AUTO:
                raise ValueError(f"`{name}` is a setting of one model, and auto tries several: name the `model`")
            if section is not None:
                changed[section][name] = value
            elif name in model_options(model):
                options[name] = value
            else:
                known = [*model_options(model), *(f for s in changed for f in _fields(getattr(start, s)))]
                raise ValueError(_no_setting(name, model, ["model", *known]))
        sections = {
            section: _checked(dataclasses.replace, getattr(start, section), **change)
            for section, change in changed.items()
        }
        return Config(sections["data"], model, options, sections["training"], sections["run"])

    def with_training(self, values: Mapping[str, Any]) -> Config:
        """A copy with some settings of the table ``training`` changed."""
        return dataclasses.replace(self, training=_checked(dataclasses.replace, self.training, **values))

    def runtime(self) -> Runtime:
        return Runtime(self.run.device, self.run.threads)

    def tables(self) -> dict[str, dict[str, Any]]:
        """The whole configuration as the tables ``data``, ``model``, ``training`` and ``run``, defaults included."""
        data, training, run = (
            _without_none(dataclasses.asdict(section)) for section in (self.data, self.training, self.run)
        )
        return {"data": data, "model": {"name": self.model, **self.options}, "training": training, "run": run}

    def that_matters(self) -> dict[str, dict[str, Any]]:
        """`tables` without the settings that may differ between two calls of one run: where it computes, how long."""
        tables = self.tables()
        for table, names in WHERE_AND_HOW_LONG.items():
            tables[table] = {name: value for name, value in tables[table].items() if name not in names}
        return tables

    def to_toml(self) -> str:
        """The whole configuration, defaults written out."""
        return tomli_w.dumps(self.tables())

    @classmethod
    def from_toml(
        cls, text: str, source: str | None = None, values: Mapping[str, Any] | None = None, *, complete: bool = False
    ) -> Config:
        """Read a configuration; settings that are left out come from its preset.

        Args:
            text: TOML with the tables ``data``, ``model``, ``training`` and ``run``, all optional.
            source: replaces ``data.source``.
            values: settings by name that override those of the text, as in `with_values`. With another ``model`` the
                table ``model`` of the text is ignored.
            complete: the text was written by a run: a setting that it lacks was added later, and has its default.

        Raises:
            ValueError: not TOML, an unknown table or setting, a wrong type, or no source.
        """
        try:
            tables = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise ValueError(f"the configuration is not valid TOML: {error}") from error
        unknown = set(tables) - {"data", "model", "training", "run"}
        if unknown:
            raise ValueError(f"no table [{min(unknown)}]; there are [data], [model], [training] and [run]")
        for name, table in tables.items():
            if not isinstance(table, dict):
                raise ValueError(f"`{name}` must be a table, [{name}] with settings below it, got {table!r}")
        data = tables.get("data", {}) | ({} if source is None else {"source": source})
        if "source" not in data:
            raise ValueError("the configuration names no data: set `source` in [data], or give it on the command line")
        values, options = dict(values or {}), dict(tables.get("model", {}))
        run = dict(tables.get("run", {}))
        if "preset" in values:
            run["preset"] = values.pop("preset")
        named = options.pop("name", "ltocf")
        model = values.pop("model", named)
        if not isinstance(named, str):
            raise ValueError(f"`name` in [model] must be the name of a model, got {named!r}")
        if complete:
            options, run = model_options(named) | options, {"init": "random"} | run
        start = cls(
            _checked(DataSettings, **data), model, options if model == named else {}, run=_checked(RunSettings, **run)
        )
        if complete:
            start = dataclasses.replace(start, training=TrainingSettings())
        return start.with_training(tables.get("training", {})).with_values(values)

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        source: str | None = None,
        values: Mapping[str, Any] | None = None,
        *,
        complete: bool = False,
    ) -> Config:
        """Read a configuration file; see `from_toml`."""
        path = Path(path)
        if not path.exists():
            raise FileNotFoundError(f"no configuration file at {path}")
        return cls.from_toml(path.read_text(encoding="utf-8"), source, values, complete=complete)


def _init_of(recipe: Mapping[str, Any]) -> str:
    """The initial embeddings of a preset's recipe for a model."""
    init: str = recipe.get("init", "random")
    return init


def model_options(model: str) -> dict[str, Any]:
    """Options of a model with their defaults: its constructor's arguments except graph and seed; auto has none."""
    options = {} if model == AUTO else find_model(model).options()
    # TOML has lists only.
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


def model_starts(model: str) -> tuple[str, ...]:
    """Where the initial embeddings of a model can come from; auto leaves that to each candidate."""
    return ("random",) if model == AUTO else find_model(model).starts


def first_model_setting(values: Mapping[str, Any]) -> str | None:
    """The name of the first setting that auto does not have: an option of a model, or how one model is trained.

    Example:
        >>> first_model_setting({"seed": 1, "max_minutes": 2.0}), first_model_setting({"seed": 1, "dim": 8})
        (None, 'dim')
    """
    shared = {*_fields(DataSettings), *_fields(RunSettings), *SETTINGS_OF_AUTO} - {"init", "init_epochs", "init_l2"}
    return next((name for name in values if name not in shared), None)


def _no_setting(name: str, model: str, known: Sequence[str]) -> str:
    """The message for an unknown setting: the models that have it, a similar name, or where all are listed."""
    if others := [other for other, kind in MODELS.items() if name in kind.options()]:
        return f"no setting `{name}` of {model}; it is one of {', '.join(others)}"
    return f"no setting `{name}`; {did_you_mean(name, known, f'`ltocf settings {model}` lists all there are')}"


def _fields(settings: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(settings)]


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _checked(build: Any, *arguments: Any, **values: Any) -> Any:
    """Build or change a settings object; an unknown name or a value of the wrong type is a ValueError."""
    fields = {f.name: f for f in dataclasses.fields(arguments[0] if arguments else build)}
    for name, value in values.items():
        if name not in fields:
            raise ValueError(f"no setting `{name}`; {did_you_mean(name, fields, 'there are ' + ', '.join(fields))}")
        values[name] = _converted(name, value, str(fields[name].type))
    return build(*arguments, **values)


def _converted(name: str, value: Any, annotation: str) -> Any:
    plain = annotation.removesuffix(" | None").removesuffix(" | int").partition("[")[0]
    wanted: type = {"int": int, "float": float, "bool": bool, "Mapping": dict, "Sequence": list, "list": list}.get(
        plain, str
    )
    if wanted is list and type(value) is tuple:
        return list(value)
    if type(value) is wanted or (value is None and "None" in annotation):
        return value
    if wanted is float and type(value) is int:
        return float(value)
    raise ValueError(f"`{name}` must be of type {wanted.__name__}, got {value!r}")
