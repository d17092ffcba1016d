"""What every model of embeddings scores by: inner product or cosine, and the popularity of an item."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ltocf.graph import BipartiteGraph
from ltocf.losses import user_temperatures
from ltocf.models import MF
from samples import random_interactions

LOG = random_interactions()
GRAPH = BipartiteGraph.from_interactions(LOG)
USERS = torch.arange(LOG.n_users)


def test_scores_are_the_formula() -> None:
    model = MF(GRAPH, dim=5, ranking="cosine", temperature=0.2, popularity=0.7)
    embeddings = model.initial_embeddings.detach().double().numpy()
    users, items = embeddings[: LOG.n_users], embeddings[LOG.n_users :]
    cosines = users @ items.T / np.outer(np.linalg.norm(users, axis=1), np.linalg.norm(items, axis=1))
    expected = cosines / 0.2 + 0.7 * np.log(LOG.item_degrees)
    np.testing.assert_allclose(model.scores(USERS).numpy(), expected, rtol=1e-4, atol=1e-5)
    plain = MF(GRAPH, dim=5, popularity=-1.5)
    np.testing.assert_allclose(plain.scores(USERS).numpy(), users @ items.T - 1.5 * np.log(LOG.item_degrees), atol=1e-5)


def test_with_adaptive_temperatures_every_user_is_scored_at_their_own() -> None:
    model = MF(GRAPH, dim=5, ranking="cosine", temperature=0.2, adaptive_temperature=1.0, popularity=1.0)
    model.user_losses.copy_(torch.linspace(0, 3, LOG.n_users))
    temperatures = user_temperatures(model.user_losses, 0.2, 1.0)
    plain = MF(GRAPH, dim=5, ranking="cosine", temperature=0.2)
    expected = plain.scores(USERS) * 0.2 / temperatures[:, None] + model.log_degrees
    torch.testing.assert_close(model.scores(USERS), expected)


def test_cosine_does_not_see_norms_and_the_inner_product_does() -> None:
    for ranking, sees in (("cosine", False), ("inner_product", True)):
        model, stretched = (MF(GRAPH, dim=5, ranking=ranking) for _ in range(2))
        with torch.no_grad():
            stretched.initial_embeddings *= torch.linspace(0.5, 2, GRAPH.n_nodes)[:, None]
        assert torch.allclose(model.scores(USERS), stretched.scores(USERS), atol=1e-5) is not sees


def test_an_item_without_pairs_has_the_popularity_of_one_pair() -> None:
    wider = type(LOG).from_pairs(LOG.users, LOG.items, LOG.n_users, LOG.n_items + 1)
    model = MF(BipartiteGraph.from_interactions(wider), dim=5, popularity=1.0)
    assert model.log_degrees[-1].item() == 0
    assert torch.isfinite(model.scores(USERS)).all()


def test_the_embeddings_that_go_out_have_the_score_as_their_inner_product() -> None:
    model = MF(GRAPH, dim=5, ranking="cosine", popularity=0.5)
    users, items = model.embeddings()
    assert (users.shape[1], items.shape[1]) == (6, 6)
    torch.testing.assert_close(users @ items.T, model.scores(USERS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"popularity": float("nan")}, "`popularity` must be finite in single precision, got nan"),
        ({"temperature": 0.01}, "`temperature` must be finite and >= 0.025"),
        ({"n_negatives": 0}, "`n_negatives` must be >= 1, got 0"),
    ],
)
def test_rejects_with_the_rule_and_the_value(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MF(GRAPH, **options)
