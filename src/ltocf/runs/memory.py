"""The memory of a training, stated before it is taken: what the process holds, and what follows from sizes alone."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch

from ltocf.data import Interactions, Split
from ltocf.graph.svd import OVERSAMPLING
from ltocf.losses import LOSS_BLOCK
from ltocf.models.history_regression import NUMBERS_AT_A_TIME
from ltocf.models.ltocf import chosen_precision
from ltocf.models.nearest import entries_kept
from ltocf.models.objective import PIECE_SIZE, SOFTMAX_PIECE_SIZE
from ltocf.ode.filter import COLUMNS_AT_A_TIME
from ltocf.runs.config import Config
from ltocf.training.memory import available_bytes, resident_bytes

NUMBER_BYTES, INDEX_BYTES = 4, 8
LIBRARY_BYTES = 50_000_000
"""Memory that libraries take when they are first used."""
GRAPH_BYTES = 8
"""Per pair: an index, in rows of users and in rows of items."""
HISTORY_BYTES = 4
"""Per pair: an item that a list leaves out."""
SORTING_BYTES, BUILDING_BYTES = 72, 8
"""Per pair, while two sets of pairs are joined, and while the graph is made of them."""
ADAM = 3
"""Matrices of nodes x columns: parameters and two moments."""
ROW_COPIES = 8
"""Matrices of the rows of a batch: rows, directions, gradients of both."""
CPU = torch.device("cpu")
BASES_OF_USERS, BASES_OF_ITEMS = 3, 4
"""Matrices of nodes x (rank + 32) while the spectral model is decomposed."""
CHOOSING_BYTES, CHOOSING_BLOCK = 60, 300_000_000
"""Per pair, and for each thread, while the entries of BᵀB are chosen that the spectral model keeps."""
EVENT_BLOCKS = 6
"""Arrays of a block of events while the sums of the regression of histories are computed."""
STATES = {"ltocf": (2, 2), "lightgcn": (2, 2), "mf": (1, 0), "grmf": (1, 0), "grmf-norm": (1, 0), "hop-rec": (1, 0)}
"""Models whose memory is known, with two numbers of matrices beside Adam's at the peak of a step: those held whole,
such as the gradient of the final embeddings and what it becomes, and the states of a filter, held a few columns at a
time, as is what they are multiplied by for the gradient of the times."""
UNUSED = 2
"""Matrices of nodes x columns that fit into what malloc holds unused between blocks, as it keeps what is freed."""
DECOMPOSED = ("spectral", "history-regression")
"""Models made by a decomposition instead of steps, whose memory is known too."""
SCORED = 4
"""Matrices of nodes x dim when lists are made: final embeddings, directions, and both with a column for popularity."""
TILE_BYTES = 3 * 64 * NUMBER_BYTES
"""Per item: its scores for the users that are ranked at once."""
REPORTED_FROM = 2**30
"""Bytes from which a run shows how much memory it needs."""


@dataclass(frozen=True)
class Memory:
    """Bytes that a training holds at its peak, by what they are for.

    Args:
        held: what the process already holds: libraries and the pairs of the split.
        pairs: the union of all pairs, in the phase that trains on it.
        graph: both sides of R̃.
        sampler: pairs and their order.
        parameters: embeddings, Adam's moments, and the best weights of a validation.
        step: gradient and states of a propagation and the rows of a piece; or what ranking or building takes, if more.

    Example:
        >>> str(Memory(held=10**9, pairs=0, graph=5 * 10**8, sampler=0, parameters=10**9, step=10**9))
        '3.5 GB of memory: held 1.0, pairs 0.0, graph 0.5, sampler 0.0, parameters 1.0, step 1.0'
    """

    held: int
    pairs: int
    graph: int
    sampler: int
    parameters: int
    step: int

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {n_bytes / 1e9:.1f}" for name, n_bytes in asdict(self).items())
        return f"{self.total / 1e9:.1f} GB of memory: {parts}"

    @property
    def total(self) -> int:
        return sum(asdict(self).values())

    def refuse_if_too_much(self, config: Config) -> None:
        """Refuse a training if the memory that is still to be taken is not available.

        Args:
            config: names the remedies.

        Raises:
            ValueError: it is not available, or not for all processes of this machine.
        """
        n_local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        available, needed = available_bytes(CPU), n_local * (self.total - self.held)
        if needed > available:
            raise ValueError(
                f"this training needs {self}; {needed / 1e9:.1f} GB of it are still to be taken, and "
                f"{available / 1e9:.1f} GB are available: {_remedies(config)}"
            )


def _remedies(config: Config) -> str:
    if config.model in DECOMPOSED:
        neighbours = ", or `n_neighbours` (docs/spectral.md)" if "n_neighbours" in config.options else ""
        return f"lower `rank`, which is {config.options['rank']}{neighbours}, or train on fewer pairs"
    half = "" if config.options.get("precision", "bfloat16") == "bfloat16" else "set precision = 'bfloat16', "
    return (
        f"lower `dim`, which is {config.options['dim']}, {half}train on fewer pairs, "
        "or share the columns among machines with torchrun (docs/scale.md)"
    )


class TrainingSizes(NamedTuple):
    """The sizes of the data that determine the memory of a training, together with its settings.

    Args:
        n_users: number of users.
        n_items: number of items.
        n_train: number of training pairs.
        n_validation: number of pairs that the second phase trains on too; None if there is no second phase.
        ordered: whether pairs have a time or a place in their history.
        weighted: whether pairs have weights.
    """

    n_users: int
    n_items: int
    n_train: int
    n_validation: int | None
    ordered: bool
    weighted: bool

    @classmethod
    def of(cls, train: Interactions, n_validation: int | None) -> TrainingSizes:
        """The sizes of a training set, and the number of pairs that are added to it later."""
        ordered = train.timestamps is not None or train.places is not None
        return cls(train.n_users, train.n_items, len(train), n_validation, ordered, train.weights is not None)

    @classmethod
    def of_split(cls, split: Split) -> TrainingSizes:
        return cls.of(split.train, None if split.validation is None else len(split.validation))


def stated_memory(config: Config, sizes: TrainingSizes, world: int = 1) -> Memory | None:
    """The memory of one process on a CPU, in the phase that needs more; None for models whose memory is unknown.

    With n nodes, c = ceil(dim / world) columns and m pairs in a phase it is what the process holds now, and in bytes

        pairs       16 m when all are trained on again; 8 m more with times, 4 m more with weights
        graph       8 m + 8 n, 8 m more with ages, 4 m more with weights
        sampler     8 m of the softmax, 12 m of others
        parameters  12 n c, and 4 n c of the best weights
        step        4 n c (matrices) + 256 c (rows of a piece) + the scores of a block;
                    or what lists take, 16 n dim or 8 n dim + 4 m; or what making pairs and graph took, if more

    The spectral model has V and the entries that are kept for parameters, no sampler, and for a step the bases of its
    decomposition, 4 (3 users + 4 items) (rank + 32), or what choosing the entries takes, 60 m, or lists. The regression
    of histories has V and as many coefficients, and for a step the same bases, or its sums and a few blocks of events.

    Args:
        config: model and settings.
        sizes: sizes of the training and validation sets.
        world: processes that share the columns.
    """
    if config.model not in {*STATES, *DECOMPOSED} or config.options.get("propagation") == "solver":
        return None
    held, m = resident_bytes(), sizes.n_train
    chosen = _of_phase(config, sizes, m, world, held, best=True)
    if sizes.n_validation is None:
        return chosen
    everything = _of_phase(config, sizes, m + sizes.n_validation, world, held, again=True)
    return max(chosen, everything, key=lambda memory: memory.total)


def refuse_without_memory(config: Config, split: Split) -> None:
    """Refuse a training on the CPU that is known to need more memory than is available.

    Raises:
        ValueError: too little memory is available.
    """
    if (
        config.runtime().torch_device().type == "cpu"
        and (memory := stated_memory(config, TrainingSizes.of_split(split))) is not None
    ):
        memory.refuse_if_too_much(config)


def _of_phase(
    config: Config, sizes: TrainingSizes, m: int, world: int, held: int, *, best: bool = False, again: bool = False
) -> Memory:
    ordered, weighted, nodes = sizes.ordered, sizes.weighted, sizes.n_users + sizes.n_items
    pair_bytes = 2 * INDEX_BYTES + INDEX_BYTES * ordered + NUMBER_BYTES * weighted
    pairs = pair_bytes * m * again
    graph = (GRAPH_BYTES + 8 * ordered + 4 * weighted) * m + 2 * NUMBER_BYTES * nodes
    if config.model in DECOMPOSED:
        sampler, (kept, step) = 0, _of_decomposition(config, sizes, m)
        parameters, lists = kept, HISTORY_BYTES * m + TILE_BYTES * sizes.n_items
    else:
        dim = int(config.options["dim"])
        columns, scored = -(-dim // world), NUMBER_BYTES * nodes * dim
        kept = matrix = NUMBER_BYTES * nodes * columns
        sampler = (8 if config.options.get("loss") == "softmax" else 12) * m
        parameters = (ADAM + best) * matrix
        step = LIBRARY_BYTES + _states(config, m, matrix, columns) + _batch_bytes(config, m, sizes.n_items, dim)
        lists = max(SCORED * scored, 2 * scored + HISTORY_BYTES * m + TILE_BYTES * sizes.n_items)
    # Before there is a sampler or an optimiser, while the graph and the weights of the selection are still held.
    selected = graph + kept if again else 0
    making = max(selected + SORTING_BYTES * m * again, pairs + selected + graph + BUILDING_BYTES * m)
    excess = making - pairs - graph - sampler - parameters
    held_too = selected if config.training.max_minutes else 0
    return Memory(held, pairs, graph, sampler, parameters, max(step + held_too, lists + held_too, excess))


def _of_decomposition(config: Config, sizes: TrainingSizes, m: int) -> tuple[int, int]:
    """Bytes of V and of what is kept beside it, and the most that computing one of them takes."""
    rank, n_items = min(config.options["rank"], sizes.n_users, sizes.n_items), sizes.n_items
    bases = (
        NUMBER_BYTES * (BASES_OF_USERS * sizes.n_users + BASES_OF_ITEMS * n_items) * min(rank + OVERSAMPLING, n_items)
    )
    if "n_neighbours" not in config.options:  # coefficients beside V, and sums over events
        sums = NUMBER_BYTES * (n_items * rank + EVENT_BLOCKS * NUMBERS_AT_A_TIME) + 8 * 3 * rank**2
        return 2 * NUMBER_BYTES * n_items * rank, LIBRARY_BYTES + max(bases, sums)
    kept = entries_kept(sizes.n_users, n_items, m, config.options["n_neighbours"])
    choosing = CHOOSING_BYTES * m + torch.get_num_threads() * CHOOSING_BLOCK if kept else 0
    return NUMBER_BYTES * n_items * (rank + 2 * kept), LIBRARY_BYTES + max(bases, choosing)


def _states(config: Config, m: int, matrix: int, columns: int) -> int:
    """Bytes of a step's matrices of nodes x columns; the filter has some of the columns at a time."""
    whole, states = STATES[config.model]
    at_once = COLUMNS_AT_A_TIME if columns > 2 * COLUMNS_AT_A_TIME else columns
    copies = (1 + (at_once < columns)) if states else 0
    scale = 0.5 if chosen_precision(config.options.get("precision", "float32"), m) == "bfloat16" else 1.0
    return int(matrix * (UNUSED + whole + (scale * states + copies) * at_once / columns))


def _batch_bytes(config: Config, m: int, n_items: int, dim: int) -> int:
    softmax = config.options.get("loss") == "softmax"
    size, n_pieces = config.training.steps_for(m, SOFTMAX_PIECE_SIZE if softmax else PIECE_SIZE)
    examples = -(-size // n_pieces)
    rows = 2 * examples + min(n_items, config.options["n_negatives"]) if softmax else 3 * examples
    return ROW_COPIES * NUMBER_BYTES * rows * dim + (4 * NUMBER_BYTES * LOSS_BLOCK if softmax else 0)
