"""LT-OCF: layers become continuous time, and the times at which its states are read are learned."""

from __future__ import annotations

from functools import partial
from typing import Literal, Unpack

import torch
from torch import Tensor

from ltocf.graph import BipartiteGraph
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.objective import ObjectiveOptions
from ltocf.models.user_map import UserMap, without_constant
from ltocf.ode.filter import chebyshev_filter
from ltocf.ode.response import chebyshev_coefficients
from ltocf.ode.scalar import MeanResponse, Operator
from ltocf.ode.solvers import Connection, Solver, SolverName, states
from ltocf.ode.times import LearnableTimes
from ltocf.shapes import Coefficients, Eigenvalues, Embeddings, Response, StateResponses

Propagation = Literal["filter", "solver"]
PROPAGATIONS: tuple[str, ...] = ("filter", "solver")
Precision = Literal["float32", "bfloat16", "auto"]
UNCUT = 1e-10
"""Tolerance of a series that stands for the step-by-step solver."""
PRECISIONS: dict[str, torch.dtype | None] = {"float32": None, "bfloat16": torch.bfloat16}
HALF_FROM = 10_000_000
"""Number of training pairs from which ``precision="auto"`` is ``bfloat16`` on a CPU: no cache holds the states then."""


def chosen_precision(precision: str, n_pairs: int) -> str:
    """``precision``, or what ``auto`` stands for on a CPU.

    Raises:
        ValueError: an unknown precision.

    Example:
        >>> chosen_precision("auto", 50_000_000), chosen_precision("auto", 1_000)
        ('bfloat16', 'float32')
    """
    if precision == "auto":
        return "bfloat16" if n_pairs >= HALF_FROM else "float32"
    if precision not in PRECISIONS:
        raise ValueError(f"`precision` must be one of {', '.join(PRECISIONS)}, auto, got {precision!r}")
    return precision


class LTOCF(EmbeddingRecommender):
    """Learnable-time ODE-based collaborative filtering.

        dE/dt = F E,   F = Â (adjacency) or Â - I (laplacian, the heat equation)
        E_final = (1 / (T + 2)) (E(0) + E(t_1) + ... + E(t_T) + E(K)),   0 < t_1 < ... < t_T < K learned

    Every solver is linear in E(0) and a function of Â, so E_final = h(Â) E(0) for a scalar response h. The default
    propagation runs the chosen solver on the eigenvalue instead of the embeddings and applies the resulting
    polynomial; ``propagation="solver"`` integrates the full state step by step, as the paper does. They agree.

    Args:
        graph: the training graph.
        dim: length of an embedding.
        horizon: K, the end of the integration, in layers.
        n_times: T, the number of times between 0 and K.
        solver: ``euler``, ``rk4``, ``adams_moulton``, ``adams_bashforth``, ``dopri5`` or ``exact``.
        connection: ``linear`` (each stretch contributes its change) or ``residual`` (its solution).
        learnable_times: learn the times, or keep them at t_i = i K / (T + 1).
        operator: ``adjacency`` or ``laplacian``.
        steps_per_interval: fixed steps in each stretch; Adams methods are multistep from 3 on.
        propagation: ``filter``: by the Chebyshev series; ``solver``: step by step.
        adjoint: with ``propagation="solver"``: gradients by the adjoint method.
        tolerance: share of the filter's coefficients that may be cut; sets its degree.
        precision: type of what the filter keeps between products, ``float32`` or ``bfloat16``; ``auto``: on a CPU by
            the number of pairs, see `HALF_FROM`, and ``float32`` on a GPU, where 16 bits gain nothing and older ones
            cannot multiply them. Sums are always float32.
        rtol, atol: tolerated error per step of ``dopri5``.
        seed: seed of the initial embeddings.
        objective: loss and ranking, see `EmbeddingRecommender`.

    Raises:
        ValueError: an unknown name (the error lists the right ones) or a number out of range.

    Source: Choi, Jeon, Park, CIKM 2021, sections 3.2-3.5, https://doi.org/10.1145/3459637.3482449
    Differs: the mean weighs all T + 2 states alike, as the paper's experiments do; gradients of the times are exact for
    what was computed, not adjoint estimates, unless ``adjoint``; Adams with one step per stretch is RK4, as there.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 0, 1], [0, 1, 1]))
        >>> model = LTOCF(graph, dim=8, n_times=2, horizon=3.0)
        >>> model.times.boundaries().tolist()
        [0.0, 1.0, 2.0, 3.0]
        >>> lightgcn = LTOCF(graph, dim=8, n_times=2, horizon=3.0, solver="euler")
        >>> lightgcn.response(torch.tensor([0.0, 1.0])).tolist()  # (1 + λ + λ² + λ³) / 4
        [0.25, 1.0]
    """

    def __init__(
        self,
        graph: BipartiteGraph,
        dim: int = 64,
        horizon: float = 4.0,
        n_times: int = 3,
        solver: SolverName = "rk4",
        connection: Connection = "linear",
        learnable_times: bool = True,
        operator: Operator = "adjacency",
        *,
        steps_per_interval: int = 1,
        propagation: Propagation = "filter",
        adjoint: bool = False,
        tolerance: float = 1e-5,
        precision: Precision = "float32",
        rtol: float = 1e-7,
        atol: float = 1e-9,
        seed: int = 0,
        **objective: Unpack[ObjectiveOptions],
    ) -> None:
        super().__init__(graph, dim, seed, **objective)
        if propagation not in PROPAGATIONS:
            raise ValueError(f"`propagation` must be one of {', '.join(PROPAGATIONS)}, got {propagation!r}")
        if adjoint and propagation == "filter":
            raise ValueError('`adjoint` needs `propagation="solver"`: the filter has exact gradients')
        if not 0 < tolerance < 1:
            raise ValueError(f"`tolerance` must be between 0 and 1, both excluded, got {tolerance}")
        self.graph, self.propagation, self.tolerance = graph, propagation, tolerance
        self.precision, self.stored_type = precision, PRECISIONS[chosen_precision(precision, len(graph.user_indices))]
        # Step by step, an adaptive solver chooses its steps by all the columns that it has.
        self.columns_apart = propagation == "filter"
        self.times = LearnableTimes(n_times, horizon, learnable=learnable_times)
        integrated = Solver(solver, connection, steps_per_interval, rtol, atol, adjoint)
        self.mean_response = MeanResponse(integrated, self.times, operator)
        self.degree: int | None = None

    @property
    def history_graph(self) -> BipartiteGraph:
        return self.graph

    def freeze(self) -> bool:
        # torchdiffeq checks the order of its times.
        if not super().freeze() or self.propagation == "solver" or not self.mean_response.solver.is_recordable:
            return False
        self.degree = None
        self.degree = len(self.coefficients()) - 1
        return True

    def propagate(self, embeddings: Embeddings) -> Embeddings:
        if self.propagation == "filter":
            stored_type = None if self.precision == "auto" and embeddings.is_cuda else self.stored_type
            return chebyshev_filter(self.graph, embeddings, self.coefficients(), stored_type)
        field = self.mean_response.field(self.graph)
        found = states(field, embeddings, self.times.boundaries(), self.mean_response.solver)
        return sum(found[1:], found[0]) / len(found)

    def coefficients(self) -> Coefficients:
        """c_0..c_d of the response as a Chebyshev series, differentiable in the times; float64.

        Computed on the CPU, or where the times are once the degree is known, see `freeze`.
        """
        device = "cpu" if self.degree is None else self.times.values.device
        return chebyshev_coefficients(self.mean_response, self.tolerance, self.degree, device)

    def response(self, eigenvalues: Eigenvalues) -> Response:
        """h(λ): the gain of the component of E(0) at graph eigenvalue λ in [-1, 1]."""
        return self.state_responses(eigenvalues).sum(0)

    def state_responses(self, eigenvalues: Eigenvalues) -> StateResponses:
        """What each of the T + 2 states adds to h(λ); the rows sum to `response`."""
        return self.mean_response.by_state(eigenvalues.double()).to(eigenvalues)

    def response_parts(self, eigenvalues: Eigenvalues) -> dict[str, Response]:
        return dict(zip(self._state_names(), self.state_responses(eigenvalues), strict=True))

    def _state_names(self) -> tuple[str, ...]:
        return tuple(f"t = {time:.2f}" for time in self.times.boundaries().tolist())

    def learned(self) -> dict[str, float]:
        times = {f"t_{place}": time for place, time in enumerate(self.times.values.tolist(), start=1)}
        return times | super().learned()

    @torch.no_grad()
    def state_shares(self) -> Tensor:
        """Share of each state in the output, <E_i, E_final> / ((T + 2) ||E_final||²): T + 2 numbers that sum to 1."""
        final = self.propagate(self.initial_embeddings)
        shares = []
        for state in range(len(self.times.values) + 2):
            series = chebyshev_coefficients(partial(self._state_response, state), self.tolerance)
            part = chebyshev_filter(self.graph, self.initial_embeddings, series)
            shares.append((part * final).sum() / final.square().sum())
        return torch.stack(shares)

    def _state_response(self, state: int, eigenvalues: Eigenvalues) -> Response:
        return self.state_responses(eigenvalues)[state]

    @torch.no_grad()
    def user_map(self) -> UserMap:
        """A part for each of the T + 2 states, from the series that `propagate` applies, divided by λ.

        With ``precision="bfloat16"`` it is the map of the same model in float32.
        """
        constants, quotients = zip(*map(without_constant, self._state_series()), strict=True)
        touch = [chebyshev_filter(self.graph, self.initial_embeddings, q)[self.n_users :] for q in quotients]
        own = sum(constants) * self.initial_embeddings[: self.n_users]
        return self._build_user_map(own, torch.stack(touch), self.graph, part_names=self._state_names())

    def _state_series(self) -> list[Coefficients]:
        """A series for each state; they add up to that of `propagate`, or of the solver without a cut."""
        n_states = len(self.times.values) + 2
        whole = self.coefficients() if self.propagation == "filter" else chebyshev_coefficients(self.response, UNCUT)
        series = [
            chebyshev_coefficients(partial(self._state_response, state), degree=len(whole) - 1).cpu()
            for state in range(n_states)
        ]
        # The whole may have been sampled at more nodes, which moves its last coefficients by less than the tolerance.
        correction = (whole.cpu() - torch.stack(series).sum(0)) / n_states
        return [part + correction for part in series]
