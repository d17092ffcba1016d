"""When two runs are the same: equal settings, as far as they change a result, and equal splits."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from ltocf.models import MODELS, Recommender
from ltocf.runs.config import Config, model_options
from ltocf.runs.preparation import prepare_data
from ltocf.runs.settings import DataSettings, RunSettings
from ltocf.training import TrainingSettings

Tables = Mapping[str, Mapping[str, Any]]
"""A configuration as written to a file: the tables ``data``, ``model`` (with ``name``), ``training`` and ``run``."""

SCORING = ("core",)
"""Settings of the data that change a result but not the split."""
NO_EFFECT = {"data": ("source", "data_dir"), "run": ("device", "threads", "preset", "tensorboard")}
"""Settings that do not change a result: where the data lie, where a run computes, what else it writes, its preset."""


def recorded(config: Config) -> dict[str, dict[str, Any]]:
    """The whole configuration as recorded with a result; of the path to the data only the name of the file or folder.

    Example:
        >>> recorded(Config(DataSettings("/home/me/log.csv"), "mf"))["data"]["source"]
        'log.csv'
    """
    tables = tomllib.loads(config.to_toml())
    tables["data"]["source"] = Path(config.data.source).name
    del tables["data"]["data_dir"]
    return tables


def differences(then: Tables, now: Tables, *, with_data: bool = True) -> dict[str, tuple[Any, Any]]:
    """Settings that change a result and differ between a recorded configuration and today's.

    A setting that was not recorded is newer than the record: the run did what is now its default. Settings in
    `NO_EFFECT` do not count; the name of a preset is one of them, but the settings that it stands for count.

    Args:
        then: the recorded configuration of a run.
        now: today's configuration in the same form.
        with_data: compare the whole table ``data``; if the digests of both splits are known, compare those instead.

    Returns:
        Setting -> its recorded value and today's.

    Example:
        >>> config = Config(DataSettings("log.csv"), "mf")
        >>> differences(recorded(config), recorded(config.with_values({"dim": 8, "threads": 2})))
        {'dim': (64, 8)}
    """
    models = then.get("model", {}).get("name"), now["model"]["name"]
    if models[0] != models[1]:
        return {"model": models}
    defaults = _defaults(now["model"]["name"])
    found: dict[str, tuple[Any, Any]] = {}
    for section in ("data", "model", "training", "run"):
        old, new, default = then.get(section, {}), now[section], defaults[section]
        compared = {*old, *new} if with_data or section != "data" else set(SCORING)
        for name in sorted(compared.difference(NO_EFFECT.get(section, ()))):
            pair = old.get(name, default.get(name)), new.get(name, default.get(name))
            if pair[0] != pair[1]:
                found[name] = pair
    return found


def described(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """`differences` as a phrase.

    Example:
        >>> described({"dim": (64, 8), "init": ("random", "mf")})
        'dim 64 (now 8), init random (now mf)'
    """
    return ", ".join(f"{name} {old} (now {new})" for name, (old, new) in changed.items())


def run_key(config: Config, digest: str) -> str:
    """An identifier of a run: a digest of its split and of the settings that change its result.

    Example:
        >>> config = Config(DataSettings("log.csv"), "mf")
        >>> run_key(config, "a") == run_key(config.with_values({"device": "cpu"}), "a") != run_key(config, "b")
        True
    """
    tables = recorded(config)
    kept = {
        section: {name: value for name, value in tables[section].items() if name not in NO_EFFECT.get(section, ())}
        for section in ("model", "training", "run")
    }
    kept["data"] = {name: tables["data"][name] for name in SCORING if tables["data"][name]}
    return hashlib.sha256(json.dumps([kept, digest], sort_keys=True).encode()).hexdigest()


class Splits:
    """The splits of configurations; data are read once for all configurations with the same table ``data``."""

    def __init__(self) -> None:
        self._summaries: dict[str, dict[str, Any]] = {}

    def summary(self, config: Config) -> dict[str, Any]:
        """Digest and sizes of the split, as in metrics.json."""
        key = json.dumps([config.tables()["data"], config.run.select_on], sort_keys=True)
        if key not in self._summaries:
            self._summaries[key] = prepare_data(config).split.summary()
        return self._summaries[key]


def _defaults(model: str) -> Tables:
    return _defaults_of(model, MODELS.get(model))


@lru_cache
def _defaults_of(model: str, model_class: type[Recommender] | None) -> Tables:
    defaults = {
        # Records without this setting are older than it: their validation set was random.
        "data": asdict(DataSettings("")) | {"validation_split": "random"},
        "model": {"name": model, **(model_options(model) if model_class is not None else {})},
        "training": asdict(TrainingSettings()),
        "run": asdict(RunSettings(init="random")),
    }
    # A record has lists where a default has a tuple.
    tables: Tables = json.loads(json.dumps(defaults))
    return tables
