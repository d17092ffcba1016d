"""A cell of a table or figure: one configuration file, one seed, and the files of its result."""

from __future__ import annotations

import json
import logging
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import tomli_w
from safetensors.numpy import load_file

from ltocf.data import CATALOG
from ltocf.evaluation.significance import UserResult
from ltocf.files import write_text
from ltocf.models import MODELS
from ltocf.runs.config import Config
from ltocf.tuning.identity import Splits, described, differences, recorded, run_key

logger = logging.getLogger(__name__)

METHODS = (
    *("mf", "neumf", "cmn", "hop-rec", "gc-mc", "pinsage", "mult-vae", "grmf", "grmf-norm", "ngcf", "lr-gccf"),
    *("lightgcn", "ltocf"),
)
"""The rows of the paper's Table 3, in its order."""

VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "figure9": {
        "solver/euler": {"solver": "euler"},
        "solver/rk4": {"solver": "rk4"},
        # With fewer than three steps in a stretch every Adams method is RK4.
        "solver/adams_moulton": {"solver": "adams_moulton", "steps_per_interval": 3},
        "solver/dopri5": {"solver": "dopri5"},
        "solver/exact": {"solver": "exact"},
    },
    "figure10": {
        f"times/{kind}-{n_times}": {"n_times": n_times, "learnable_times": kind == "learned"}
        for kind in ("fixed", "learned")
        for n_times in (1, 2, 3)
    },
    "figure11": {f"horizon/{horizon}": {"horizon": float(horizon)} for horizon in (2, 3, 4)},
}
"""Cells of the ablations: the options that each changes in the data set's ``ltocf.toml``."""


@dataclass(frozen=True)
class Places:
    """The folders of configurations, of results, of unfinished runs, and of named data sets."""

    configs: Path = Path("configs")
    results: Path = Path("results")
    runs: Path = Path("runs/reproduce")
    data_dir: str = ""


@dataclass(frozen=True)
class Cell:
    """``configs/<dataset>/<name>.toml`` with a seed, and the split of the present data.

    Its result is ``results/<dataset>/<name>-seed<k>.*``: ``.json`` has the metrics, the whole configuration and the
    digest of the split, ``.jsonl`` the history by epochs, ``.safetensors`` recall and NDCG of every test user, which a
    significance test needs. A result is the cell's own if it has the cell's configuration and digest. If another result
    is in that place, the cell writes its own beside it, with the first eight digits of `key` after the seed.

    Args:
        dataset: the name of its folders.
        name: the name of the configuration.
        config: the configuration with the seed.
        places: the folders.
        text: the content of the configuration file.
        split: digest and sizes of the split; None until the data are read: until then only the table ``data`` tells
            cells apart.
    """

    dataset: str
    name: str
    config: Config
    places: Places
    text: str
    split: Mapping[str, Any] | None = None

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return self.config.run.seed

    @property
    def label(self) -> str:
        """Its name in tables and messages: data set, name and seed."""
        return f"{self.dataset}/{self.name}-seed{self.seed}"

    @cached_property
    def recorded(self) -> dict[str, dict[str, Any]]:
        """Its configuration in the form that a result keeps."""
        return recorded(self.config)

    @cached_property
    def key(self) -> str:
        """A digest of its settings and data, in hexadecimal."""
        return run_key(self.config, "" if self.split is None else self.split["digest"])

    @property
    def run_folder(self) -> Path:
        """The folder of its run."""
        return self.places.runs / f"{self.label}-{self.key[:8]}"

    @property
    def configuration_file(self) -> Path:
        """The file of its configuration."""
        return self.places.configs / self.dataset / f"{self.name}.toml"

    def file(self, suffix: str) -> Path:
        """The path of a file of its result, whether the file exists or not."""
        plain = self.places.results / self.label
        # A name may have a dot, so `with_suffix` would cut it.
        beside = sorted(path.name.removesuffix(".json") for path in plain.parent.glob(f"{plain.name}-{'?' * 8}.json"))
        for stem in (plain.name, *beside):
            if self.why_not(plain.with_name(f"{stem}.json")) is None:
                return plain.with_name(f"{stem}{suffix}")
        taken = plain.with_name(f"{plain.name}.json").exists()
        return plain.with_name(f"{plain.name}-{self.key[:8]}{suffix}" if taken else f"{plain.name}{suffix}")

    def why_not(self, file: Path) -> str | None:
        """Why the result in a file is not this cell's; None if it is."""
        if not file.exists():
            return "there is none"
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        if not {"configuration", "split"} <= found.keys():
            return "it does not state its configuration and split"
        if not found.get("configuration_certain", True):
            return "its configuration is not certain"
        other = differences(found["configuration"], self.recorded, with_data=self.split is None)
        if self.split is not None and found["split"]["digest"] != self.split["digest"]:
            return f"it is of other data{' and has ' + described(other) if other else ''}"
        return f"it has {described(other)}" if other else None

    @property
    def is_done(self) -> bool:
        """Whether all files of the result exist, with its configuration and its split."""
        file = self.file(".json")
        return self.why_not(file) is None and all(self.file(suffix).exists() for suffix in (".jsonl", ".safetensors"))

    def other_result(self) -> str | None:
        """A message about a result in its place that is not its own; None if there is none."""
        plain = self.places.results / f"{self.label}.json"
        reason = self.why_not(plain) if plain.exists() else None
        return None if reason is None else f"{plain} is not used: {reason}"

    def write_configuration(self) -> None:
        """Write the configuration file if it is missing."""
        if not self.configuration_file.exists():
            write_text(self.configuration_file, self.text)
            logger.info("wrote %s", self.configuration_file)

    def metrics(self) -> dict[str, Any]:
        """The content of the result's metrics file."""
        metrics: dict[str, Any] = json.loads(self.file(".json").read_text(encoding="utf-8"))
        return metrics

    def hardware(self) -> str:
        """The processor or GPU on which it was measured."""
        environment = self.metrics()["environment"]
        return str(environment["processor" if environment["device"] == "cpu" else "device"])

    def history(self, phase: str = "selection") -> list[dict[str, Any]]:
        """One record per epoch of a phase."""
        lines = self.file(".jsonl").read_text(encoding="utf-8").splitlines()
        return [row for row in map(json.loads, lines) if row["phase"] == phase]

    def user_result(self, metric: str) -> UserResult:
        """ "recall@20" or "ndcg@20" of every test user.

        Raises:
            ValueError: a result of an earlier version, which does not name its users.
        """
        file = self.file(".safetensors")
        arrays = load_file(file)
        if "users" not in arrays:
            raise ValueError(f"{file} must have the array `users`, got {', '.join(sorted(arrays))}; run the cell again")
        return UserResult(arrays["users"], arrays[metric], self.metrics()["split"]["digest"])


def with_splits(cells: Sequence[Cell], splits: Splits | None = None) -> list[Cell]:
    """The cells with the splits of the present data; a data set is read once for each way of splitting it."""
    splits = Splits() if splits is None else splits
    return [replace(cell, split=splits.summary(cell.config)) if cell.split is None else cell for cell in cells]


def dataset_name(source: str) -> str:
    """The name of a data set's folders: that of the catalog, of its folder, or of its file without the suffix.

    Example:
        >>> dataset_name("gowalla"), dataset_name("logs/may.csv")
        ('gowalla', 'may')
    """
    if source in CATALOG:
        return source
    path = Path(source).resolve()
    return path.name if path.is_dir() else path.stem


def find_source(dataset: str, data_dir: str = "") -> str | None:
    """The source for `load_dataset` of a data set's name; None if there are no data.

    It is the name itself if that is a path or can be loaded from the catalog, or else a folder of that name in
    ``data_dir`` or $LTOCF_DATA.

    Example:
        >>> find_source("movielens-small"), find_source("no-such-set")
        ('movielens-small', None)
    """
    root = Path(data_dir or os.environ.get("LTOCF_DATA") or "~/.cache/ltocf").expanduser()
    if dataset in CATALOG:
        return dataset if CATALOG[dataset].url is None or (root / dataset / "train.txt").exists() else None
    if Path(dataset).exists():
        return dataset
    return str(root / dataset) if (root / dataset / "train.txt").exists() else None


def make_cells(
    source: str, names: Sequence[str], seeds: Sequence[int], places: Places, values: Mapping[str, Any] | None = None
) -> list[Cell]:
    """The cells of one data set, whose data are not read yet; `with_splits` reads them.

    Without a configuration file a method has the paper's settings, and a variant has those of the data set's
    ``ltocf.toml`` with its own changes. Nothing is written.

    Args:
        source: a catalog name or a path.
        names: configurations, without their suffix.
        seeds: every configuration is run with each.
        places: the folders.
        values: settings for this call, such as ``device``.

    Raises:
        ValueError: a name that is neither a model, nor a variant, nor a file of the data set's folder.
    """
    dataset, cells = dataset_name(source), []
    changes = {name: change for variants in VARIANTS.values() for name, change in variants.items()}
    for name in names:
        path = places.configs / dataset / f"{name}.toml"
        inside = not (Path(name).is_absolute() or ".." in Path(name).parts)
        if not inside or not (name in MODELS or name in changes or path.is_file()):
            raise ValueError(f"{name!r} is not a model and has no configuration; models are {', '.join(MODELS)}")
        text = path.read_text(encoding="utf-8") if path.exists() else None
        if text is None:
            base = places.configs / dataset / "ltocf.toml"
            settings = _variant(base, changes[name]) if name in changes else _method(name)
            text = f"# {source if source in CATALOG else dataset}: {name}, see `ltocf reproduce`.\n\n{settings}"
        for seed in seeds:
            overrides = {"seed": seed, **({"data_dir": places.data_dir} if places.data_dir else {}), **(values or {})}
            cells.append(Cell(dataset, name, Config.from_toml(text, source, overrides), places, text))
    return cells


def variant_names(figure: str, source: str, places: Places) -> dict[str, str]:
    """Variant -> name of its cell: the plain ``ltocf`` if the variant changes nothing."""
    (base,) = make_cells(source, ["ltocf"], [0], places)
    return {
        name: "ltocf" if base.config.with_values(change) == base.config else name
        for name, change in VARIANTS[figure].items()
    }


def _method(name: str) -> str:
    return tomli_w.dumps({"data": {"validation_split": "random"}, "model": {"name": name}, "run": {"preset": "paper"}})


def _variant(base: Path, change: Mapping[str, Any]) -> str:
    text = base.read_text(encoding="utf-8") if base.exists() else _method("ltocf")
    tables = tomllib.loads(text)
    tables["model"] = tables.get("model", {}) | dict(change)
    return tomli_w.dumps(tables)
