"""The graph operator against its dense matrix and against the properties that its documentation claims."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph, operator


def test_entries_worked_out_by_hand() -> None:
    graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 0, 1], [0, 1, 1], 2, 3))
    half = 1 / np.sqrt(2)
    expected = [
        [0, 0, half, 0.5, 0],
        [0, 0, 0, half, 0],
        [half, 0, 0, 0, 0],
        [0.5, half, 0, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    torch.testing.assert_close(graph.dense(), torch.tensor(expected, dtype=torch.float32))


def test_the_operator_is_symmetric_with_eigenvalues_between_minus_one_and_one(graph: BipartiteGraph) -> None:
    dense = graph.double().dense()
    torch.testing.assert_close(dense, dense.T)
    eigenvalues = torch.linalg.eigvalsh(dense)
    torch.testing.assert_close(eigenvalues, -eigenvalues.flip(0), atol=1e-6, rtol=0)  # bipartite: ±λ
    assert abs(eigenvalues.max().item() - 1) < 1e-6


def test_the_product_is_that_of_the_dense_matrix(graph: BipartiteGraph, embeddings: torch.Tensor) -> None:
    graph.double()
    torch.testing.assert_close(graph(embeddings), graph.dense() @ embeddings)


def test_the_gradient_is_that_of_finite_differences(graph: BipartiteGraph, embeddings: torch.Tensor) -> None:
    assert torch.autograd.gradcheck(graph.double(), embeddings[:, :2].clone().requires_grad_())


def test_a_product_by_sides_gives_the_users_and_the_items(graph: BipartiteGraph, embeddings: torch.Tensor) -> None:
    graph.double()
    users = graph.users_from_items(embeddings[graph.n_users :])
    items = graph.items_from_users(embeddings[: graph.n_users])
    expected = graph.dense() @ embeddings
    torch.testing.assert_close(torch.cat([users, items]), expected)
    torch.testing.assert_close(graph.multiply(embeddings), expected)


@pytest.mark.parametrize("at_a_time", [1, 7, 10**6])
def test_sums_over_the_neighbours_are_the_same_however_many_at_a_time(
    interactions: Interactions, embeddings: torch.Tensor, at_a_time: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "PAIRS_AT_A_TIME", at_a_time)
    graph = BipartiteGraph.from_interactions(interactions)
    adjacency = (graph.dense() > 0).double()
    found = list(graph.neighbour_sums(embeddings))
    assert [row for rows, _ in found for row in range(graph.n_nodes)[rows]] == list(range(graph.n_nodes))
    assert (len(found) == 2) == (at_a_time == 10**6)
    torch.testing.assert_close(torch.cat([sums for _, sums in found]), adjacency @ embeddings)


def test_the_graph_is_copied_and_converted_like_any_module_and_saves_nothing(
    graph: BipartiteGraph, embeddings: torch.Tensor
) -> None:
    copied = copy.deepcopy(graph).double()
    assert graph.user_scales.dtype == torch.float32
    assert copied.state_dict() == {}
    torch.testing.assert_close(copied(embeddings), graph.dense().double() @ embeddings, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("size", "value", "counted"),
    [("shape", (1, 2**31), "items"), ("shape", (2**31, 1), "users"), ("nnz", 2**31, "pairs")],
)
def test_sizes_beyond_32_bits_are_refused(
    size: str, value: object, counted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = sp.csr_matrix((2, 3), dtype=np.float32)
    monkeypatch.setattr(sp.csr_matrix, size, value)
    with pytest.raises(ValueError, match=rf"the number of {counted} must be below 2\^31 .* got 2,147,483,648"):
        BipartiteGraph(matrix)


def test_a_weighted_graph_multiplies_each_entry_by_its_weight_relative_to_the_mean() -> None:
    log = Interactions.from_pairs([0, 0, 1, 2], [0, 1, 1, 2], weights=[1.0, 3.0, 0.5, 1.5])
    graph = BipartiteGraph.from_interactions(log)
    unweighted = BipartiteGraph.from_interactions(replace(log, weights=None)).dense()
    assert graph.dense().equal(unweighted)
    weights = torch.zeros(3, 3)
    weights[log.users.copy(), log.items.copy()] = torch.tensor([1.0, 3.0, 0.5, 1.5]) / 1.5
    expected = unweighted.clone()
    expected[:3, 3:] *= weights
    expected[3:, :3] *= weights.T
    assert torch.allclose(graph.weighted().dense(), expected)
    assert torch.allclose(graph.weights_of(torch.tensor([1, 0])), torch.tensor([0.5, 1.0, 3.0]) / 1.5)
    assert graph.weighted().item_degrees.tolist() == [1, 2, 1]
