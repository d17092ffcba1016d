"""A new user's vector by least squares: against a dense solution, and what symmetry demands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ltocf.data.histories import Histories
from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import MF, NGCF
from ltocf.models.least_squares import LeastSquares
from samples import random_interactions

ITEMS = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
HISTORIES = Histories(torch.tensor([0, 2, 2, 5]), torch.tensor([1, 4, 0, 2, 6], dtype=torch.int32), 7)


def dense_solution(history: list[int], weight: float, ridge: float) -> np.ndarray:
    """The minimum of the sum of squares over every item, as one least-squares problem of weighted rows."""
    items = ITEMS.double().numpy()
    in_history = np.isin(np.arange(7), history)
    roots = np.where(in_history, 1.0, np.sqrt(weight))
    penalty = np.sqrt(ridge * np.mean(np.sum(items**2, 1))) * np.eye(3)
    rows = np.vstack([roots[:, None] * items, penalty])
    targets = np.concatenate([in_history.astype(float), np.zeros(3)])
    solution: np.ndarray = np.linalg.lstsq(rows, targets, rcond=None)[0]
    return solution


@pytest.mark.parametrize(("weight", "ridge"), [(0.1, 100.0), (0.0, 0.1), (1.0, 0.5)])
def test_the_vector_minimises_the_sum_of_squares(weight: float, ridge: float) -> None:
    found = LeastSquares(ITEMS, 2.5, None, weight, ridge).vectors(HISTORIES)
    for row, history in zip(found.numpy(), [[1, 4], [], [0, 2, 6]], strict=True):
        expected = dense_solution(history, weight, ridge)
        expected = 2.5 * expected / max(np.linalg.norm(expected), 1e-12)
        np.testing.assert_allclose(row, expected, rtol=1e-4, atol=1e-5)


def test_scores_are_inner_products_plus_popularity() -> None:
    model = LeastSquares(ITEMS, 1.0, torch.arange(7.0))
    scores = model.scores(HISTORIES)
    assert scores.shape == (3, 7)
    assert scores.allclose(model.vectors(HISTORIES) @ ITEMS.T + torch.arange(7.0))
    assert scores[1].equal(torch.arange(7.0)), "an empty history has popularity alone"
    assert model.scores(HISTORIES.rows(torch.tensor([], dtype=torch.int64))).shape == (0, 7)


def test_the_scale_of_the_items_does_not_matter() -> None:
    plain, scaled = LeastSquares(ITEMS, 1.0, None), LeastSquares(1000 * ITEMS, 1.0, None)
    assert plain.vectors(HISTORIES).allclose(scaled.vectors(HISTORIES), atol=1e-5)


def test_least_squares_of_a_model_has_the_length_of_its_users_and_its_popularity() -> None:
    graph = BipartiteGraph.from_interactions(random_interactions())
    plain = MF(graph, dim=4).least_squares()
    users, items = MF(graph, dim=4).embeddings()
    assert plain.length == pytest.approx(users.norm(dim=1).mean().item())
    assert (plain.items.equal(items), plain.bias) == (True, None)
    cosine = NGCF(graph, dim=4, ranking="cosine", temperature=0.2, popularity=0.5).least_squares()
    assert cosine.length == 5
    assert cosine.items.norm(dim=1).allclose(torch.ones(40))
    assert cosine.bias is not None
    assert cosine.bias.allclose(0.5 * graph.item_degrees.log())


def test_a_new_user_of_one_colour_gets_that_colour() -> None:
    """Items of one colour share a direction: a user with two of them gets the rest of that colour and no other item."""
    colours = torch.eye(2)[torch.arange(20) % 2] + 0.01 * torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    model = replace(LeastSquares(colours, 1.0, None), ridge=0.1)
    new = Histories.of(Interactions.from_pairs([0, 0, 1, 1], [0, 4, 3, 7], 2, 20))
    best = model.scores(new).topk(10).indices.sort(1).values
    assert best.tolist() == [list(range(0, 20, 2)), list(range(1, 20, 2))]
