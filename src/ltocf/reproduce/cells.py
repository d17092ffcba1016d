"""A cell of a table or figure: one configuration file, one seed, and the files of its result."""

from __future__ import annotations

import json
import logging
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tomli_w
from safetensors.numpy import load_file

from ltocf.data import CATALOG
from ltocf.files import write_text
from ltocf.runs.config import Config
from ltocf.shapes import UserValues

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
        # Fewer than three steps in a stretch are RK4 whatever the name says.
        "solver/adams_moulton": {"solver": "adams_moulton", "steps_per_interval": 3},
        "solver/dopri5": {"solver": "dopri5"},
    },
    "figure10": {
        f"times/{kind}-{n_times}": {"n_times": n_times, "learnable_times": kind == "learned"}
        for kind in ("fixed", "learned")
        for n_times in (1, 2, 3)
    },
    "figure11": {f"horizon/{horizon}": {"horizon": float(horizon)} for horizon in (2, 3, 4)},
}
"""Cells of the ablations: what each changes of the data set's ``ltocf.toml``."""


@dataclass(frozen=True)
class Places:
    """Folders: of configurations, of results, of runs that are not finished, and of named data sets."""

    configs: Path = Path("configs")
    results: Path = Path("results")
    runs: Path = Path("runs/reproduce")
    data_dir: str = ""


@dataclass(frozen=True)
class Cell:
    """``configs/<dataset>/<name>.toml`` with a seed; its result is ``results/<dataset>/<name>-seed<k>.*``.

    ``.json`` has the metrics and where they come from, ``.jsonl`` the history by epochs, ``.safetensors`` recall and
    NDCG of every test user, which a significance test needs.
    """

    dataset: str
    name: str
    config: Config
    places: Places

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return self.config.run.seed

    @property
    def label(self) -> str:
        """A name for people: data set, name and seed."""
        return f"{self.dataset}/{self.name}-seed{self.seed}"

    @property
    def run_folder(self) -> Path:
        """Where it runs."""
        return self.places.runs / self.label

    def file(self, suffix: str) -> Path:
        """A file of its result."""
        return self.places.results / f"{self.label}{suffix}"

    @property
    def is_done(self) -> bool:
        """Whether all of the result is there."""
        return all(self.file(suffix).exists() for suffix in (".jsonl", ".safetensors", ".json"))

    def file_text(self) -> str:
        """The configuration file."""
        return (self.places.configs / self.dataset / f"{self.name}.toml").read_text(encoding="utf-8")

    def metrics(self) -> dict[str, Any]:
        """What was measured."""
        metrics: dict[str, Any] = json.loads(self.file(".json").read_text(encoding="utf-8"))
        return metrics

    def hardware(self) -> str:
        """The processor that it was measured on, or the GPU."""
        environment = self.metrics()["environment"]
        return str(environment["processor" if environment["device"] == "cpu" else "device"])

    def history(self, phase: str = "selection") -> list[dict[str, Any]]:
        """One record per epoch of a phase."""
        lines = self.file(".jsonl").read_text(encoding="utf-8").splitlines()
        return [row for row in map(json.loads, lines) if row["phase"] == phase]

    def user_values(self) -> dict[str, UserValues]:
        """ "recall@20" and "ndcg@20" of every test user."""
        return load_file(self.file(".safetensors"))

    def changed_settings(self) -> list[str]:
        """Settings that differ between the finished result and the configuration as it is now."""
        metrics = self.metrics()
        pairs = ((metrics["options"], self.config.options), (metrics["training"], asdict(self.config.training)))
        return [name for then, now in pairs for name in now if name in then and then[name] != now[name]]


def find_source(dataset: str, data_dir: str = "") -> str | None:
    """What `load_dataset` takes for a data set's name: itself if it is a path or can be had, None otherwise.

    A folder of ``data_dir`` (else of $LTOCF_DATA) that is not in the catalog counts by its name too.

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
    """The cells of one data set; a configuration file that is missing is written first.

    A method without a file gets the paper's defaults, a variant the data set's ``ltocf.toml`` with its changes.

    Args:
        source: a catalog name or a path.
        names: of the configurations, without their suffix.
        seeds: every configuration is run with each.
        places: where everything lies.
        values: settings for this call, such as ``device``.
    """
    dataset, cells = Path(source).stem, []
    changes = {name: change for variants in VARIANTS.values() for name, change in variants.items()}
    for name in names:
        path = places.configs / dataset / f"{name}.toml"
        if not path.exists():
            base = places.configs / dataset / "ltocf.toml"
            text = _variant(base, changes[name]) if name in changes else _method(name)
            write_text(path, f"# {source if source in CATALOG else dataset}: {name}, see `ltocf reproduce`.\n\n{text}")
            logger.info("wrote %s", path)
        for seed in seeds:
            more = {"seed": seed, **({"data_dir": places.data_dir} if places.data_dir else {}), **(values or {})}
            cells.append(Cell(dataset, name, Config.from_file(path, source, more), places))
    return cells


def variant_names(figure: str, source: str, places: Places) -> dict[str, str]:
    """Variant -> name of the cell that has it: the plain ``ltocf`` where the variant changes nothing of it."""
    (base,) = make_cells(source, ["ltocf"], [0], places)
    return {
        name: "ltocf" if base.config.with_values(change) == base.config else name
        for name, change in VARIANTS[figure].items()
    }


def _method(name: str) -> str:
    return tomli_w.dumps({"model": {"name": name}, "run": {"preset": "paper"}})


def _variant(base: Path, change: Mapping[str, Any]) -> str:
    text = base.read_text(encoding="utf-8") if base.exists() else _method("ltocf")
    tables = tomllib.loads(text)
    tables["model"] = tables.get("model", {}) | dict(change)
    return tomli_w.dumps(tables)
