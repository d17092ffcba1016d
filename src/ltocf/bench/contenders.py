"""The contenders of a training step: other programs' propagation with this package's embeddings and loss.

All contenders are models of the package with the same seed, so that initial embeddings, batch, loss and penalty are
the same and only `propagate` differs.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF, EmbeddingRecommender, LightGCN
from ltocf.ode import LearnableTimes, Solver, states
from ltocf.shapes import Embeddings

N_LAYERS = 3
N_TIMES = 3
HORIZON = 4.0
FLOAT_BYTES = 4


class SolverCoo(EmbeddingRecommender):
    """LT-OCF as its authors compute it: RK4 on the full state over one sparse COO matrix, plain autograd."""

    def __init__(self, graph: BipartiteGraph, dim: int) -> None:
        super().__init__(graph, dim, seed=0)
        self.adjacency = square_coo(graph)
        self.solver = Solver("rk4", "linear")
        self.times = LearnableTimes(N_TIMES, HORIZON)

    def propagate(self, embeddings: Embeddings) -> Embeddings:
        solution = states(self._field, embeddings, self.times.boundaries(), self.solver)
        return torch.stack(solution).mean(dim=0)

    def _field(self, embeddings: Embeddings) -> Embeddings:
        product: Embeddings = torch.sparse.mm(self.adjacency, embeddings)
        return product


class LightGCNCoo(EmbeddingRecommender):
    """LightGCN as its authors compute it: one sparse COO matrix, plain autograd."""

    def __init__(self, graph: BipartiteGraph, dim: int) -> None:
        super().__init__(graph, dim, seed=0)
        self.adjacency = square_coo(graph)

    def propagate(self, embeddings: Embeddings) -> Embeddings:
        layers = [embeddings]
        for _ in range(N_LAYERS):
            layers.append(torch.sparse.mm(self.adjacency, layers[-1]))
        return torch.stack(layers, dim=1).mean(dim=1)


class LightGCNTorchGeometric(EmbeddingRecommender):
    """torch_geometric's own LightGCN over the form of a normalised adjacency that is fastest on this machine."""

    def __init__(self, graph: BipartiteGraph, dim: int) -> None:
        from torch_geometric.nn.models import LightGCN as Peer

        super().__init__(graph, dim, seed=0)
        # Normalised once beforehand: the library would do it again in every layer of every step.
        self.peer = Peer(graph.n_nodes, dim, N_LAYERS, normalize=False).to(graph.user_indices.device)
        self.peer.embedding.weight = self.initial_embeddings
        self.to(graph.user_indices.device)
        self.form = ""
        self.seconds_of_form: dict[str, float] = {}
        matrix = square_coo(graph)
        for form, convert in _torch_geometric_forms().items():
            adjacency = convert(matrix)
            self.seconds_of_form[form] = self._seconds(adjacency)
            if self.seconds_of_form[form] == min(self.seconds_of_form.values()):
                self.form, self.adjacency = form, adjacency

    def propagate(self, embeddings: Embeddings) -> Embeddings:
        final: Embeddings = self.peer.get_embedding(self.adjacency)  # of the same parameter
        return final

    def _seconds(self, adjacency: Any) -> float:
        """Seconds of the second of two forward and backward passes: the first may fill the form's caches."""
        seconds = 0.0
        for _ in range(2):
            started = perf_counter()
            self.peer.get_embedding(adjacency).sum().backward()
            if self.initial_embeddings.is_cuda:
                torch.cuda.synchronize()
            seconds = perf_counter() - started
            self.zero_grad(set_to_none=True)
        return seconds


@dataclass(frozen=True)
class Contender:
    """One way to compute a step.

    Args:
        label: its name for people.
        build: makes the model from a graph, on its device, and the dimension.
        dense_copies: matrices of (nodes, dim) that a step takes at its peak, measured; a bound, not an average.
        bytes_per_pair: what its graph takes per interaction, which is stored twice.
        module: the module that it imports, which must be installed.
        keeps_graph: False if it has a form of its own and lets the graph go.
        describe: what a record says of the model beside its measurements.
    """

    label: str
    build: Callable[[BipartiteGraph, int], EmbeddingRecommender]
    dense_copies: int
    bytes_per_pair: int
    module: str = "torch"
    keeps_graph: bool = True
    describe: Callable[[Any], dict[str, Any]] = field(default=lambda _model: {})

    def is_installed(self) -> bool:
        return importlib.util.find_spec(self.module.partition(".")[0]) is not None

    def memory_estimate(self, n_nodes: int, n_pairs: int, dim: int) -> int:
        """Bytes a step takes on top of the data; two float32 and int32 blocks are 2 · 8 bytes per pair."""
        return n_nodes * dim * FLOAT_BYTES * self.dense_copies + n_pairs * self.bytes_per_pair


TOLERANCE = 1e-4
"""The required agreement with the solver; the actual one is three times closer."""


def build_filter(graph: BipartiteGraph, dim: int, **options: Any) -> EmbeddingRecommender:
    return LTOCF(
        graph,
        dim,
        solver="rk4",
        n_times=N_TIMES,
        connection="linear",
        horizon=HORIZON,
        tolerance=TOLERANCE,
        **options,
    )


def _build_lightgcn(graph: BipartiteGraph, dim: int) -> EmbeddingRecommender:
    return LightGCN(graph, dim, N_LAYERS)


def _describe_filter(model: LTOCF) -> dict[str, Any]:
    return {"degree": len(model.coefficients()) - 1}


CONTENDERS = {
    "filter": Contender(
        "LT-OCF here: the filter", build_filter, dense_copies=14, bytes_per_pair=12, describe=_describe_filter
    ),
    "filter_8_steps": Contender(
        "the filter of 8 solver steps for 1",
        partial(build_filter, steps_per_interval=8),
        dense_copies=14,
        bytes_per_pair=12,
        describe=_describe_filter,
    ),
    "filter_bfloat16": Contender(
        "the filter, storing 16 bits",
        partial(build_filter, precision="bfloat16"),
        dense_copies=14,
        bytes_per_pair=12,
        describe=_describe_filter,
    ),
    "solver_coo": Contender(
        "LT-OCF as its authors compute it", SolverCoo, dense_copies=98, bytes_per_pair=56, keeps_graph=False
    ),
    "lightgcn_coo": Contender(
        "LightGCN as its authors compute it", LightGCNCoo, dense_copies=20, bytes_per_pair=56, keeps_graph=False
    ),
    "lightgcn_torch_geometric": Contender(
        "LightGCN of torch_geometric",
        LightGCNTorchGeometric,
        dense_copies=20,
        bytes_per_pair=200,
        module="torch_geometric.nn.models",
        keeps_graph=False,
        describe=lambda model: {"form": model.form, "seconds_of_form": model.seconds_of_form},
    ),
    "lightgcn": Contender("LightGCN here", _build_lightgcn, dense_copies=17, bytes_per_pair=12),
}
USUAL = tuple(name for name in CONTENDERS if not name.startswith("filter_"))
SLOW = "solver_coo"


def square_coo(graph: BipartiteGraph) -> Tensor:
    """Â as one coalesced (nodes, nodes) COO matrix: the rows of both blocks, one after the other."""
    n_users, device = graph.n_users, graph.user_indices.device
    lengths = torch.cat([graph.user_offsets.diff(), graph.item_offsets.diff()])
    positions = torch.empty(2, 2 * len(graph.user_indices), dtype=torch.int64, device=device)
    positions[0] = torch.repeat_interleave(torch.arange(graph.n_nodes, device=device), lengths)
    torch.cat([graph.user_indices.long() + n_users, graph.item_indices.long()], out=positions[1])
    values = (graph.scales[positions[0]] * graph.scales[positions[1]]).squeeze(1)
    size = (graph.n_nodes, graph.n_nodes)
    return torch.sparse_coo_tensor(positions, values, size, is_coalesced=True, check_invariants=False)


def _torch_geometric_forms() -> dict[str, Callable[[Tensor], Any]]:
    """Conversions of a COO matrix to the forms that its layers take; its own form needs the package torch_sparse."""
    from torch_geometric.utils import to_torch_csr_tensor

    def to_csr(matrix: Tensor) -> Any:
        return to_torch_csr_tensor(matrix.indices(), matrix.values(), size=matrix.shape, is_coalesced=True)

    forms: dict[str, Callable[[Tensor], Any]] = {"torch.sparse_csr": to_csr}
    if importlib.util.find_spec("torch_sparse") is not None:
        from torch_sparse import SparseTensor

        forms["torch_sparse.SparseTensor"] = SparseTensor.from_torch_sparse_coo_tensor
    return forms
