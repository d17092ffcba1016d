"""Results under results/ record their origin: the whole configuration, the split, and the user of each value."""

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
from ltocf.tuning.identity import NO_EFFECT, SCORING, differences, recorded

ROOT = Path(__file__).resolve().parents[2]
OTHER_FOLDERS = {"speed", "reports", "search", "recbole"}


@cache
def runs() -> dict[Path, dict[str, Any]]:
    """Every committed result of one run."""
    found = {path: json.loads(path.read_text()) for path in sorted((ROOT / "results").glob("*/**/*.json"))}
    return {
        path: result
        for path, result in found.items()
        if "options" in result and not OTHER_FOLDERS & set(path.relative_to(ROOT).parts)
    }


def test_every_result_has_its_whole_configuration() -> None:
    assert len(runs()) >= 127
    for path, result in runs().items():
        dataset, *_ = path.relative_to(ROOT / "results").parts
        name = path.relative_to(ROOT / "results" / dataset).with_suffix("").as_posix().partition("-seed")[0]
        text = (ROOT / "configs" / dataset / f"{name}.toml").read_text()
        config = Config.from_toml(text, dataset, {"seed": result["seed"]})
        assert differences(result["configuration"], recorded(config)) == {}
        # What the run itself recorded agrees with the configuration, which was added later.
        tables = result["configuration"]
        assert result["options"].items() <= tables["model"].items()
        assert result["training"].items() <= tables["training"].items()
        assert (tables["run"]["select_on"], tables["run"]["seed"]) == (result["select_on"], result["seed"])
        assert result.get("configuration_certain", True)


def test_equal_split_settings_give_equal_digests_and_others_give_others() -> None:
    digests: dict[str, str] = {}
    for path, result in runs().items():
        ignored = (*NO_EFFECT["data"], *SCORING)
        data = {name: value for name, value in result["configuration"]["data"].items() if name not in ignored}
        settings = json.dumps([path.relative_to(ROOT).parts[1], data, result["select_on"]])
        assert digests.setdefault(settings, result["split"]["digest"]) == result["split"]["digest"]
    assert len(set(digests.values())) == len(digests)


@pytest.mark.usefixtures("metrics_of_users")
def test_metrics_are_the_means_over_the_recorded_users() -> None:
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
def test_results_are_found_by_the_digest_of_the_local_data(
    dataset: str, seeds: tuple[int, ...], real_data: Path
) -> None:
    places = Places(ROOT / "configs", ROOT / "results", data_dir=str(real_data))
    source = dataset if dataset == "gowalla" else str(real_data / dataset)
    names = ["mf", "lightgcn", "ltocf"]
    cells = with_splits(make_cells(source, names, seeds, places))
    assert all(cell.is_done for cell in cells)
    assert [cell.file(".json").name for cell in cells] == [f"{n}-seed{seed}.json" for n in names for seed in seeds]
