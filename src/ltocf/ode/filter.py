"""Apply a Chebyshev series of the graph operator to the embeddings: every solver, in a dozen sparse products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ltocf.graph import BipartiteGraph
from ltocf.shapes import Coefficients, Embeddings, Sides

COLUMNS_AT_A_TIME = 32
"""On a CPU. At dimension 256 it takes half the time of all columns at once; 16 or 64 at a time take longer."""


def chebyshev_filter(
    graph: BipartiteGraph,
    embeddings: Embeddings,
    coefficients: Coefficients,
    storage: torch.dtype | None = None,
) -> Embeddings:
    """E_final = Σ_k c_k T_k(Â) E(0), differentiable in E(0) and in c.

    One sparse product per degree forward and one backward. Nothing but E(0) is kept for the backward pass:

        dL/dE(0) = Σ_k c_k T_k(Â) G        dL/dc_k = <T_k(Â) G, E(0)>        G = dL/dE_final

    both from the same recurrence T_k+1 = 2 Â T_k - T_k-1, because Â is symmetric.

    Args:
        graph: the graph whose operator is Â.
        embeddings: E(0).
        coefficients: c, on any device.
        storage: type to which T_k(Â) E and the entries of Â are rounded between products, such as ``torch.bfloat16``,
            which halves the bytes that a product reads. Sums in a product and over k keep the type of ``embeddings``.

    Source: Hammond, Vandergheynst, Gribonval, ACHA 30(2), 2011, section 6, https://doi.org/10.1016/j.acha.2010.04.005

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> chebyshev_filter(graph, torch.eye(4), torch.tensor([0.0, 0.0, 1.0])).equal(torch.eye(4))
        True
    """
    filtered: Tensor = _ChebyshevFilter.apply(embeddings, coefficients, graph, storage)  # type: ignore[no-untyped-call]
    return filtered


def chebyshev_states(graph: BipartiteGraph, embeddings: Embeddings, degree: int) -> Iterator[Sides]:
    """T_0(Â) E, ..., T_degree(Â) E, each as its users and its items and valid only until the next one is computed."""
    previous = embeddings[: graph.n_users], embeddings[graph.n_users :]
    yield previous
    if degree == 0:
        return
    current = graph.multiply_sides(previous)
    yield current
    for _ in range(degree - 1):
        following = graph.multiply_sides(current)
        for new, old in zip(following, previous, strict=True):
            # 2 Â T_k - T_k-1 lies on the line from T_k-1 through Â T_k, at twice the distance: one pass over both.
            torch.lerp(old, new, 2.0, out=new)
        previous, current = current, following
        yield current


class _ChebyshevFilter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, embeddings: Tensor, coefficients: Tensor, graph: BipartiteGraph, storage: torch.dtype | None
    ) -> Tensor:
        ctx.graph, ctx.storage = graph, storage
        ctx.save_for_backward(embeddings, coefficients)
        return _weighted_sum(graph, embeddings.detach().contiguous(), coefficients, storage)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        embeddings, coefficients = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        if not ctx.needs_input_grad[1]:
            return _weighted_sum(ctx.graph, gradient, coefficients, ctx.storage), None, None, None
        # On the device of the embeddings: coefficients on the CPU then wait for a GPU once, not in every order.
        inner_products = torch.zeros_like(coefficients, device=embeddings.device)
        total = _weighted_sum(ctx.graph, gradient, coefficients, ctx.storage, embeddings, inner_products)
        return total, inner_products.to(coefficients.device), None, None


def _weighted_sum(
    graph: BipartiteGraph,
    embeddings: Tensor,
    coefficients: Tensor,
    storage: torch.dtype | None,
    against: Tensor | None = None,
    inner_products: Tensor | None = None,
) -> Tensor:
    """Σ_k c_k T_k(Â) E; <T_k(Â) E, against> is added to ``inner_products`` if that is given.

    Columns are independent, so on a CPU a few at a time go through the whole series: their states stay in the cache
    from one product to the next, and memory beside the result does not grow with the dimension. For up to twice that
    many columns this would not make up for copying them.
    """
    if embeddings.is_cuda or embeddings.shape[1] <= 2 * COLUMNS_AT_A_TIME:
        return _weighted_sum_of_columns(graph, embeddings, coefficients, storage, against, inner_products)
    total = torch.empty_like(embeddings)
    for start in range(0, embeddings.shape[1], COLUMNS_AT_A_TIME):
        columns = slice(start, start + COLUMNS_AT_A_TIME)
        total[:, columns] = _weighted_sum_of_columns(
            graph,
            embeddings[:, columns].contiguous(),
            coefficients,
            storage,
            None if against is None or inner_products is None else against[:, columns].contiguous(),
            inner_products,
        )
    return total


def _weighted_sum_of_columns(
    graph: BipartiteGraph,
    embeddings: Tensor,
    coefficients: Tensor,
    storage: torch.dtype | None,
    against: Tensor | None,
    inner_products: Tensor | None,
) -> Tensor:
    # Tensors, not numbers: reading them would wait for a GPU.
    first, *weights = coefficients.to(embeddings).unbind()
    total = embeddings * first
    sides = (total[: graph.n_users], total[graph.n_users :])
    against_sides = None if against is None else (against[: graph.n_users], against[graph.n_users :])
    for order, state in enumerate(
        chebyshev_states(graph, embeddings if storage is None else embeddings.to(storage), len(weights))
    ):
        if order > 0:
            for side, part in zip(sides, state, strict=True):
                side.addcmul_(part, weights[order - 1])
        if against_sides is not None and inner_products is not None:
            inner_products[order] += _inner_product(state, against_sides)
    return total


def _inner_product(first: Sides, second: Sides) -> Tensor:
    users, items = (a.flatten().to(b) @ b.flatten() for a, b in zip(first, second, strict=True))
    return users + items
