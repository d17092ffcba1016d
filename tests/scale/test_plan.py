"""The plan for many GPUs: its sums are those by hand, its traffic that of a step, its constants those of files."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from ltocf.cli import main
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF
from ltocf.scale.machines import MACHINES, Machine
from ltocf.scale.plan import KERNELS_OF_A_PIECE, Row, Work, best, memory_bytes, plan, step_seconds, where_it_stops
from ltocf.scale.traffic import Step
from ltocf.training import TrainingSettings
from ltocf.training.step import Stepper
from samples import random_interactions

ROOT = Path(__file__).resolve().parents[2]
WORK = Work(users=10**8, items=10**6, pairs=10**9)


def _round_machine() -> Machine:
    """A machine with 8 GPUs and constants that make the sums easy, such as one byte a second."""
    return Machine(**{
        name: constant._replace(value=value)
        for (name, value), constant in zip(
            {
                "memory": 1e9, "bandwidth": 2.0, "share": 0.5, "line": 32, "flops": 1.0,
                "starting": 100.0, "link": 1.0, "network": 0.5, "message": 0.0,
            }.items(),
            MACHINES["h200"].constants(),
            strict=True,
        )
    } | {"name": "round"})  # fmt: skip


def test_the_seconds_of_a_step_are_the_sums_by_hand() -> None:
    """16 GPUs of two machines, two blocks, eight shares of 64 columns: rows of 32 bytes."""
    work = Work(users=60, items=40, pairs=1000, dim=64, loss="softmax", negatives=10, batch_size=20, degree=3)
    seconds = step_seconds(work, _round_machine(), gpus=16, blocks=2)
    own = 50 * 8 * 4
    rows_of_blocks = 1 * 50 * 8 * 6 + 2 * 1 / 2 * (2 * 20 + 10) * 8
    sums = 7 / 8 * 4 * 20 * 8 + 2 * 7 * 10 * 8 + 2 * 7 / 8 * 1 + 2 * 15 / 16 * 1
    assert seconds == {
        "starting kernels": 100.0,
        "sparse products": 6 * 2 * 500 * (8 + 32),
        "states and Adam": (6 * 8 + 12) * own,
        "loss": 8 * 20 * 10 * 64 / 8,
        "rows of other blocks": 4 * rows_of_blocks,
        "sums over columns": pytest.approx(4 * sums / 0.5),
    }


class KernelCount(TorchDispatchMode):
    """Counts the operators that compute something: those that only make views start no kernel."""

    VIEWS = frozenset({
        "view", "t", "transpose", "expand", "slice", "select", "split", "as_strided", "detach", "alias", "unsqueeze",
        "squeeze", "permute", "split_with_sizes", "unbind", "_unsafe_view", "empty", "empty_like", "new_empty",
        "empty_strided", "new_empty_strided",
    })  # fmt: skip
    n = 0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Any = None) -> Any:
        self.n += function.overloadpacket.__name__ not in self.VIEWS
        return function(*arguments, **(keywords or {}))


def test_a_further_piece_starts_three_tenths_of_the_kernels_of_a_step() -> None:
    pairs = random_interactions(100, 80)
    fast: dict[str, Any] = {"loss": "softmax", "ranking": "cosine", "robustness": 0.15, "tolerance": 0.02, "n_times": 1}
    model = LTOCF(BipartiteGraph.from_interactions(pairs), dim=8, n_negatives=64, solver="exact", **fast)
    step, counts = Stepper(model, TrainingSettings()).steps()[0], {}
    pieces = list(model.batches(pairs, 64, 0).epoch(0))
    step(pieces[0])  # the first step makes the state of the optimiser
    for n_pieces in (1, 2, 5):
        with KernelCount() as counted:
            step(*pieces[:n_pieces])
        counts[n_pieces] = counted.n
    assert (counts[2] - counts[1]) / counts[1] == pytest.approx(KERNELS_OF_A_PIECE, abs=0.05)
    assert (counts[5] - counts[2]) / 3 / counts[1] == pytest.approx(KERNELS_OF_A_PIECE, abs=0.05)


def test_more_pieces_start_more_kernels() -> None:
    one, nine = (
        step_seconds(WORK._replace(batch_size=pieces * 8192), _round_machine(), gpus=1, blocks=1)["starting kernels"]
        for pieces in (1, 9)
    )
    assert (one, nine) == (100.0, 100.0 * (1 + 0.3 * 8))


def test_memory_is_the_sum_by_hand() -> None:
    work = Work(users=60, items=40, pairs=1000, dim=64, loss="bpr", batch_size=2, degree=3)
    in_a_step = 9 * 50 * 8 * 4 + 100 * 8 * 4 + 8 * 6 * 64 * 4
    in_a_validation = 4 * 50 * 8 * 4 + 4 * (30 + 40) * 64 * 4
    assert in_a_validation > in_a_step
    assert memory_bytes(work, gpus=16, blocks=2) == 12 * 500 + 12 * 1000 + in_a_validation


@pytest.mark.parametrize("gpus", [1, 8, 64, 512])
def test_a_plan_sends_as_many_bytes_as_its_step(gpus: int) -> None:
    row = best(WORK, MACHINES["h200"], gpus)
    size, pieces = WORK.batch
    step = Step("softmax", size, 8192, 64, gpus, 1, pieces, row.blocks, 101_000_000, 12)
    assert row.sent == step.sent_bytes()


def test_more_gpus_are_faster_if_the_layout_fits() -> None:
    rows = plan(WORK._replace(users=10**7), MACHINES["h100"])
    assert [row.gpus for row in rows] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    fitting = [row for row in rows if row.fits]
    assert fitting
    assert all(row.memory <= 0.9 * 80e9 for row in fitting)
    assert all(row.gpus % row.blocks == 0 and row.gpus // row.blocks <= 64 for row in rows)
    seconds = [row.step_seconds for row in fitting]
    of_a_machine = seconds[: sum(row.gpus <= 8 for row in fitting)]
    assert of_a_machine == sorted(of_a_machine, reverse=True)
    # Between machines the links are slower: the first pair of machines gains less than these cost.
    assert all(after < 1.02 * before for before, after in pairwise(seconds))
    assert seconds[-1] == min(seconds)


def test_the_plan_states_where_more_gpus_stop_helping() -> None:
    def row(gpus: int, products: float, rows: float, fits: bool = True) -> Row:
        parts = {"sparse products": products, "rows of other blocks": rows}
        return Row(gpus, 1, 9e9, 0.0, parts, 1, fits)

    faster = [row(1, 8.0, 0.0, fits=False), row(2, 4.0, 0.1), row(4, 2.0, 0.1)]
    assert where_it_stops(faster) == "up to 4 GPUs twice as many are at least 1.3 times as fast"
    stops = where_it_stops([*faster, row(8, 1.0, 1.1)])
    assert stops.startswith("beyond 4 GPUs twice as many are less than 1.3 times as fast: blocks show each other")
    too_large = where_it_stops(faster[:1])
    assert too_large.startswith("it does not fit into 1 GPUs, which need 9 GB each: the pairs of the sampler")


def test_measured_constants_are_those_of_their_files() -> None:
    speed = ROOT / "results" / "speed"
    gowalla = json.loads((speed / "step-gowalla-d64-b2048.json").read_text())["contenders"]["filter"]
    cpu, h200 = MACHINES["cpu"], MACHINES["h200"]
    assert cpu.bandwidth.value == pytest.approx(1e9 * gowalla["bandwidth"]["triad_gb_per_second"], rel=0.01)
    recorded = json.loads((speed / "cuda-graphs-h200.json").read_text())
    (row,) = (row for row in recorded["rows"] if row["model"] == "ltocf" and not row["cuda_graphs"])
    assert h200.starting.value == pytest.approx(row["seconds_per_epoch"] / row["steps_per_epoch"], rel=0.01)
    named = {
        name
        for machine in MACHINES.values()
        for c in machine.constants()
        for name in re.findall(r"results/\S+json", c.source)
    }
    assert named
    assert all((ROOT / name).exists() for name in named)


@pytest.mark.parametrize(("size", "tolerance"), [("50m", 0.02), ("10m", 0.35)])
def test_planned_seconds_on_the_measured_cpu_are_those_measured(size: str, tolerance: float) -> None:
    """The share of the bandwidth was fitted to the largest graph; more of a smaller one stays in the cache."""
    measured = json.loads((ROOT / "results" / "speed" / f"step-synthetic-{size}.json").read_text())
    filtered = measured["contenders"]["filter"]
    sizes = (measured["n_users"], measured["n_items"], measured["n_pairs"], measured["dim"])
    work = Work(*sizes, loss="bpr", batch_size=measured["batch_size"], degree=filtered["degree"], n_times=3)
    planned = best(work, MACHINES["cpu"], 1)
    assert planned.step_seconds == pytest.approx(filtered["median"], rel=tolerance)


def test_sizes_out_of_range_are_refused() -> None:
    for work, gpus, rule in (
        (WORK._replace(users=0), 8, "`users` must be >= 1, got 0"),
        (WORK._replace(batch_size=-1), 8, "`batch_size` must be >= 0, got -1"),
        (WORK._replace(loss="hinge"), 8, "`loss` must be one of bpr, cross-entropy, softmax, got 'hinge'"),  # type: ignore[arg-type]
        (WORK, 1024, r"`gpus` must be in \[1, 512\], got 1024"),
    ):
        with pytest.raises(ValueError, match=rule):
            plan(work, MACHINES["h200"], gpus)


def test_the_command_marks_constants_as_measured_or_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--users", "1000000", "--items", "50000", "--pairs", "50000000"]
    main(["plan", *sizes, "--gpus", "8", "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert [row["gpus"] for row in found["rows"]] == [1, 2, 4, 8]
    assert {constant["kind"] for constant in found["constants"]} == {"measured", "assumed"}
    assert found["work"]["pieces"] == -(-found["work"]["batch_size"] // 8192) > 1
    main(["plan", *sizes, "--gpus", "0"])
    printed = capsys.readouterr().out
    assert "two cores of an AMD EPYC" in printed
    assert "results/speed/step-synthetic-50m.json" in printed
