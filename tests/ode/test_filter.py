"""The filter agrees with dense matrix functions, in its value and in every gradient."""

from __future__ import annotations

import pytest
import torch

from ltocf.graph import BipartiteGraph
from ltocf.ode.filter import COLUMNS_AT_A_TIME, chebyshev_filter, chebyshev_states
from ltocf.ode.response import chebyshev_coefficients, evaluate_series


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def matrix_function(matrix: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(evaluate_series(coefficients, values.clamp(-1, 1))) @ vectors.T


def test_the_filter_is_the_matrix_function(graph: BipartiteGraph, embeddings: torch.Tensor) -> None:
    graph.double()
    for n_coefficients in (1, 2, 3, 9):
        coefficients = torch.randn(n_coefficients, dtype=torch.float64)
        expected = matrix_function(graph.dense(), coefficients) @ embeddings
        torch.testing.assert_close(chebyshev_filter(graph, embeddings, coefficients), expected, atol=1e-6, rtol=0)


def test_the_filter_of_the_exponential_is_expm(graph: BipartiteGraph, embeddings: torch.Tensor) -> None:
    graph.double()
    coefficients = chebyshev_coefficients(lambda x: torch.exp(3 * x), tolerance=1e-14)
    expected = torch.linalg.matrix_exp(3 * graph.dense()) @ embeddings
    torch.testing.assert_close(chebyshev_filter(graph, embeddings, coefficients), expected, atol=1e-10, rtol=1e-10)


def test_gradients_are_exact(graph: BipartiteGraph, embeddings: torch.Tensor) -> None:
    graph.double()
    start = embeddings[:, :1].clone().requires_grad_()
    coefficients = torch.randn(5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda e, c: chebyshev_filter(graph, e, c), (start, coefficients))


def test_many_columns_are_filtered_as_each_column_alone(graph: BipartiteGraph) -> None:
    graph.double()
    start = torch.randn(graph.n_nodes, 2 * COLUMNS_AT_A_TIME + 5, dtype=torch.float64, requires_grad=True)
    coefficients = torch.randn(7, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn_like(start)
    found = chebyshev_filter(graph, start, coefficients)
    gradients = torch.autograd.grad(found, (start, coefficients), upstream)
    single = [chebyshev_filter(graph, column.contiguous(), coefficients) for column in start.split(1, dim=1)]
    expected = torch.cat(single, dim=1)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    for gradient, truth in zip(gradients, torch.autograd.grad(expected, (start, coefficients), upstream), strict=True):
        torch.testing.assert_close(gradient, truth, atol=1e-10, rtol=1e-12)


def test_the_input_is_not_changed(graph: BipartiteGraph, embeddings: torch.Tensor) -> None:
    before = embeddings.clone()
    list(chebyshev_states(graph.double(), embeddings, 6))
    assert embeddings.equal(before)


def test_only_the_input_is_kept_for_the_backward_pass(graph: BipartiteGraph) -> None:
    start = torch.randn(graph.n_nodes, 4, requires_grad=True)
    kept: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        chebyshev_filter(graph, start, torch.randn(12, requires_grad=True))
    assert sum(kept) == start.numel() + 12


def test_half_precision_rounds_what_is_stored_and_nothing_else(graph: BipartiteGraph) -> None:
    start = torch.randn(graph.n_nodes, 8, requires_grad=True)
    coefficients = chebyshev_coefficients(lambda x: torch.exp(2 * x), 1e-3).requires_grad_()
    upstream = torch.randn(graph.n_nodes, 8)
    exact, rounded = (chebyshev_filter(graph, start, coefficients, storage) for storage in (None, torch.bfloat16))
    assert rounded.dtype == torch.float32
    expected, found = (torch.autograd.grad(out, (start, coefficients), upstream) for out in (exact, rounded))
    for close, truth in zip((rounded, *found), (exact, *expected), strict=True):
        error = (close - truth).norm() / truth.norm()
        assert 0 < error < len(coefficients) * 2**-9  # a rounding of 8 bits for each product
