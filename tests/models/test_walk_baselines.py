"""HOP-Rec and PinSage, the baselines of random walks, against slow NumPy versions of their equations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import MF, HOPRec, PinSage
from ltocf.models.pinsage import important_neighbours
from ltocf.sampling import Batch
from samples import random_interactions

LOG = random_interactions()
GRAPH = BipartiteGraph.from_interactions(LOG)
USERS = torch.arange(LOG.n_users)


def test_hop_rec_follows_its_equation() -> None:
    model = HOPRec(GRAPH, dim=5, n_orders=2, margin=0.02)
    batch = Batch(torch.tensor([0, 1]), torch.tensor([3, 1, 0, 7]), torch.tensor([8, 9, 2, 5]))
    found = model.initial_embeddings.detach().double().numpy()
    total, n_within_margin = 0.0, 0
    for place, (user, order) in enumerate([(0, 1), (0, 2), (1, 1), (1, 2)]):
        positive, negative = (found[LOG.n_users + int(items[place])] for items in (batch.positives, batch.negatives))
        lead = found[user] @ (positive - negative)
        if lead <= 0.02 / order:
            total += np.log1p(np.exp(-lead)) / order
            n_within_margin += 1
    assert 0 < n_within_margin < 4
    assert model(batch).ranking.item() == pytest.approx(total / 2, rel=1e-5)


def test_hop_rec_of_order_one_without_a_margin_is_bpr() -> None:
    batch = Batch(torch.tensor([0, 1]), torch.tensor([3, 1]), torch.tensor([8, 9]))
    model, plain = HOPRec(GRAPH, dim=5, n_orders=1, margin=1e9), MF(GRAPH, dim=5)
    with torch.no_grad():
        model.initial_embeddings.copy_(plain.initial_embeddings)
    torch.testing.assert_close(model(batch), plain(batch))
    assert model.scores(USERS).equal(plain.scores(USERS))


def test_pinsage_follows_its_equation() -> None:
    model = PinSage(GRAPH, dim=4, n_neighbours=5, n_walks=20)
    found = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    pooling = np.zeros((GRAPH.n_nodes, GRAPH.n_nodes))
    np.add.at(pooling, (np.arange(GRAPH.n_nodes)[:, None], model.neighbours.numpy()), model.importance.numpy())
    state = found["initial_embeddings"]
    for layer in range(2):
        messages = np.maximum(state @ found[f"messages.{layer}"] + found[f"message_biases.{layer}"], 0)
        joined = np.hstack([state, pooling @ messages])
        state = np.maximum(joined @ found[f"updates.{layer}"] + found[f"update_biases.{layer}"], 0)
        state /= np.maximum(np.linalg.norm(state, axis=1, keepdims=True), 1e-12)
    final = np.maximum(state @ found["dense.0"] + found["dense_bias"], 0) @ found["dense.1"]
    expected = final[: LOG.n_users] @ final[LOG.n_users :].T
    np.testing.assert_allclose(model.scores(USERS).numpy(), expected, rtol=1e-4, atol=1e-6)
    batch = Batch(torch.tensor([0, 1]), torch.tensor([3, 1]), torch.tensor([8, 9]))
    leads = [
        expected[user, positive] - expected[user, negative] for user, positive, negative in zip(*batch[:3], strict=True)
    ]
    assert model(batch).ranking.item() == pytest.approx(np.maximum(0.1 - np.array(leads), 0).mean(), rel=1e-4)


def test_the_published_pinsage_is_graph_sage_on_the_graph_of_users_and_items() -> None:
    model = PinSage(GRAPH, dim=4, variant="published")
    found = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    touched = LOG.matrix().toarray()
    no_edges = [np.zeros((n, n)) for n in touched.shape]
    adjacency = np.block([[no_edges[0], touched], [touched.T, no_edges[1]]])
    state = found["initial_embeddings"]
    for layer in range(2):
        means = adjacency @ state / adjacency.sum(1, keepdims=True)
        raw = np.hstack([state, means]) @ found[f"updates.{layer}"] + found[f"update_biases.{layer}"]
        state = np.where(raw > 0, raw, 0.2 * raw)
    expected = state[: LOG.n_users] @ state[LOG.n_users :].T
    np.testing.assert_allclose(model.scores(USERS).numpy(), expected, rtol=1e-4, atol=1e-6)
    batch = Batch(torch.tensor([0, 1]), torch.tensor([3, 1]), torch.tensor([8, 9]))
    leads = np.array([expected[u, p] - expected[u, n] for u, p, n in zip(*batch[:3], strict=True)])
    assert model(batch).ranking.item() == pytest.approx(np.log1p(np.exp(-leads)).mean(), rel=1e-5)
    rows = state[[0, 1, LOG.n_users + 3, LOG.n_users + 1, LOG.n_users + 8, LOG.n_users + 9]]
    assert model(batch).l2.item() == pytest.approx(np.square(rows).sum() / 4, rel=1e-4)
    assert "neighbours" not in dict(model.named_buffers())


def test_importance_is_the_share_of_visits() -> None:
    """On a path user 0 - item 0 - user 1 a walk of two steps goes to the middle and on to either end."""
    graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 0], 3, 1))
    neighbours, importance = important_neighbours(graph, 2, n_walks=4000, walk_length=2, seed=0)
    assert neighbours[0].tolist() == [3, 1]  # the item in every walk, the other user in half of them
    assert importance[0].tolist() == pytest.approx([2 / 3, 1 / 3], abs=0.02)
    assert sorted(neighbours[3].tolist()) == [0, 1]
    assert importance[3].tolist() == pytest.approx([1 / 2, 1 / 2], abs=0.02)
    assert importance[2].tolist() == [0, 0]  # a user without pairs


def test_pinsage_does_not_depend_on_the_order_of_users() -> None:
    order = torch.randperm(LOG.n_users, generator=torch.Generator().manual_seed(0))
    nodes = torch.cat([order, torch.arange(LOG.n_users, GRAPH.n_nodes)])
    model, moved = (PinSage(GRAPH, dim=4, n_walks=10) for _ in range(2))
    with torch.no_grad():
        moved.initial_embeddings.copy_(model.initial_embeddings[nodes])
        moved.neighbours.copy_(nodes.argsort()[model.neighbours[nodes]])
        moved.importance.copy_(model.importance[nodes])
    torch.testing.assert_close(moved.scores(USERS), model.scores(order))


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (HOPRec, {"n_orders": 0}, "`n_orders` must be >= 1, got 0"),
        (HOPRec, {"margin": -1.0}, "`margin` must be finite and >= 0, got -1.0"),
        (PinSage, {"n_walks": 0}, "`n_walks` must be >= 1, got 0"),
        (PinSage, {"margin": float("nan")}, "`margin` must be finite and >= 0, got nan"),
    ],
)
def test_invalid_options_are_rejected_with_the_rule_and_the_value(
    build: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(GRAPH, dim=4, **options)
