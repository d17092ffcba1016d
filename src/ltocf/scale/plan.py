"""What training LT-OCF takes on many GPUs, before one is rented: memory, bytes sent, and the seconds of each part.

    step = starting kernels + (products + states and Adam) / bandwidth + loss / arithmetic + exchange / links

Nothing overlaps, as in this program. The arrays and messages of a step are counted; their speeds are constants, some
measured by this project and some taken from data sheets, as `Machine.constants` says of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any, NamedTuple

from ltocf.losses import LOSSES, LossName
from ltocf.models.objective import Objective
from ltocf.progress import readable_seconds
from ltocf.scale.machines import Machine
from ltocf.scale.traffic import NUMBER_BYTES, Step
from ltocf.training.settings import TrainingSettings

MOST_GPUS = 512
FULL = 0.9
"""Share of a device's memory that a plan may use."""
GAIN = 1.3
"""Doubling the GPUs pays if a step becomes this many times as fast."""
PASSES_OF_A_PRODUCT, PASSES_OF_A_STEP = 8, 12
"""How often a matrix of nodes by columns is read or written beside the sparse product, and by Adam and the rest."""
BYTES_OF_AN_ENTRY = 8
"""An entry of the graph in a product on a GPU: an index and a one, which the library's kernel multiplies by."""
SAMPLER_BYTES, GRAPH_BYTES = 12, 12
"""For each pair: in the sampler its nodes and its place in the order; in the graph an index in both directions, and a
one while a product is computed."""
MATRICES, KEPT_MATRICES, SCORED, ROW_COPIES = 9, 4, 4, 8
"""Matrices of nodes by columns in a step, and those of them that stay; matrices of nodes by dim in a validation; copies
of the rows of a piece. As in `ltocf.runs.memory`, where they are measured on a CPU."""

KERNELS_OF_A_PIECE = 0.3
"""Kernels that each further piece of a batch starts, as a share of those of a step in one piece: a test counts them."""

WHY = {
    "starting kernels": "kernels take as long to start as before, for every piece",
    "sparse products": "rows of so few columns do not fill what the memory reads at once",
    "states and Adam": "each GPU passes over as many numbers as before",
    "loss": "blocks of nodes do not divide the loss",
    "rows of other blocks": "blocks show each other their rows before every product",
    "sums over columns": "more processes share each sum over the columns",
}
"""Why a part of a step does not shrink as the number of GPUs grows."""


class Work(NamedTuple):
    """What is trained.

    Args:
        users, items, pairs: their numbers in the log.
        dim: length of an embedding.
        loss: ``softmax``, or ``bpr``, which costs what cross-entropy costs.
        negatives: N, the number of negatives of the softmax.
        batch_size: pairs of a step; 0: what `TrainingSettings` chooses for this many pairs.
        degree: degree of the filter, which is the number of products of the graph in each direction.
        n_times: number of learned times.
    """

    users: int
    items: int
    pairs: int
    dim: int = 64
    loss: LossName = "softmax"
    negatives: int = 8192
    batch_size: int = 0
    degree: int = 6
    n_times: int = 1

    @property
    def nodes(self) -> int:
        return self.users + self.items

    @property
    def batch(self) -> tuple[int, int]:
        """B, the pairs of a step, and S, the number of pieces that they come in."""
        size = Objective(self.loss).piece_size
        return TrainingSettings(batch_size=self.batch_size).steps_for(self.pairs, size)

    @property
    def steps(self) -> int:
        """The number of steps of an epoch."""
        return ceil(self.pairs / self.batch[0])

    @property
    def rows(self) -> int:
        """The number of users, positives and negatives of a piece."""
        piece = ceil(self.batch[0] / self.batch[1])
        return 2 * piece + (self.negatives if self.loss == "softmax" else piece)

    def step(self, gpus: int, blocks: int) -> Step:
        """What the traffic of a step depends on."""
        size, pieces = self.batch
        counts = (self.loss, size, self.negatives, self.dim, gpus, self.n_times, pieces, blocks, self.nodes)
        return Step(*counts, n_products=2 * self.degree)


@dataclass(frozen=True)
class Row:
    """A number of GPUs in their best layout.

    Args:
        gpus: number of GPUs.
        blocks: number of blocks of nodes; the columns have ``gpus / blocks`` shares.
        memory: peak memory of one GPU, in bytes.
        sent: bytes that one GPU sends in a step.
        seconds: seconds of a step, by part.
        steps: number of steps of an epoch.
        fits: whether a GPU has this memory.
    """

    gpus: int
    blocks: int
    memory: float
    sent: float
    seconds: dict[str, float]
    steps: int
    fits: bool

    @property
    def step_seconds(self) -> float:
        return sum(self.seconds.values())

    @property
    def epoch_seconds(self) -> float:
        return self.steps * self.step_seconds

    @property
    def dominant(self) -> str:
        """The part that takes longest."""
        return max(self.seconds, key=self.seconds.__getitem__)

    def cells(self) -> tuple[str, ...]:
        """The cells of a row of a table."""
        layout = f"{self.gpus // self.blocks} x {self.blocks}"
        if not self.fits:
            return (str(self.gpus), layout, f"{self.memory / 1e9:,.0f}: too much", "", "", "", "")
        seconds = (f"{self.step_seconds:.3g} s", readable_seconds(self.epoch_seconds))
        sent = f"{self.sent / 1e9:,.2f}"
        share = self.seconds[self.dominant] / self.step_seconds
        part = f"{self.dominant}, {share:.0%}"
        return (str(self.gpus), layout, f"{self.memory / 1e9:,.0f}", sent, *seconds, part)

    def record(self) -> dict[str, Any]:
        """The row as values for JSON."""
        names = ("dominant", "step_seconds", "epoch_seconds")
        return vars(self) | {name: getattr(self, name) for name in names}


def plan(work: Work, machine: Machine, gpus: int = MOST_GPUS) -> list[Row]:
    """The best layout of 1, 2, 4, ... GPUs: the fastest that fits into their memory, else the smallest.

    Args:
        work: what is trained.
        machine: the device it is trained on.
        gpus: the largest number of GPUs.

    Raises:
        ValueError: a number out of range.

    Example:
        >>> from ltocf.scale.machines import MACHINES
        >>> work = Work(users=10**8, items=10**6, pairs=10**9)
        >>> [row.gpus for row in plan(work, MACHINES["h200"], gpus=16) if row.fits]
        [4, 8, 16]
    """
    for name in ("users", "items", "pairs", "dim", "negatives", "degree"):
        if getattr(work, name) < 1:
            raise ValueError(f"`{name}` must be >= 1, got {getattr(work, name)}")
    if work.batch_size < 0:
        raise ValueError(f"`batch_size` must be >= 0, got {work.batch_size}")
    if work.loss not in LOSSES:
        raise ValueError(f"`loss` must be one of {', '.join(LOSSES)}, got {work.loss!r}")
    if not 1 <= gpus <= MOST_GPUS:
        raise ValueError(f"`gpus` must be in [1, {MOST_GPUS}], got {gpus}")
    return [best(work, machine, 2**power) for power in range(gpus.bit_length())]


def best(work: Work, machine: Machine, gpus: int) -> Row:
    """The fastest layout that fits or, if none does, the one that needs the least memory."""
    rows = list(_layouts(work, machine, gpus))
    fitting = [row for row in rows if row.fits]
    return min(fitting, key=lambda row: row.step_seconds) if fitting else min(rows, key=lambda row: row.memory)


def _layouts(work: Work, machine: Machine, gpus: int) -> Iterator[Row]:
    for power in range(gpus.bit_length()):
        blocks = 2**power
        if gpus // blocks <= work.dim and blocks <= min(work.users, work.items):
            memory, sent = memory_bytes(work, gpus, blocks), work.step(gpus, blocks).sent_bytes()
            fits = memory <= FULL * machine.memory.value
            yield Row(gpus, blocks, memory, sent, step_seconds(work, machine, gpus, blocks), work.steps, fits)


def memory_bytes(work: Work, gpus: int, blocks: int) -> float:
    """Peak memory of one GPU in bytes, in a step or in a validation.

        12 m / R + 12 m + max(36 n c / R + [R > 1] 4 n c + 32 (2 B / S + N) d,   16 n c / R + 16 (users / R + items) d)

    Every GPU holds the pairs of the sampler, and in a validation all columns of all items and of a block of users.

    Example:
        >>> work = Work(users=900, items=100, pairs=10_000, dim=4, loss="bpr", batch_size=10)
        >>> memory_bytes(work, gpus=1, blocks=1) == 12 * 10_000 + 12 * 10_000 + 36 * 1000 * 4 + 32 * 30 * 4
        True
    """
    nodes, columns = work.nodes, work.step(gpus, blocks).columns
    own = nodes / blocks * columns * NUMBER_BYTES
    shown = nodes * columns * NUMBER_BYTES if blocks > 1 else 0
    in_step = MATRICES * own + shown + ROW_COPIES * work.rows * work.dim * NUMBER_BYTES
    in_validation = KEPT_MATRICES * own + SCORED * (work.users / blocks + work.items) * work.dim * NUMBER_BYTES
    return GRAPH_BYTES * work.pairs / blocks + SAMPLER_BYTES * work.pairs + max(in_step, in_validation)


def step_seconds(work: Work, machine: Machine, gpus: int, blocks: int) -> dict[str, float]:
    """Seconds of a step by part.

        starting   1 + 0.3 (S - 1) times that of a step in one piece: a further piece starts 0.3 of its kernels
        products   2 K (2 m / R (8 + row)) / (share · bandwidth),   row = 4 c up to the next multiple of a line
        states     (2 K · 8 + 12) 4 n c / R / (share · bandwidth)
        loss       8 B N d / C / flops,   for the softmax

    Args:
        work: what is trained.
        machine: the device it is trained on.
        gpus: C R, the number of GPUs.
        blocks: R, the number of blocks of nodes.
    """
    step = work.step(gpus, blocks)
    shares, products = step.shares, step.n_products
    rate = machine.share.value * machine.bandwidth.value
    row = ceil(step.columns * NUMBER_BYTES / machine.line.value) * machine.line.value
    own = work.nodes / blocks * step.columns * NUMBER_BYTES
    size, pieces = work.batch
    scores = size * work.negatives * work.dim if work.loss == "softmax" else 0
    near, far = machine.link.value, machine.network.value
    of_blocks = near if blocks <= machine.per_machine else far
    of_columns = near if gpus <= machine.per_machine else far
    # Each product gathers, each piece takes its rows; the softmax of a piece exchanges rows and negatives both ways.
    messages = {"blocks": (products + pieces) * (blocks > 1), "columns": 7 * pieces * (shares > 1)}
    return {
        "starting kernels": (1 + KERNELS_OF_A_PIECE * (pieces - 1)) * machine.starting.value,
        "sparse products": products * 2 * work.pairs / blocks * (BYTES_OF_AN_ENTRY + row) / rate,
        "states and Adam": (products * PASSES_OF_A_PRODUCT + PASSES_OF_A_STEP) * own / rate,
        "loss": 8 * scores / shares / machine.flops.value,
        "rows of other blocks": NUMBER_BYTES * step.numbers_of_blocks() / of_blocks
        + messages["blocks"] * machine.message.value,
        "sums over columns": NUMBER_BYTES * step.numbers_of_columns() / of_columns
        + messages["columns"] * machine.message.value,
    }


def where_it_stops(rows: list[Row]) -> str:
    """A sentence: up to how many GPUs it pays to double them, and the part of a step that then shrinks least."""
    fitting = [row for row in rows if row.fits]
    if not fitting:
        needed = f"it does not fit into {rows[-1].gpus} GPUs, which need {rows[-1].memory / 1e9:,.0f} GB each"
        return f"{needed}: the pairs of the sampler, and all items for a validation, are on every one"
    for fewer, more in pairwise(fitting):
        if fewer.step_seconds < GAIN * more.step_seconds:
            limit = f"beyond {fewer.gpus} GPUs twice as many are less than {GAIN} times as fast"
            # The part that takes longest beyond half of its seconds on half as many GPUs.
            part = max(more.seconds, key=lambda name: more.seconds[name] - fewer.seconds[name] / 2)
            return f"{limit}: {WHY[part]}"
    return f"up to {fitting[-1].gpus} GPUs twice as many are at least {GAIN} times as fast"
