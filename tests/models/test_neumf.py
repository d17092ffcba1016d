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
    found = {name: value.detach().double().numpy() for name, value in model.named_parameters()}
    gmf, mlp = ([found[f"{tower}_embeddings"][node] for node in (user, LOG.n_users + item)] for tower in ("gmf", "mlp"))
    hidden = np.concatenate(mlp)
    for layer in range(len(model.layers)):
        hidden = np.maximum(hidden @ found[f"layers.{layer}"] + found[f"biases.{layer}"], 0)
    return float((gmf[0] * gmf[1]) @ found["gmf_weights"][:, 0] + hidden @ found["mlp_weights"][:, 0])


def build(**options: Any) -> NeuMF:
    model = NeuMF(GRAPH, dim=8, n_negatives=2, **options)
    with torch.no_grad():
        for bias in model.biases:
            bias.normal_()
    return model


def test_scores_are_the_equation() -> None:
    model = build()
    expected = [[pair_score(model, user, item) for item in range(LOG.n_items)] for user in (0, 5)]
    np.testing.assert_allclose(model.scores(torch.tensor([0, 5])).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_loss_is_the_cross_entropy_of_pairs() -> None:
    model = build()
    pairs = [(0, 3), (1, 1), (0, 7), (0, 8), (1, 9), (1, 2)]
    scores = torch.tensor([pair_score(model, *pair) for pair in pairs])
    expected = binary_cross_entropy_with_logits(scores, torch.tensor([1.0, 1, 0, 0, 0, 0]))
    torch.testing.assert_close(model(BATCH).ranking, expected)


def test_without_the_perceptron_and_with_equal_weights_it_is_mf() -> None:
    model, plain = build(), MF(GRAPH, dim=8)
    with torch.no_grad():
        model.mlp_weights.zero_()
        model.gmf_weights.fill_(1)
        plain.initial_embeddings.copy_(model.gmf_embeddings)
    torch.testing.assert_close(model.scores(USERS), plain.scores(USERS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 6}, "`dim` must be a multiple of 4 for 3 layers, got 6"),
        ({"n_layers": 0}, "`n_layers` must be >= 1, got 0"),
        ({"n_negatives": 0}, "`n_negatives` must be >= 1, got 0"),
    ],
)
def test_rejects_with_the_rule_and_the_value(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        NeuMF(GRAPH, **options)
