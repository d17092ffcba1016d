"""Add to results of earlier versions what these did not record: the whole configuration, the split, and the users.

python benchmarks/complete_results.py            # needs git's history, and the data under LTOCF_DATA

A result gets the settings of its configuration file. They are certain if the tables [data] and [run] are those of the
file at the commit of the result, and all options and training settings that the result has are those of the file. The
split is that of the data, and the users are the test users in ascending order, if every user's recall is a whole number
of hits out of that user's test items. Otherwise the result is marked with ``configuration_certain = false`` and the
reasons. ``completed`` names what was added.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from ltocf.data import Split
from ltocf.files import replacing, write_text
from ltocf.reproduce.cells import find_source
from ltocf.runs.config import Config, model_options
from ltocf.runs.preparation import prepare_data
from ltocf.runs.settings import DataSettings
from ltocf.training import TrainingSettings
from ltocf.tuning.identity import recorded

ROOT = Path(__file__).resolve().parents[1]
NOT_RUNS = {"speed", "reports", "search"}
SPLITS: dict[tuple[DataSettings, str], Split] = {}


def runs() -> list[Path]:
    """Results of single runs."""
    files = sorted((ROOT / "results").glob("*/**/*.json"))
    paths = [path for path in files if not NOT_RUNS & set(path.relative_to(ROOT).parts)]
    return [path for path in paths if "options" in json.loads(path.read_text(encoding="utf-8"))]


def configuration_file(path: Path) -> Path:
    """The configuration file of a result."""
    name = path.relative_to(ROOT / "results").with_suffix("").as_posix().partition("-seed")[0]
    return ROOT / "configs" / f"{name}.toml"


def earlier_configuration(path: Path) -> str:
    """The text of the configuration file at the last commit that changed a result."""
    commit = git("log", "-1", "--format=%H", "--", str(path.relative_to(ROOT)))
    return git("show", f"{commit.strip()}:{configuration_file(path).relative_to(ROOT)}")


def git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True).stdout


def doubts_about_settings(path: Path, result: dict[str, Any], config: Config, dataset: str) -> list[str]:
    """Why the present configuration may not be that of a result."""
    then = Config.from_toml(earlier_configuration(path), dataset, {"seed": result["seed"]})
    # A result does not record the tables [data] and [run]; a preset may have been another then.
    doubts = [
        f"its configuration file has another table [{table}] since"
        for table in ("data", "run")
        if getattr(then, table) != getattr(config, table)
    ]
    known = {"model": result["model"], "select_on": result["select_on"], "preset": result["preset"]}
    known |= result["options"] | result["training"]
    now = {"model": config.model} | asdict(config.run) | dict(config.options) | asdict(config.training)
    doubts += [f"`{name}` was {value}" for name, value in known.items() if now.get(name) != value]
    defaults = model_options(config.model) | asdict(TrainingSettings())
    later = {name: value for name, value in defaults.items() if name not in known and now[name] != value}
    doubts += [f"it does not say `{name}`, which is {now[name]} now" for name in later]
    if config.run.select_by not in result["selected"]:
        doubts.append(f"it was not selected by {config.run.select_by}")
    return doubts


def split_of(config: Config, dataset: str) -> Split | None:
    """The split of a configuration, if the data is here."""
    if (source := find_source(dataset)) is None:
        return None
    located = config.with_values({"source": source})
    key = located.data, located.run.select_on
    if key not in SPLITS:
        SPLITS[key] = prepare_data(located).split
    return SPLITS[key]


def doubts_about_users(arrays: dict[str, np.ndarray], users: np.ndarray, split: Split) -> list[str]:
    """Why the values of a result may not be those of the test users in ascending order."""
    if any(len(values) != len(users) for values in arrays.values()):
        return ["it has another number of test users than the data"]
    hits = arrays["recall@20"].astype(np.float64) * split.test.user_degrees[users]
    far = np.abs(hits - np.rint(hits)) > 1e-3
    return [f"{far.sum()} of its recalls are no whole number of hits"] if far.any() else []


def complete(path: Path) -> str:
    """Complete one result, and say what was done or doubted."""
    result = json.loads(path.read_text(encoding="utf-8"))
    if "configuration" in result:
        return "is complete"
    dataset = path.relative_to(ROOT / "results").parts[0]
    config = Config.from_file(configuration_file(path), dataset, {"seed": result["seed"]})
    doubts = doubts_about_settings(path, result, config, dataset)
    completed = ["configuration"]
    users_file, split = path.with_suffix(".safetensors"), split_of(config, dataset)
    if split is None:
        doubts.append("the data was not at hand")
    else:
        if (result["cold_users"], result["cold_items"]) != (split.cold_users, split.cold_items):
            doubts.append("the data has other cold users or items")
        result["split"] = split.summary()
        completed.append("split")
        if users_file.exists():
            arrays, users = load_file(users_file), np.unique(split.test.users)
            doubts += (user_doubts := doubts_about_users(arrays, users, split))
            if not user_doubts:
                with replacing(users_file) as temporary:
                    save_file({"users": users} | arrays, temporary)
                completed.append("users")
    result |= {"configuration": recorded(config), "completed": completed}
    if doubts:
        result |= {"configuration_certain": False, "configuration_doubts": doubts}
    write_text(path, json.dumps(result, indent=2) + "\n")
    return "; ".join(doubts) or "completed"


if __name__ == "__main__":
    for path in runs():
        print(f"{path.relative_to(ROOT)}: {complete(path)}")
