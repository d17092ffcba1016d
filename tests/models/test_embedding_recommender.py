"""How every embedding model scores: by inner product or cosine, plus the popularity of the item."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ltocf.data import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.losses import user_temperatures
from ltocf.models import MF, MODELS, LightGCN, Objective, build_model
from ltocf.sampling import Batch
from samples import random_interactions

LOG = random_interactions()
GRAPH = BipartiteGraph.from_interactions(LOG)
USERS = torch.arange(LOG.n_users)


def test_scores_follow_the_formula() -> None:
    model = MF(GRAPH, dim=5, ranking="cosine", temperature=0.2, popularity=0.7)
    embeddings = model.initial_embeddings.detach().double().numpy()
    users, items = embeddings[: LOG.n_users], embeddings[LOG.n_users :]
    cosines = users @ items.T / np.outer(np.linalg.norm(users, axis=1), np.linalg.norm(items, axis=1))
    expected = cosines / 0.2 + 0.7 * np.log(LOG.item_degrees)
    np.testing.assert_allclose(model.scores(USERS).numpy(), expected, rtol=1e-4, atol=1e-5)
    plain = MF(GRAPH, dim=5, popularity=-1.5)
    np.testing.assert_allclose(plain.scores(USERS).numpy(), users @ items.T - 1.5 * np.log(LOG.item_degrees), atol=1e-5)


def test_adaptive_temperatures_scale_the_scores_of_each_user() -> None:
    model = MF(GRAPH, dim=5, ranking="cosine", temperature=0.2, adaptive_temperature=1.0, popularity=1.0)
    model.user_losses.copy_(torch.linspace(0, 3, LOG.n_users))
    temperatures = user_temperatures(model.user_losses, 0.2, 1.0)
    plain = MF(GRAPH, dim=5, ranking="cosine", temperature=0.2)
    expected = plain.scores(USERS) * 0.2 / temperatures[:, None] + model.log_degrees
    torch.testing.assert_close(model.scores(USERS), expected)


def test_the_inner_product_depends_on_norms_and_the_cosine_does_not() -> None:
    for ranking, depends_on_norms in (("cosine", False), ("inner_product", True)):
        model, stretched = (MF(GRAPH, dim=5, ranking=ranking) for _ in range(2))
        with torch.no_grad():
            stretched.initial_embeddings *= torch.linspace(0.5, 2, GRAPH.n_nodes)[:, None]
        assert torch.allclose(model.scores(USERS), stretched.scores(USERS), atol=1e-5) is not depends_on_norms


def test_an_item_without_pairs_has_the_popularity_of_one_pair() -> None:
    wider = Interactions.from_pairs(LOG.users, LOG.items, LOG.n_users, LOG.n_items + 1)
    model = MF(BipartiteGraph.from_interactions(wider), dim=5, popularity=1.0)
    assert model.log_degrees[-1].item() == 0
    assert torch.isfinite(model.scores(USERS)).all()


def test_the_inner_product_of_the_returned_embeddings_is_the_score() -> None:
    model = MF(GRAPH, dim=5, ranking="cosine", popularity=0.5)
    users, items = model.embeddings()
    assert (users.shape[1], items.shape[1]) == (6, 6)
    torch.testing.assert_close(users @ items.T, model.scores(USERS))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"popularity": float("nan")}, "`popularity` must be finite in single precision, got nan"),
        ({"temperature": 0.01}, r"`temperature` must be 0 \(set by the number of pairs\) or finite and >= 0.025"),
        ({"n_negatives": 0}, "`n_negatives` must be >= 1, got 0"),
    ],
)
def test_invalid_options_are_rejected_with_the_rule_and_the_value(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MF(GRAPH, **options)


def test_a_users_running_loss_moves_once_per_step_towards_the_mean_of_their_pairs() -> None:
    model = MF(GRAPH, dim=5, loss="softmax", temperature=0.2, adaptive_temperature=0.5)
    model.user_losses.copy_(torch.linspace(0, 3, LOG.n_users))
    batch = Batch(torch.tensor([4, 7, 4, 4]), torch.tensor([0, 1, 2, 3]), torch.tensor([5, 9]))
    before = model.user_losses.clone()
    temperatures = user_temperatures(before, 0.2, 0.5)[batch.users]
    users, items = (torch.nn.functional.normalize(side) for side in model.initial_embeddings.detach().split([30, 40]))
    positive = (users[batch.users] * items[batch.positives]).sum(1) / temperatures
    negative = users[batch.users] @ items[batch.negatives].T / temperatures[:, None]
    pair_losses = torch.cat([positive[:, None], negative], dim=1).logsumexp(1) - positive
    model.train()(batch)
    expected = before.clone()
    expected[4] += 0.1 * (pair_losses[[0, 2, 3]].mean() - before[4])
    expected[7] += 0.1 * (pair_losses[1] - before[7])
    torch.testing.assert_close(model.user_losses, expected)
    model.eval()(batch)
    torch.testing.assert_close(model.user_losses, expected)


def test_adaptive_temperatures_stay_bounded_for_a_user_with_a_whole_batch() -> None:
    """When it moved once per pair, the running loss of a user with 60 pairs was -2.2e9 after twelve steps."""
    log = Interactions.from_pairs([0] * 60 + [1] * 3, [*range(60), 0, 1, 2], 3, 100)
    graph = BipartiteGraph.from_interactions(log)
    model = MF(graph, dim=8, loss="softmax", adaptive_temperature=0.5, temperature=0.1).train()
    batch = Batch(torch.tensor(log.users), torch.tensor(log.items), torch.arange(50, 100))
    first_loss = float(model.objective.ranking_loss(*final_rows(model, batch))[1].max())
    for _ in range(40):
        model(batch)
    assert 0 <= float(model.user_losses.min()) <= float(model.user_losses.max()) <= 2 * first_loss + 1


def final_rows(model: MF, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    users, items = model.initial_embeddings.detach().split([model.n_users, model.n_items])
    return users[batch.users], items[batch.positives], items[batch.negatives]


def test_an_integer_temperature_equals_the_float() -> None:
    batch = Batch(torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor([2]))
    losses = [MF(GRAPH, dim=5, loss="softmax", temperature=temperature)(batch).ranking for temperature in (1, 1.0)]
    assert losses[0].equal(losses[1])


@pytest.mark.parametrize(("name", "options"), [("ngcf", {"message_dropout": 0.5, "node_dropout": 0.5}), ("gc-mc", {})])
def test_scores_of_a_model_in_training_mode_have_no_dropout(name: str, options: dict[str, Any]) -> None:
    model = build_model(name, GRAPH, {"dim": 4, **options}).train()
    assert model.scores(USERS).equal(model.scores(USERS))
    assert model.training


def test_the_options_of_a_model_are_the_fields_of_its_objective() -> None:
    assert set(MF.options()) == {"dim", *vars(Objective())}
    assert MF(GRAPH, loss="softmax", popularity=0.5).objective == Objective(loss="softmax", popularity=0.5)
    assert "loss" not in MODELS["hop-rec"].options()


def test_the_whole_catalogue_is_the_limit_of_many_negatives() -> None:
    """Negatives drawn n times as often, each with 1 / n of the weight, approach the loss over the whole catalogue."""
    model = LightGCN(GRAPH, dim=5, loss="softmax", n_negatives=50, temperature=0.3, whole_catalogue=True)
    (batch,) = model.batches(LOG, len(LOG), 0).epoch(0)
    assert batch.negatives.tolist() == list(range(LOG.n_items))
    draws = torch.randint(len(LOG), (400_000,), generator=torch.Generator().manual_seed(0))
    drawn = batch._replace(negatives=torch.from_numpy(LOG.items.copy()).long()[draws])
    final = model.propagate(model.initial_embeddings).detach()
    parts = (final[batch.users], final[LOG.n_users + batch.positives], final[LOG.n_users + drawn.negatives])
    counts = torch.full((len(draws),), 50 / len(draws))
    sampled, _ = model.objective.ranking_loss(*parts, counts=counts)
    assert model(batch).ranking.item() == pytest.approx(sampled.item(), rel=1e-3)


@pytest.mark.parametrize(("n_negatives", "whole"), [(39, False), (40, True)])
def test_a_catalogue_larger_than_the_sample_is_sampled(n_negatives: int, whole: bool) -> None:
    model = MF(GRAPH, dim=3, loss="softmax", n_negatives=n_negatives, whole_catalogue=True)
    batch = next(iter(model.batches(LOG, 8, 0).epoch(0)))
    assert (len(batch.negatives.unique()) == LOG.n_items) is whole
    counts = model.objective.counts(model.log_degrees, batch.negatives)
    assert (counts is not None) is whole
    if counts is not None:
        expected = torch.from_numpy(n_negatives * LOG.item_degrees / len(LOG))
        torch.testing.assert_close(counts, expected, check_dtype=False)


def test_the_cross_entropy_treats_each_item_on_its_own() -> None:
    """It is a softmax over the ratings 0 and 1, with the scores Z Q_0 Z and Z Q_1 Z."""
    log = Interactions.from_pairs([0, 0, 1, 2], [0, 1, 2, 1])
    model = MF(BipartiteGraph.from_interactions(log), dim=4, seed=0, loss="cross-entropy")
    (batch,) = model.batches(log, 8, seed=0).epoch(0)
    users, items = model.embeddings()
    n = len(batch.users)
    levels = [torch.stack([torch.zeros(n), (users[batch.users] * items[indices]).sum(1)], 1) for indices in batch[1:3]]
    touched = torch.cat([torch.ones(n, dtype=torch.long), torch.zeros(n, dtype=torch.long)])
    expected = torch.nn.functional.cross_entropy(torch.cat(levels), touched)
    assert model(batch).ranking.item() == pytest.approx(expected.item(), rel=1e-6)
