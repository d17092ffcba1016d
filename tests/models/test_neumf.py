"""NeuMF against NumPy: both towers, the GMF half alone, and a step of its loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ltocf.graph import BipartiteGraph
from ltocf.models import MF, NeuMF
from ltocf.sampling import Batch
from samples import random_interactions

LOG = random_interactions()
GRAPH = BipartiteGraph.from_interactions(LOG)
USERS = torch.arange(LOG.n_users)
BATCH = Batch(torch.tensor([0, 1]), torch.tensor([3, 1]), torch.tensor([7, 8, 9, 2]))


def pair_score(model: NeuMF, user: int, item: int) -> float:
    parameters = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    gmf, mlp = (
        [parameters[f"{tower}_embeddings"][node] for node in (user, LOG.n_users + item)] for tower in ("gmf", "mlp")
    )
    hidden = np.concatenate(mlp)
    for layer in range(len(model.layers)):
        hidden = np.maximum(hidden @ parameters[f"layers.{layer}"] + parameters[f"biases.{layer}"], 0)
    score = (gmf[0] * gmf[1]) @ parameters["gmf_weights"][:, 0] + hidden @ parameters["mlp_weights"][:, 0]
    return float(score + parameters["output_bias"][0])


def build(**options: Any) -> NeuMF:
    model, generator = NeuMF(GRAPH, dim=8, n_negatives=2, **options), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for bias in (*model.biases, model.output_bias):
            bias.normal_(generator=generator)
    return model


def test_scores_follow_the_equation() -> None:
    model = build()
    expected = [[pair_score(model, user, item) for item in range(LOG.n_items)] for user in (0, 5)]
    np.testing.assert_allclose(model.scores(torch.tensor([0, 5])).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_loss_is_the_cross_entropy_of_pairs() -> None:
    model = build()
    pairs = [(0, 3), (1, 1), (0, 7), (0, 8), (1, 9), (1, 2)]
    scores = torch.tensor([pair_score(model, *pair) for pair in pairs])
    expected = binary_cross_entropy_with_logits(scores, torch.tensor([1.0, 1, 0, 0, 0, 0]))
    torch.testing.assert_close(model(BATCH).ranking, expected)


def test_without_the_perceptron_and_with_equal_weights_neumf_is_mf() -> None:
    model, plain = build(), MF(GRAPH, dim=8)
    with torch.no_grad():
        model.mlp_weights.zero_()
        model.output_bias.zero_()
    start = plain.initial_embeddings.detach()
    model.start_from(start[: LOG.n_users], start[LOG.n_users :])
    torch.testing.assert_close(model.scores(USERS), plain.scores(USERS))


def test_the_published_variant_is_one_tower_trained_by_bpr() -> None:
    model = NeuMF(GRAPH, dim=6, n_layers=2, variant="published")
    parameters = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    assert [parameters[f"layers.{layer}"].shape for layer in range(2)] == [(18, 6), (6, 6)]

    def score(user: int, item: int) -> float:
        p, q = parameters["embeddings"][user], parameters["embeddings"][LOG.n_users + item]
        hidden = np.concatenate([p, q, p * q])
        for layer in range(2):
            hidden = np.maximum(hidden @ parameters[f"layers.{layer}"] + parameters[f"biases.{layer}"][0], 0)
        return float(hidden @ parameters["mlp_weights"][:, 0])

    expected = [[score(user, item) for item in range(LOG.n_items)] for user in (0, 5)]
    np.testing.assert_allclose(model.scores(torch.tensor([0, 5])).numpy(), expected, rtol=1e-4, atol=1e-6)
    batch = Batch(torch.tensor([0, 5]), torch.tensor([3, 1]), torch.tensor([7, 8]))
    leads = np.array([score(0, 3) - score(0, 7), score(5, 1) - score(5, 8)])
    assert model(batch).ranking.item() == pytest.approx(np.log1p(np.exp(-leads)).mean(), rel=1e-5)
    rows = parameters["embeddings"][[0, 5, LOG.n_users + 3, LOG.n_users + 1, LOG.n_users + 7, LOG.n_users + 8]]
    l2 = np.square(rows).sum() / 4 + np.square(parameters["mlp_weights"]).sum() / 2
    assert model(batch).l2.item() == pytest.approx(l2, rel=1e-5)
    drawn = next(model.batches(LOG, 20, seed=0).epoch(0))
    assert len(drawn.users.unique()) == 20


def test_the_published_variant_starts_from_a_factorisation() -> None:
    model = NeuMF(GRAPH, dim=6, variant="published")
    start = torch.randn(GRAPH.n_nodes, 6, generator=torch.Generator().manual_seed(0))
    model.start_from(start[: LOG.n_users], start[LOG.n_users :])
    assert model.embeddings.equal(start)


@pytest.mark.parametrize("variant", ["source", "published"])
def test_dropout_is_active_in_training_mode_only(variant: Any) -> None:
    model = NeuMF(GRAPH, dim=8, n_layers=2, dropout=0.5, n_negatives=1, variant=variant)
    batch = Batch(BATCH.users, BATCH.positives, BATCH.negatives[:2])
    model.train()
    torch.manual_seed(0)
    assert model(batch).ranking.item() != model(batch).ranking.item()
    assert model.scores(USERS).equal(model.eval().scores(USERS))
    assert model(batch).ranking.equal(model(batch).ranking)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 6}, "`dim` must be a multiple of 4 for 3 layers, got 6"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\), got 1.0"),
        ({"n_layers": 0}, "`n_layers` must be >= 1, got 0"),
        ({"n_negatives": 0}, "`n_negatives` must be >= 1, got 0"),
    ],
)
def test_invalid_options_are_rejected_with_the_rule_and_the_value(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NeuMF(GRAPH, **options)
