"""Results under results/ say what they are of: the whole configuration, the split, and the user of each value."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from ltocf.reproduce.cells import Places, make_cells, with_splits
from ltocf.runs.config import Config
from ltocf.tuning.identity import NO_EFFECT, differences, recorded

ROOT = Path(__file__).resolve().parents[2]
APART = {"speed", "reports", "search", "recbole"}


@cache
def runs() -> dict[Path, dict[str, Any]]:
    """Every committed result of one run."""
    found = {path: json.loads(path.read_text()) for path in sorted((ROOT / "results").glob("*/**/*.json"))}
    return {
        path: result
        for path, result in found.items()
        if "options" in result and not APART & set(path.relative_to(ROOT).parts)
    }


def test_every_result_says_its_whole_configuration() -> None:
    assert len(runs()) >= 127
    for path, result in runs().items():
        dataset, *_ = path.relative_to(ROOT / "results").parts
        name = path.relative_to(ROOT / "results" / dataset).with_suffix("").as_posix().partition("-seed")[0]
        text = (ROOT / "configs" / dataset / f"{name}.toml").read_text()
        config = Config.from_toml(text, dataset, {"seed": result["seed"]})
        assert differences(result["configuration"], recorded(config)) == {}
        # What the run said itself, beside what was added to it.
        tables = result["configuration"]
        assert result["options"].items() <= tables["model"].items()
        assert result["training"].items() <= tables["training"].items()
        assert (tables["run"]["select_on"], tables["run"]["seed"]) == (result["select_on"], result["seed"])
        assert result.get("configuration_certain", True)


def test_one_way_to_split_one_data_set_is_one_digest() -> None:
    ways: dict[str, str] = {}
    for path, result in runs().items():
        data = {name: value for name, value in result["configuration"]["data"].items() if name not in NO_EFFECT["data"]}
        way = json.dumps([path.relative_to(ROOT).parts[1], data, result["select_on"]])
        assert ways.setdefault(way, result["split"]["digest"]) == result["split"]["digest"]
    assert len(set(ways.values())) == len(ways)


@pytest.mark.usefixtures("metrics_of_users")
def test_users_are_those_that_the_metrics_are_the_mean_of() -> None:
    checked = 0
    for path, result in runs().items():
        if (file := path.with_suffix(".safetensors")).exists():
            arrays = load_file(file)
            users = arrays.pop("users")
            assert (np.diff(users) > 0).all()
            assert 0 <= users[0] <= users[-1] < result["split"]["users"]
            for metric, values in arrays.items():
                assert len(values) == len(users) <= result["split"]["test"]
                assert values.mean(dtype=np.float64) == pytest.approx(result[metric], abs=1e-6)
            checked += 1
    assert checked >= 124


@pytest.mark.usefixtures("metrics_of_users")
@pytest.mark.parametrize(
    ("dataset", "seeds"), [("irb-amazon2014-health", (0, 1, 2)), ("amazon-beauty", (0, 1, 2)), ("gowalla", (0,))]
)
def test_they_are_found_by_the_data_that_is_here(dataset: str, seeds: tuple[int, ...], real_data: Path) -> None:
    places = Places(ROOT / "configs", ROOT / "results", data_dir=str(real_data))
    source = dataset if dataset == "gowalla" else str(real_data / dataset)
    names = ["mf", "lightgcn", "ltocf"]
    cells = with_splits(make_cells(source, names, seeds, places))
    assert all(cell.is_done for cell in cells)
    assert [cell.file(".json").name for cell in cells] == [f"{n}-seed{seed}.json" for n in names for seed in seeds]
