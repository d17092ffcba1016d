"""What training LT-OCF takes on many GPUs, before one is rented: memory, bytes sent, seconds, and what they go to.

    step = starting kernels + (products + states and Adam) / bandwidth + loss / arithmetic + exchange / links

Nothing overlaps, as in this program. What is counted are the arrays and messages of a step; how fast they go are
constants, some measured by this project and some taken from data sheets: `constants` says which is which.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from typing import Any, Literal, NamedTuple

from ltocf.losses import LOSSES, LossName
from ltocf.progress import readable_seconds
from ltocf.scale.traffic import NUMBER_BYTES, Step
from ltocf.training.settings import TrainingSettings

MOST_GPUS = 512
FULL = 0.9
"""Share of a device's memory that is planned with."""
GAIN = 1.3
"""Twice the GPUs must be so many times as fast to be worth naming."""
PASSES_OF_A_PRODUCT, PASSES_OF_A_STEP = 8, 12
"""How often a matrix of nodes by columns is read or written beside the sparse product, and by Adam and the rest."""
BYTES_OF_AN_ENTRY = 16
"""Of the graph in a product: index, value, and the value scaled, which is written and read."""
SAMPLER_BYTES, GRAPH_BYTES, MATRICES, KEPT_MATRICES = 24, 20, 10, 5
"""For each pair; for each pair, both directions and scaled values; matrices of a step, and those that stay."""

WHY = {
    "starting kernels": "kernels take as long to start as before",
    "sparse products": "rows of so few columns do not fill what the memory reads at once",
    "states and Adam": "each GPU passes over as many numbers as before",
    "loss": "blocks of nodes do not divide the loss",
    "rows of other blocks": "blocks show each other their rows before every product",
    "sums over columns": "more processes share each sum over the columns",
}
"""Why a part of a step does not shrink as the number of GPUs grows."""

Kind = Literal["measured", "assumed"]


class Constant(NamedTuple):
    """A number of the model: what it is, and where it comes from."""

    meaning: str
    value: float
    unit: str
    kind: Kind
    source: str


@dataclass(frozen=True)
class Machine:
    """A device and its connections; each number is a `Constant`.

    Args:
        name: of the device.
        memory: bytes of one device.
        bandwidth: bytes a second of its memory.
        share: of the bandwidth that a step's sparse products reach.
        line: bytes that are read at once, however short a row is.
        flops: operations a second of the loss.
        starting: seconds of a step beside what grows with the graph.
        link: bytes a second between devices of one machine, one way.
        network: bytes a second between machines, for each device.
        message: seconds of a message beside what grows with it.
        per_machine: devices of one machine.
    """

    name: str
    memory: Constant
    bandwidth: Constant
    share: Constant
    line: Constant
    flops: Constant
    starting: Constant
    link: Constant
    network: Constant
    message: Constant
    per_machine: int = 8

    def constants(self) -> list[Constant]:
        """All of them, in order."""
        return [value for value in vars(self).values() if isinstance(value, Constant)]


class Work(NamedTuple):
    """What is trained.

    Args:
        users, items, pairs: of the log.
        dim: of the embeddings.
        loss: ``softmax``, or ``bpr``, which costs what cross-entropy costs.
        negatives: N, of the softmax.
        batch_size: B; 0: what `TrainingSettings` takes for so many pairs.
        degree: of the filter: products of the graph in each direction.
        n_times: learned times.
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
    def batch(self) -> int:
        """B."""
        return self.batch_size or TrainingSettings(batch_size=0).batch_size_for(self.pairs)

    def step(self, gpus: int, blocks: int) -> Step:
        """What the traffic of a step depends on."""
        counts = (self.loss, self.batch, self.negatives, self.dim, gpus, self.n_times, blocks, self.nodes)
        return Step(*counts, n_products=2 * self.degree)


@dataclass(frozen=True)
class Row:
    """A number of GPUs in their best layout.

    Args:
        gpus: how many.
        blocks: of nodes; the columns have ``gpus / blocks`` shares.
        memory: bytes of one GPU at the highest.
        sent: bytes that one GPU sends in a step.
        seconds: of a step, by part.
        steps: of an epoch.
        fits: whether the memory is there.
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
        """For a table."""
        layout = f"{self.gpus // self.blocks} x {self.blocks}"
        if not self.fits:
            return (str(self.gpus), layout, f"{self.memory / 1e9:,.0f}: too much", "", "", "", "")
        seconds = (f"{self.step_seconds:.3g} s", readable_seconds(self.epoch_seconds))
        sent = f"{self.sent / 1e9:,.2f}"
        share = self.seconds[self.dominant] / self.step_seconds
        part = f"{self.dominant}, {share:.0%}"
        return (str(self.gpus), layout, f"{self.memory / 1e9:,.0f}", sent, *seconds, part)

    def record(self) -> dict[str, Any]:
        """For programs."""
        names = ("dominant", "step_seconds", "epoch_seconds")
        return vars(self) | {name: getattr(self, name) for name in names}


def plan(work: Work, machine: Machine, gpus: int = MOST_GPUS) -> list[Row]:
    """The best layout of 1, 2, 4, ... GPUs: the fastest that fits into their memory, else the smallest.

    Args:
        work: what is trained.
        machine: on what.
        gpus: the largest number.

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
    """The fastest layout that fits; where none does, the one that needs least."""
    rows = list(_layouts(work, machine, gpus))
    fitting = [row for row in rows if row.fits]
    return min(fitting, key=lambda row: row.step_seconds) if fitting else min(rows, key=lambda row: row.memory)


def _layouts(work: Work, machine: Machine, gpus: int) -> Iterator[Row]:
    steps = ceil(work.pairs / work.batch)
    for power in range(gpus.bit_length()):
        blocks = 2**power
        if gpus // blocks <= work.dim and blocks <= min(work.users, work.items):
            memory, sent = memory_bytes(work, gpus, blocks), work.step(gpus, blocks).sent_bytes()
            fits = memory <= FULL * machine.memory.value
            yield Row(gpus, blocks, memory, sent, step_seconds(work, machine, gpus, blocks), steps, fits)


def memory_bytes(work: Work, gpus: int, blocks: int) -> float:
    """Bytes of one GPU at the highest, in a step or in a validation.

        20 m / R + 24 m + max(40 n c / R + [R > 1] 4 n c + 16 (2 B + N) d,   20 n c / R + 8 n d)

    The sampler's pairs are on every GPU, and for a validation so are the whole embeddings.

    Example:
        >>> work = Work(users=900, items=100, pairs=10_000, dim=4, loss="bpr", batch_size=10)
        >>> memory_bytes(work, gpus=1, blocks=1) == 20 * 10_000 + 24 * 10_000 + 40 * 1000 * 4 + 16 * 30 * 4
        True
    """
    nodes, columns = work.nodes, work.step(gpus, blocks).columns
    own = nodes / blocks * columns * NUMBER_BYTES
    rows = 2 * work.batch + (work.negatives if work.loss == "softmax" else work.batch)
    shown = nodes * columns * NUMBER_BYTES if blocks > 1 else 0
    in_step = MATRICES * own + shown + 4 * rows * work.dim * NUMBER_BYTES
    in_validation = KEPT_MATRICES * own + 2 * nodes * work.dim * NUMBER_BYTES
    return GRAPH_BYTES * work.pairs / blocks + SAMPLER_BYTES * work.pairs + max(in_step, in_validation)


def step_seconds(work: Work, machine: Machine, gpus: int, blocks: int) -> dict[str, float]:
    """Seconds of a step by part.

    products   2 K (2 m / R (16 + row)) / (share · bandwidth),   row = 4 c up to the next multiple of a line
    states     (2 K · 8 + 12) 4 n c / R / (share · bandwidth)
    loss       8 B N d / C / flops,   for the softmax
    """
    step = work.step(gpus, blocks)
    shares, products = step.shares, step.n_products
    rate = machine.share.value * machine.bandwidth.value
    row = ceil(step.columns * NUMBER_BYTES / machine.line.value) * machine.line.value
    own = work.nodes / blocks * step.columns * NUMBER_BYTES
    scores = work.batch * work.negatives * work.dim if work.loss == "softmax" else 0
    near, far = machine.link.value, machine.network.value
    of_blocks = near if blocks <= machine.per_machine else far
    of_columns = near if gpus <= machine.per_machine else far
    messages = {"blocks": (products + 2) * (blocks > 1), "columns": 7 * (shares > 1)}
    return {
        "starting kernels": machine.starting.value,
        "sparse products": products * 2 * work.pairs / blocks * (BYTES_OF_AN_ENTRY + row) / rate,
        "states and Adam": (products * PASSES_OF_A_PRODUCT + PASSES_OF_A_STEP) * own / rate,
        "loss": 8 * scores / shares / machine.flops.value,
        "rows of other blocks": NUMBER_BYTES * step.numbers_of_blocks() / of_blocks
        + messages["blocks"] * machine.message.value,
        "sums over columns": NUMBER_BYTES * step.numbers_of_columns() / of_columns
        + messages["columns"] * machine.message.value,
    }


def where_it_stops(rows: list[Row]) -> str:
    """Up to how many GPUs it pays to double them, and the part that shrinks least then."""
    fitting = [row for row in rows if row.fits]
    if not fitting:
        needed = f"it does not fit into {rows[-1].gpus} GPUs, which need {rows[-1].memory / 1e9:,.0f} GB each"
        return f"{needed}: the pairs of the sampler, and whole embeddings for a validation, are on every one"
    for fewer, more in pairwise(fitting):
        if fewer.step_seconds < GAIN * more.step_seconds:
            what = f"beyond {fewer.gpus} GPUs twice as many are less than {GAIN} times as fast"
            # What would be half as long, were it divided by two as the GPUs are.
            part = max(more.seconds, key=lambda name: more.seconds[name] - fewer.seconds[name] / 2)
            return f"{what}: {WHY[part]}"
    return f"up to {fitting[-1].gpus} GPUs twice as many are at least {GAIN} times as fast"
