"""Apply a Chebyshev series of the graph operator to the embeddings: every solver, in a dozen sparse products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ltocf.graph import BipartiteGraph
from ltocf.shapes import Coefficients, Embeddings

COLUMNS_AT_A_TIME = 32
"""On a CPU. At dimension 256 it takes half the time of all columns at once; 16 or 64 at a time take longer."""

NODES_AT_A_TIME = 2**18
"""Nodes whose states are summed at a time on a CPU: states of 16 bits are copied to 32 bits for it."""


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
        storage: type to which D^-1/2 T_k(Â) E and D^-1 are rounded between products, such as ``torch.bfloat16``, which
            halves the bytes that a product reads. Sums in a product and over k keep the type of ``embeddings``.

    Source: Hammond, Vandergheynst, Gribonval, ACHA 30(2), 2011, section 6, https://doi.org/10.1016/j.acha.2010.04.005

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> chebyshev_filter(graph, torch.eye(4), torch.tensor([0.0, 0.0, 1.0])).equal(torch.eye(4))
        True
    """
    filtered: Tensor = _ChebyshevFilter.apply(embeddings, coefficients, graph, storage)  # type: ignore[no-untyped-call]
    return filtered


def chebyshev_states(graph: BipartiteGraph, start: Embeddings, degree: int) -> Iterator[Embeddings]:
    """W_0, ..., W_degree, the Chebyshev states in another scale, each valid only until the next one is computed.

        W_k = s_k D^-1/2 T_k(Â) E,   s = 1, 1, -1, -1, 1, 1, ...
        W_1 = D^-1 A W_0,            W_k+1 = W_k-1 + 2 (-1)^k D^-1 A W_k

    In this scale a product is a sum over neighbours, and with these signs the next state is added to the one before
    the last, in its place. A node without pairs has 1 in D.

    Args:
        graph: the graph whose operator is Â.
        start: W_0, which is overwritten.
        degree: the last order.
    """
    previous = start
    yield previous
    if degree == 0:
        return
    inverse_degrees = graph.scales.square().to(start)
    current = torch.empty_like(start)
    for nodes, sums in graph.neighbour_sums(previous):
        torch.mul(sums, inverse_degrees[nodes], out=current[nodes])
    yield current
    for order in range(1, degree):
        factor = -2.0 if order % 2 else 2.0
        for nodes, sums in graph.neighbour_sums(current):
            previous[nodes].addcmul_(sums, inverse_degrees[nodes], value=factor)
        previous, current = current, previous
        yield current


def signs_of_states(coefficients: Coefficients) -> Coefficients:
    """s_0, ..., the sign of each of the `chebyshev_states`, one for each of ``coefficients``.

    Example:
        >>> signs_of_states(torch.zeros(5)).tolist()
        [1.0, 1.0, -1.0, -1.0, 1.0]
    """
    orders = torch.arange(len(coefficients), device=coefficients.device)
    return (1 - 2 * (orders // 2 % 2)).to(coefficients)


class _ChebyshevFilter(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, embeddings: Tensor, coefficients: Tensor, graph: BipartiteGraph, storage: torch.dtype | None
    ) -> Tensor:
        ctx.graph, ctx.storage = graph, storage
        ctx.save_for_backward(embeddings, coefficients)
        return _weighted_sum(graph, embeddings.detach(), coefficients, storage)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        embeddings, coefficients = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        if not ctx.needs_input_grad[1]:
            return _weighted_sum(ctx.graph, gradient, coefficients, ctx.storage), None, None, None
        # On the device of the embeddings: coefficients on the CPU then wait for a GPU once, not in every order.
        inner_products = torch.zeros_like(coefficients, device=embeddings.device)
        total = _weighted_sum(ctx.graph, gradient, coefficients, ctx.storage, embeddings, inner_products)
        return total, signs_of_states(coefficients) * inner_products.to(coefficients.device), None, None


def _weighted_sum(
    graph: BipartiteGraph,
    embeddings: Tensor,
    coefficients: Tensor,
    storage: torch.dtype | None,
    against: Tensor | None = None,
    inner_products: Tensor | None = None,
) -> Tensor:
    """Σ_k c_k T_k(Â) E; s_k <T_k(Â) E, against> is added to ``inner_products`` if that is given.

    Columns are independent, so on a CPU a few at a time go through the whole series: their states stay in the cache
    from one product to the next, and memory beside the result does not grow with the dimension. Up to twice that many
    columns take less time together.
    """
    if embeddings.is_cuda or embeddings.shape[1] <= 2 * COLUMNS_AT_A_TIME:
        return _weighted_sum_of_columns(graph, embeddings, coefficients, storage, against, inner_products)
    total = torch.empty_like(embeddings)
    for start in range(0, embeddings.shape[1], COLUMNS_AT_A_TIME):
        columns = slice(start, start + COLUMNS_AT_A_TIME)
        others = None if against is None else against[:, columns]
        total[:, columns] = _weighted_sum_of_columns(
            graph, embeddings[:, columns], coefficients, storage, others, inner_products
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
    first, *weights = (signs_of_states(coefficients) * coefficients).to(embeddings).unbind()
    scales = graph.scales.to(embeddings)
    start = embeddings * scales
    total = start * first
    start = start if storage is None else start.to(storage)
    others = None if against is None else against / scales
    at_once = len(start) if start.is_cuda else NODES_AT_A_TIME
    for order, state in enumerate(chebyshev_states(graph, start, len(weights))):
        for nodes in (slice(first_node, first_node + at_once) for first_node in range(0, len(state), at_once)):
            rows = state[nodes].to(total)
            if order > 0:
                total[nodes].addcmul_(rows, weights[order - 1])
            if others is not None and inner_products is not None:
                inner_products[order] += rows.flatten() @ others[nodes].flatten()
    return total.div_(scales)
