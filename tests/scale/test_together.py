"""A run of several processes equals that of one: its folder, its checkpoint, and how it is resumed."""

from __future__ import annotations

import pickle
import re
import shutil
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

import ltocf
from ltocf.cli import main
from ltocf.runs.config import Config
from ltocf.runs.folder import RunFolder
from ltocf.runs.settings import DataSettings
from ltocf.runs.together import refuse_if_not_shareable
from ltocf.scale.torchrun import node_blocks
from rank_workers import in_blocks, resume_run, start, train_and_die, train_run
from samples import random_interactions

LOG = random_interactions(60, 50, 0.15)
PAIRS = list(zip(LOG.users.tolist(), LOG.items.tolist(), strict=True))
SETTINGS: dict[str, Any] = {
    "model": "ltocf",
    "dim": 6,
    "epochs": 4,
    "validate_every": 1,
    "batch_size": 64,
    "learning_rate": 0.02,
    "time_learning_rate": 0.05,
    "device": "cpu",
    "n_negatives": 16,
}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process."""
    folder = tmp_path_factory.mktemp("one") / "run"
    ltocf.train(PAIRS, folder, show_progress=False, **SETTINGS)
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes, the second of which was killed after the second epoch."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    assert start(2, train_and_die, folder, SETTINGS, PAIRS, 2) == [0, -signal.SIGKILL]
    return folder


def assert_same(run: Path, other: Path) -> None:
    """The same history, metrics and models, to rounding; the same files."""
    assert sorted(file.name for file in run.iterdir()) == sorted(file.name for file in other.iterdir())
    found_rows, expected_rows = (RunFolder(folder).history() for folder in (run, other))
    for row, expected in zip(found_rows, expected_rows, strict=True):
        row["seconds"] = expected["seconds"]
        assert row == {
            k: v if isinstance(v, str) else pytest.approx(v, rel=1e-4, abs=1e-6) for k, v in expected.items()
        }
    for file in ("model.safetensors", "model-selection.safetensors"):
        found, expected = (ltocf.load(folder / file).model.state_dict() for folder in (run, other))
        torch.testing.assert_close(dict(found), dict(expected), atol=2e-5, rtol=1e-4)
    metrics, expected = (RunFolder(folder).metrics() for folder in (run, other))
    values = {name: value for name, value in expected.items() if "@" in name}
    assert {name: metrics[name] for name in values} == pytest.approx(values)


def test_a_run_of_three_processes_equals_that_of_one(tmp_path: Path) -> None:
    assert start(3, train_run, tmp_path / "run", SETTINGS | {"init": "spectral"}, PAIRS) == [0] * 3
    ltocf.train(PAIRS, tmp_path / "one", show_progress=False, **SETTINGS | {"init": "spectral"})
    assert_same(tmp_path / "run", tmp_path / "one")
    returned = [pickle.loads((tmp_path / f"metrics-{rank}").read_bytes()) for rank in range(3)]
    assert returned == [RunFolder(tmp_path / "run").metrics()] * 3
    assert returned[0]["environment"]["processes"] == 3
    assert ltocf.load(tmp_path / "run").recommend(3, k=2)["item"].len() == 2


def test_a_run_in_blocks_of_nodes_equals_that_of_one(uninterrupted: Path, tmp_path: Path) -> None:
    """Each of four processes has a quarter of the nodes, and of the graph."""
    assert start(4, in_blocks, 4, train_run, tmp_path / "run", SETTINGS, PAIRS) == [0] * 4
    assert_same(tmp_path / "run", uninterrupted)
    environment = RunFolder(tmp_path / "run").metrics()["environment"]
    assert (environment["processes"], environment["node_blocks"]) == (4, 4)


def test_a_remaining_process_reports_that_another_has_ended(killed: Path) -> None:
    assert (killed.parent / "error-0").read_text() == (
        "LostProcessError: another of the 2 processes has ended; its error is above, if it printed one"
    )
    assert RunFolder(killed).history()[-1]["epoch"] == 2
    assert RunFolder(killed).checkpoint_file("selection").exists()


@pytest.mark.parametrize(("world", "blocks"), [(1, 1), (4, 1), (4, 2)])
def test_a_killed_run_is_resumed_by_any_number_of_processes(
    world: int, blocks: int, killed: Path, uninterrupted: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(killed, run)
    if world == 1:
        ltocf.resume(run, show_progress=False)
    else:
        assert start(world, in_blocks, blocks, resume_run, run) == [0] * world
    assert_same(run, uninterrupted)


def test_a_killed_run_can_be_replaced(killed: Path, tmp_path: Path) -> None:
    """Its folder holds another one, with the shares of both processes."""
    run = tmp_path / "run"
    shutil.copytree(killed, run)
    assert [file.name for file in run.iterdir() if file.is_dir()] == ["checkpoint-selection-shards-2"]
    ltocf.train(PAIRS, run, exists="replace", show_progress=False, **SETTINGS | {"epochs": 1})
    assert not [file.name for file in run.iterdir() if file.is_dir()]


def test_a_time_limit_stops_all_processes(tmp_path: Path) -> None:
    """A limit that has passed at once: one step, one validation, and no process waits for another."""
    limited = SETTINGS | {"max_minutes": 1e-6}
    assert start(2, train_run, tmp_path / "run", limited, PAIRS) == [0] * 2
    assert RunFolder(tmp_path / "run").metrics()["fits"]["selection"]["stopped_by"] == "max_minutes"


@pytest.mark.parametrize(
    ("model", "values", "message"),
    [
        ("ngcf", {}, "ngcf with these options mixes the columns .* without torchrun, or take one of ltocf, lightgcn, "),
        ("ltocf", {"propagation": "solver"}, "ltocf with these options mixes the columns"),
        ("spectral", {}, "spectral with these options mixes the columns of its embeddings, or has none"),
        ("auto", {}, "auto tries several models, in one process; name a `model` for 8 processes: ltocf, lightgcn, "),
        ("mf", {"dim": 7}, "`dim` must be at least the number of processes, 8, got 7"),
        (
            "mf",
            {"device": "cuda:1"},
            "`device` must be auto, cpu or cuda: each process has a GPU of its own, got 'cuda:1'",
        ),
        ("mf", {"cuda_graphs": True}, "`cuda_graphs` cannot record what 8 processes exchange; leave it false"),
    ],
)
def test_models_and_settings_that_processes_cannot_share_are_refused(
    model: str, values: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(DataSettings("x"), model).with_values(values)
    refuse_if_not_shareable(config)  # a single process accepts everything
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "WORLD_SIZE": "8", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        refuse_if_not_shareable(config)


@pytest.mark.parametrize("given", ["3", "0", "two"])
def test_blocks_must_divide_the_processes(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTOCF_NODE_BLOCKS", given)
    with pytest.raises(ValueError, match=f"`LTOCF_NODE_BLOCKS` must divide the number of processes, 4, got '{given}'"):
        node_blocks(4)


@pytest.mark.parametrize(("rank", "n_errors"), [("0", 1), ("1", 0)])
def test_other_commands_are_refused_by_the_first_process_only(
    rank: str, n_errors: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"TORCHELASTIC_RUN_ID": "1", "RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": rank}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(import_module("ltocf.cli.main"), "_silence", lambda: None)
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "run"])
    assert capfd.readouterr().err.count("error: torchrun is for `train` and `fit`, got evaluate: run it") == n_errors


def test_torchrun_prints_a_run_once(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "ltocf"]
    table = tmp_path / "log.csv"
    table.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in PAIRS))
    settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
    command = [*torchrun, "train", str(table), f"--out={tmp_path / 'run'}", *settings]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.count("run folder: ") == 1
    assert len(re.findall("epoch 1 of 4", done.stderr)) == 1
