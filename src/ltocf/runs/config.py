"""Everything that defines a run, as frozen dataclasses that are one TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tomli_w

from ltocf.data.readers.options import ReadOptions
from ltocf.data.splitting import VALIDATION_SPLITS
from ltocf.evaluation import Metric
from ltocf.models import MODELS, STARTS, find_model
from ltocf.runs.presets import PRESETS, preset_values
from ltocf.training import Runtime, TrainingSettings

WHERE_AND_HOW_LONG = {
    "data": {"source", "data_dir"},
    "training": {"max_minutes"},
    "run": {"device", "threads", "tensorboard"},
}
AUTO = "auto"
"""In place of a model: a contest of several, see `ltocf.runs.contest`."""
SETTINGS_OF_AUTO = ("max_minutes", "validation_users")
"""Of the table ``training``; the others belong to one model."""
SELECT_ON = ("validation", "test")


@dataclass(frozen=True)
class DataSettings(ReadOptions):
    """Where the interactions come from and how they are split; how a table is read are the `ReadOptions`.

    Args:
        source: what `load_dataset` takes as text: a name in the catalog, a folder with train.txt and test.txt, a table
            file, a pattern of such, or the address of a database; ``<memory>`` for what was handed over in Python.
        data_dir: where named sets are looked for; empty for the environment's LTOCF_DATA.
        split: ``auto`` (the given test part, else random), ``given``, ``random``, ``leave-last-out``, ``time``, or
            ``none``: nothing is held back for a test.
        test_fraction: share of test pairs, where the split is made here.
        validation_fraction: share of each user's training pairs that chooses the epoch.
        validation_split: ``random``; ``last``: the latest share of each user's pairs; or ``auto``: made as the test set
            is. Where that is known to be the end of histories: as many latest items, or as large a share of them.
            Where nothing is held back for a test and histories have an order: ``last``. Else ``random``.
        validation_core: take it from the pairs whose user and item have this many among themselves; 10 where the
            source was filtered so before its test part was made, 0 for all pairs, or with ``auto`` for what is known of
            the source.
        split_seed: of the test and validation parts; apart from ``seed``, so that seeds share one split.
    """

    source: str
    data_dir: str = ""
    split: str = "auto"
    test_fraction: float = 0.2
    validation_fraction: float = 0.1
    validation_split: str = "auto"
    validation_core: int = 0
    split_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("test_fraction", "validation_fraction"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be in (0, 1), got {getattr(self, name)}")
        if self.validation_core < 0:
            raise ValueError(f"`validation_core` must be >= 0, got {self.validation_core}")
        known = ("auto", *VALIDATION_SPLITS)
        if self.validation_split not in known:
            raise ValueError(f"`validation_split` must be one of {', '.join(known)}, got {self.validation_split!r}")


@dataclass(frozen=True)
class RunSettings:
    """What belongs to the run as a whole.

    Args:
        seed: of initialisation and sampling.
        init: initial embeddings: ``random``, ``spectral`` from the truncated SVD of the graph, or ``mf`` from a
            factorisation that is trained first.
        init_epochs: epochs of that.
        init_l2: L2 weight of that; left out, the run's own.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads, 0 for PyTorch's choice.
        select_on: ``validation`` chooses the epoch, then training starts again on all of train; ``test`` reports the
            best epoch on the test set, as the papers do, and marks the run.
        select_by: the metric that chooses the epoch.
        tensorboard: write what the history holds for TensorBoard too; needs the extra `tracking`.
        preset: the recipe that the settings start from: ``fast``, the best one found, or ``paper``.
    """

    seed: int = 0
    init: str = "random"
    init_epochs: int = 20
    init_l2: float | None = None
    device: str = "auto"
    threads: int = 0
    select_on: Literal["validation", "test"] = "validation"
    select_by: str = "recall@20"
    preset: str = "fast"
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name, known in (("select_on", SELECT_ON), ("init", STARTS), ("preset", PRESETS)):
            if getattr(self, name) not in known:
                raise ValueError(f"`{name}` must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"`seed` must be in [0, 2^63), got {self.seed}")
        if self.init_epochs < 1:
            raise ValueError(f"`init_epochs` must be >= 1, got {self.init_epochs}")
        if self.init_l2 is not None and self.init_l2 < 0:
            raise ValueError(f"`init_l2` must be >= 0, got {self.init_l2}")
        try:
            Metric.parse(self.select_by)
        except ValueError as error:
            raise ValueError(f"`select_by`{str(error).removeprefix('a metric')}") from error


class _FromPreset(TrainingSettings):
    """Stands for the training settings of the preset until the model and the preset are known."""


@dataclass(frozen=True)
class Config:
    """A run: data, model with its options, training, and the run's own settings.

    What is left out of ``options``, and ``training`` if it is, comes from ``run.preset``, then from the defaults.

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
        if self.run.init not in starts:
            able = ", ".join(name for name, model in MODELS.items() if self.run.init in model.starts)
            raise ValueError(
                f"{self.model} has no `init` {self.run.init!r}; it has {', '.join(starts)}. "
                f"Models that start so: {able}"
            )
        recipe = preset_values(self.run.preset, self.model)
        types = {name: type(value).__name__ for name, value in options.items()}
        options |= {name: value for name, value in recipe.items() if name in options}
        for name, value in self.options.items():
            if name not in options:
                raise ValueError(f"{self.model} has no option `{name}`; it has {', '.join(options)}")
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
            start = Config(self.data, model, run=dataclasses.replace(self.run, preset=preset))
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
                raise ValueError(f"no setting `{name}`; there are model, {', '.join(known)}")
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
        """`tables` without what may differ between two calls of one run: where it computes, and for how long."""
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
        """Read a configuration; settings left out are those of its preset.

        Args:
            text: TOML with the tables ``data``, ``model``, ``training`` and ``run``, all optional.
            source: takes the place of ``data.source``.
            values: settings by name that come before those of the text, as in `with_values`. With another ``model``
                the table ``model`` of the text does not count.
            complete: the text is that of a run: a setting that is not in it came later, and has its default.

        Raises:
            ValueError: not TOML, an unknown table or setting, a wrong type, or no source at all.
        """
        try:
            tables = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"the configuration is not valid TOML: {error}") from error
        unknown = set(tables) - {"data", "model", "training", "run"}
        if unknown:
            raise ValueError(f"no table [{min(unknown)}]; there are [data], [model], [training] and [run]")
        data = tables.get("data", {}) | ({} if source is None else {"source": source})
        if "source" not in data:
            raise ValueError("the configuration names no data: set `source` in [data], or give it on the command line")
        values, options = dict(values or {}), dict(tables.get("model", {}))
        run = dict(tables.get("run", {}))
        if "preset" in values:
            run["preset"] = values.pop("preset")
        named = options.pop("name", "ltocf")
        model = values.pop("model", named)
        if complete:
            options = model_options(named) | options
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


def model_options(model: str) -> dict[str, Any]:
    """Options of a model with their defaults: its constructor's arguments but for graph and seed; auto has none."""
    options = {} if model == AUTO else find_model(model).options()
    # As TOML has them.
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


def model_starts(model: str) -> tuple[str, ...]:
    """What the initial embeddings of a model can come from; auto leaves that to each candidate."""
    return ("random",) if model == AUTO else find_model(model).starts


def speaks_of_a_model(values: Mapping[str, Any]) -> str | None:
    """The first of these settings, by name, that auto does not have: options, and how one model is trained.

    Example:
        >>> speaks_of_a_model({"seed": 1, "max_minutes": 2.0}), speaks_of_a_model({"seed": 1, "dim": 8})
        (None, 'dim')
    """
    shared = {*_fields(DataSettings), *_fields(RunSettings), *SETTINGS_OF_AUTO} - {"init", "init_epochs", "init_l2"}
    return next((name for name in values if name not in shared), None)


def _fields(settings: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(settings)]


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _checked(build: Any, *arguments: Any, **values: Any) -> Any:
    """Build or change a settings object; an unknown name or a value of the wrong type is a ValueError that says so."""
    fields = {f.name: f for f in dataclasses.fields(arguments[0] if arguments else build)}
    for name, value in values.items():
        if name not in fields:
            raise ValueError(f"no setting `{name}`; there are {', '.join(fields)}")
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
