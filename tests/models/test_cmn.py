"""CMN against a NumPy version that visits one neighbour after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import CMN
from ltocf.sampling import Batch
from samples import random_interactions

LOG = random_interactions()
GRAPH = BipartiteGraph.from_interactions(LOG)


def pair_score(model: CMN, user: int, item: int) -> float:
    parameters = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    memory, external = parameters["user_memory"], parameters["external_memory"]
    neighbours = [v for v in LOG.users[LOG.items == item] if v != user]
    query = memory[user] + parameters["item_embeddings"][item]

    def read_memory() -> np.ndarray:
        if not neighbours:
            return np.zeros_like(query)
        weights = np.exp([query @ memory[v] for v in neighbours])
        total: np.ndarray = sum(w * external[v] for w, v in zip(weights, neighbours, strict=True)) / weights.sum()
        return total

    answer = read_memory()
    for hop in range(model.n_hops - 1):
        query = np.maximum(query @ parameters[f"hops.{hop}"] + answer + parameters[f"hop_biases.{hop}"], 0)
        answer = read_memory()
    product = memory[user] * parameters["item_embeddings"][item]
    hidden = np.maximum(product @ parameters["of_product"] + answer @ parameters["of_memory"] + parameters["bias"], 0)
    return float(hidden @ parameters["output"][:, 0])


@pytest.mark.parametrize("items_at_a_time", [7, 8192])
@pytest.mark.parametrize("n_hops", [1, 2, 3])
def test_scores_follow_the_equation(n_hops: int, items_at_a_time: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltocf.models.cmn.ITEMS_AT_A_TIME", items_at_a_time)
    assert LOG.n_items % 7, "the last block should be a smaller one"
    model = CMN(GRAPH, dim=4, n_hops=n_hops)
    expected = [[pair_score(model, user, item) for item in range(LOG.n_items)] for user in (0, 5)]
    np.testing.assert_allclose(model.scores(torch.tensor([0, 5])).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_loss_is_bpr_of_the_scores() -> None:
    model = CMN(GRAPH, dim=4)
    batch = Batch(torch.tensor([0, 1]), torch.tensor([3, 1]), torch.tensor([7, 8]))
    leads = [
        pair_score(model, u, i) - pair_score(model, u, j)
        for u, i, j in zip(*map(torch.Tensor.tolist, batch[:3]), strict=True)
    ]
    assert model(batch).ranking.item() == pytest.approx(softplus(-torch.tensor(leads)).mean().item(), rel=1e-5)


def test_the_l2_penalty_is_that_of_the_weight_matrices_alone() -> None:
    model = CMN(GRAPH, dim=4, n_hops=3)
    batch = Batch(torch.tensor([0, 1]), torch.tensor([3, 1]), torch.tensor([7, 8]))
    matrices = [*model.hops, model.of_product, model.of_memory, model.output]
    expected = sum(float(np.square(matrix.detach().double().numpy()).sum()) for matrix in matrices) / 2
    assert model(batch).l2.item() == pytest.approx(expected, rel=1e-6)
    model(batch).l2.backward()
    unpenalised = (model.user_memory, model.item_embeddings, model.external_memory, model.bias, *model.hop_biases)
    assert all(parameter.grad is None for parameter in unpenalised)


def test_an_item_without_other_users_reads_nothing_from_memory() -> None:
    graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1], 2, 3))
    model = CMN(graph, dim=4)
    before = model.scores(torch.tensor([0]))[0, [0, 2]]
    with torch.no_grad():
        model.external_memory.normal_(generator=torch.Generator().manual_seed(0))
    assert model.scores(torch.tensor([0]))[0, [0, 2]].equal(before)


def test_cmn_starts_from_a_factorisation() -> None:
    model = CMN(GRAPH, dim=4)
    generator = torch.Generator().manual_seed(0)
    users, items = (torch.randn(size, 4, generator=generator) for size in (LOG.n_users, LOG.n_items))
    model.start_from(users, items)
    assert model.user_memory.equal(users)
    assert model.item_embeddings.equal(items)


@pytest.mark.parametrize("options", [{"n_hops": 0}, {"dim": 0}])
def test_invalid_options_are_rejected_with_the_rule_and_the_value(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"`(n_hops|dim)` must be >= 1, got 0"):
        CMN(GRAPH, **options)
