"""The Chebyshev filter against dense matrix functions: its value and every gradient."""

from __future__ import annotations

import torch

from ltocf.graph import BipartiteGraph
from ltocf.ode.filter import COLUMNS_AT_A_TIME, chebyshev_filter, chebyshev_states, signs_of_states
from ltocf.ode.response import chebyshev_coefficients, evaluate_series


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def matrix_function(matrix: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(evaluate_series(coefficients, values.clamp(-1, 1))) @ vectors.T


def test_the_filter_is_the_matrix_function(graph: BipartiteGraph, embeddings: torch.Tensor) -> None:
    graph.double()
    for n_coefficients in (1, 2, 3, 9):
        coefficients = normal(n_coefficients)
        expected = matrix_function(graph.dense(), coefficients) @ embeddings
        torch.testing.assert_close(chebyshev_filter(graph, embeddings, coefficients), expected, atol=1e-6, rtol=0)


def test_the_filter_of_the_exponential_is_the_matrix_exponential(
    graph: BipartiteGraph, embeddings: torch.Tensor
) -> None:
    graph.double()
    coefficients = chebyshev_coefficients(lambda x: torch.exp(3 * x), tolerance=1e-14)
    expected = torch.linalg.matrix_exp(3 * graph.dense()) @ embeddings
    torch.testing.assert_close(chebyshev_filter(graph, embeddings, coefficients), expected, atol=1e-10, rtol=1e-10)


def test_gradients_are_exact(graph: BipartiteGraph, embeddings: torch.Tensor) -> None:
    graph.double()
    start = embeddings[:, :1].clone().requires_grad_()
    coefficients = normal(5).requires_grad_()
    assert torch.autograd.gradcheck(lambda e, c: chebyshev_filter(graph, e, c), (start, coefficients))


def test_the_filter_of_many_columns_is_that_of_each_column(graph: BipartiteGraph) -> None:
    graph.double()
    start = normal(graph.n_nodes, 2 * COLUMNS_AT_A_TIME + 5).requires_grad_()
    coefficients = normal(7, seed=1).requires_grad_()
    upstream = normal(*start.shape, seed=2)
    found = chebyshev_filter(graph, start, coefficients)
    gradients = torch.autograd.grad(found, (start, coefficients), upstream)
    single = [chebyshev_filter(graph, column.contiguous(), coefficients) for column in start.split(1, dim=1)]
    expected = torch.cat(single, dim=1)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    for gradient, truth in zip(gradients, torch.autograd.grad(expected, (start, coefficients), upstream), strict=True):
        torch.testing.assert_close(gradient, truth, atol=1e-10, rtol=1e-12)


def test_the_filter_does_not_change_its_input(graph: BipartiteGraph, embeddings: torch.Tensor) -> None:
    before = embeddings.clone()
    chebyshev_filter(graph.double(), embeddings, normal(7))
    assert embeddings.equal(before)


def test_the_states_are_chebyshev_polynomials_of_the_operator_with_signs_in_the_scale_of_the_degrees(
    graph: BipartiteGraph, embeddings: torch.Tensor
) -> None:
    graph.double()
    expected = [embeddings, graph.dense() @ embeddings]
    for _ in range(5):
        expected.append(2 * graph.dense() @ expected[-1] - expected[-2])
    states = chebyshev_states(graph, embeddings * graph.scales, 6)
    for sign, state, truth in zip(signs_of_states(normal(7)), states, expected, strict=True):
        torch.testing.assert_close(sign * state / graph.scales, truth, atol=1e-6, rtol=0)


def test_only_the_input_is_saved_for_the_backward_pass(graph: BipartiteGraph) -> None:
    start = normal(graph.n_nodes, 4, dtype=torch.float32).requires_grad_()
    saved_sizes: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved_sizes.append(t.numel()) or t, lambda t: t):
        chebyshev_filter(graph, start, normal(12, seed=1, dtype=torch.float32).requires_grad_())
    assert sum(saved_sizes) == start.numel() + 12


def test_half_precision_rounds_only_the_stored_states(graph: BipartiteGraph) -> None:
    start = normal(graph.n_nodes, 8, dtype=torch.float32).requires_grad_()
    coefficients = chebyshev_coefficients(lambda x: torch.exp(2 * x), 1e-3).requires_grad_()
    upstream = normal(graph.n_nodes, 8, seed=1, dtype=torch.float32)
    exact, rounded = (chebyshev_filter(graph, start, coefficients, storage) for storage in (None, torch.bfloat16))
    assert rounded.dtype == torch.float32
    expected, found = (torch.autograd.grad(out, (start, coefficients), upstream) for out in (exact, rounded))
    for approximate, truth in zip((rounded, *found), (exact, *expected), strict=True):
        error = (approximate - truth).norm() / truth.norm()
        assert 0 < error < len(coefficients) * 2**-9  # one rounding to 8 bits for each product
