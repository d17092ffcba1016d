"""Memory is stated from sizes alone, shown and kept beside the metrics, and refused if there is too little."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ltocf
from ltocf import Config, Split
from ltocf.data import Interactions
from ltocf.models import LTOCF, HistoryRegression, SpectralLTOCF
from ltocf.runs import memory
from ltocf.runs.memory import Memory, TrainingSizes, stated_memory
from ltocf.runs.settings import DataSettings
from ltocf.training import memory as system

RESULTS = Path(__file__).resolve().parents[2] / "results" / "scale" / "memory.json"
CPU = torch.device("cpu")
VISITS = [(user, item) for user in range(20) for item in range(10) if (user + item) % 3]


def split_of(n_users: int, n_items: int, n_pairs: int, **extra: Any) -> Split:
    keys = np.sort(np.random.default_rng(0).choice(n_users * n_items, n_pairs, replace=False))
    log = Interactions(keys // n_items, keys % n_items, n_users, n_items, **extra)
    held_back = np.zeros(n_pairs, bool)
    return Split(log, log.where(held_back))


def stated(split: Split, world: int = 1, **settings: Any) -> Memory:
    config = Config(DataSettings("")).with_values({"model": "ltocf", **settings})
    found = stated_memory(config, TrainingSizes.of_split(split), world)
    assert found is not None
    return found


def test_stated_parts_are_the_sizes_of_the_arrays() -> None:
    """Against the bytes of the tensors that a model and its sampler hold."""
    split = split_of(3_000, 1_000, 200_000)
    for settings in ({"preset": "fast"}, {"preset": "paper"}):
        found, n_pairs = stated(split, dim=16, **settings), len(split.train)
        graph = ltocf.BipartiteGraph.from_interactions(split.train)
        config = Config(DataSettings("")).with_values({"model": "ltocf", "dim": 16, **settings})
        model = LTOCF(graph, **config.options)
        arrays = sum(buffer.nbytes for buffer in graph.buffers())
        assert found.graph == pytest.approx(arrays, rel=0.01)
        assert found.parameters == 4 * model.initial_embeddings.nbytes
        batches = model.batches(split.train, 256, 0)
        kept = [
            value for part in (batches, getattr(batches, "_untouched", None)) if part for value in vars(part).values()
        ]
        tensors = [value for value in kept if isinstance(value, torch.Tensor)]
        order = 4 * n_pairs if settings["preset"] == "fast" else 0
        assert found.sampler == sum(value.nbytes for value in tensors if len(value) == n_pairs) + order
        # Left out: offsets and degrees, which are much smaller than the rows of a user and an item.
        left_out = sum(value.nbytes for value in tensors if len(value) != n_pairs)
        assert left_out <= 5 * 8 * split.train.n_users < found.parameters


@pytest.mark.parametrize("n_neighbours", [0, 30])
def test_the_stated_parameters_of_the_spectral_model_are_the_sizes_of_its_arrays(n_neighbours: int) -> None:
    split = split_of(3_000, 1_000, 200_000)
    options = {"rank": 16, "n_neighbours": n_neighbours}
    found = stated(split, model="spectral", **options)
    model = SpectralLTOCF(ltocf.BipartiteGraph.from_interactions(split.train), **options)
    gram = 0 if model.gram is None else sum(buffer.nbytes for buffer in model.gram.buffers())
    assert (found.parameters, found.sampler) == (model.item_vectors.nbytes + gram, 0)
    assert found.graph == stated(split).graph
    more = stated(split, model="spectral", rank=64, n_neighbours=n_neighbours)
    assert (more.parameters > found.parameters, more.step >= found.step) == (True, True)


def test_the_stated_parameters_of_the_regression_are_the_sizes_of_its_arrays() -> None:
    split = split_of(3_000, 1_000, 200_000)
    found = stated(split, model="history-regression", rank=16)
    model = HistoryRegression(ltocf.BipartiteGraph.from_interactions(split.train), rank=16)
    assert (found.parameters, found.sampler) == (model.item_vectors.nbytes + model.coefficients.nbytes, 0)
    # Beside a library and a few blocks of events, the sums are as large as the coefficients.
    blocks = memory.LIBRARY_BYTES + memory.EVENT_BLOCKS * 4 * memory.NUMBERS_AT_A_TIME
    assert found.step >= blocks + model.coefficients.nbytes


def test_choosing_entries_that_are_kept_counts_where_a_log_is_large() -> None:
    config = Config(DataSettings("")).with_values({"model": "spectral", "rank": 8})
    steps = []
    for n_pairs in (5_000_000, 5_000_001):  # of a product with 2 x 100,000 users x pairs multiplications
        found = stated_memory(config, TrainingSizes(100_000, 50, n_pairs, None, ordered=False, weighted=False))
        assert found is not None
        steps.append(found.step)
    assert steps[1] - steps[0] > 60 * 5_000_000 - 10**8


def test_automatic_precision_is_stated_as_what_it_stands_for(monkeypatch: pytest.MonkeyPatch) -> None:
    split = split_of(60_000, 60_000, 200_000)
    single, half = (stated(split, dim=64, precision=precision).step for precision in ("float32", "bfloat16"))
    for limit, expected in ((len(split.train) + 1, single), (len(split.train), half)):
        monkeypatch.setattr("ltocf.models.ltocf.HALF_FROM", limit)
        assert stated(split, dim=64, precision="auto").step == expected


def test_columns_and_half_precision_lower_it_and_a_second_training_does_not() -> None:
    split = split_of(60_000, 60_000, 200_000)
    whole = stated(split, dim=64)
    assert stated(split, 2, dim=64).parameters == whole.parameters // 2
    assert stated(split, dim=64, precision="bfloat16").step < whole.step
    assert stated(split, dim=128).step > whole.step
    with_validation = Split(split.train, split.test, split.train.where(np.zeros(len(split.train), bool)))
    found = stated(with_validation, dim=64)
    assert found.total - found.held >= whole.total - whole.held
    assert whole.pairs == 0


def test_timestamps_and_weights_count() -> None:
    plain = split_of(500, 400, 50_000)
    both = split_of(500, 400, 50_000, timestamps=np.arange(50_000, dtype=np.int64), weights=np.ones(50_000, np.float32))
    assert stated(both, dim=8).graph - stated(plain, dim=8).graph == 12 * 50_000


def test_models_whose_memory_is_unknown_state_nothing() -> None:
    for settings in ({"model": "ease"}, {"model": "ltocf", "propagation": "solver"}):
        config = Config(DataSettings("")).with_values(settings)
        assert stated_memory(config, TrainingSizes.of_split(split_of(10, 10, 20))) is None


def test_too_much_is_refused_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda _: 10_000_000)
    with pytest.raises(ValueError, match="GB are available: lower `dim`, which is 8, set precision = 'bfloat16'"):
        ltocf.fit(VISITS, tmp_path / "run", model="ltocf", dim=8, epochs=1, show_progress=False)
    assert not (tmp_path / "run" / "history.jsonl").exists()
    with pytest.raises(ValueError, match="available: lower `rank`, which is 4, or `n_neighbours`"):
        ltocf.fit(VISITS, tmp_path / "spectral", model="spectral", rank=4, show_progress=False)


def test_a_large_memory_is_shown_and_every_one_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ltocf.runs.protocol.REPORTED_FROM", 2**50)  # this process may hold a gigabyte already
    ltocf.fit(VISITS, tmp_path / "small", model="mf", dim=4, epochs=1)
    assert "GB of memory" not in capsys.readouterr().err
    monkeypatch.setattr("ltocf.runs.protocol.REPORTED_FROM", 1)
    ltocf.fit(VISITS, tmp_path / "large", model="mf", dim=4, epochs=1)
    assert "mf: up to about " in capsys.readouterr().err
    for name in ("small", "large"):
        kept = json.loads((tmp_path / name / "metrics.json").read_text())["memory"]
        parts = {part: value for part, value in kept["stated"].items() if part != "total"}
        assert kept["stated"]["total"] == sum(parts.values())
        assert kept["peak"] > 10**7


def test_the_selected_model_is_freed_before_retraining(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int] = []
    models: list[weakref.ref[LTOCF]] = []
    train_on = LTOCF.train_on

    def watched(self: LTOCF, *arguments: Any, **keywords: Any) -> Any:
        models.append(weakref.ref(self))
        alive.append(sum(model() is not None for model in models))
        return train_on(self, *arguments, **keywords)

    monkeypatch.setattr(LTOCF, "train_on", watched)
    # The first optimiser of a process imports parts of PyTorch, whose frames hold its caller's until a collection.
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    gc.disable()
    try:
        ltocf.fit(VISITS, tmp_path / "run", model="ltocf", dim=4, epochs=1, show_progress=False)
    finally:
        gc.enable()
    assert alive == [1, 1]


@pytest.mark.parametrize(
    ("limit", "usage", "cached", "available"),
    [("3000", "1000", "200", 2200), ("max", "1000", "0", system.WITHOUT_LIMIT), ("500", "900", "0", 0)],
)
def test_a_control_group_bounds_what_is_available(
    limit: str, usage: str, cached: str, available: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "jobs" / "own"
    own.mkdir(parents=True)
    for name, value in (
        ("memory.max", limit),
        ("memory.current", usage),
        ("memory.stat", f"anon 5\ninactive_file {cached}"),
    ):
        (own / name).write_text(f"{value}\n")
    (tmp_path / "cgroup").write_text("0::/jobs/own\n")
    monkeypatch.setattr(system, "OWN_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(system, "GROUPS", ((tmp_path, "memory.max", "memory.current", "inactive_file"),))
    monkeypatch.setattr(system, "INFORMATION", tmp_path / "meminfo")
    assert system.available_bytes(CPU) == available
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 1 kB\n")
    assert system.available_bytes(CPU) == min(available, 1024)


def test_measured_trainings_kept_within_a_fifth_of_what_was_stated() -> None:
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]
    assert {row["pairs"] for row in rows} >= {1_000_000, 10_000_000}
    for row in rows:
        assert 1 / 1.2 < row["stated_by_peak"] < 1.2, (row["variant"], row["pairs"])


def test_recorded_trainings_are_stated_by_the_current_formula() -> None:
    """The recorded rows are those of this formula, not of an earlier one."""
    for row in json.loads(RESULTS.read_text(encoding="utf-8"))["rows"]:
        parts = dict(row["stated"])
        assert parts.pop("total") == sum(parts.values())
        assert set(parts) == set(Memory.__dataclass_fields__)
        assert parts["graph"] == 8 * row["pairs"] + 8 * (row["pairs"] // 50 + row["pairs"] // 100)
