"""The graph baselines against slow NumPy versions of their equations, and cases where one equals another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

from ltocf.data import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.losses import LOSSES
from ltocf.models import GCMC, GRMF, LRGCCF, MF, NGCF, EmbeddingRecommender, GRMFNorm, LightGCN
from ltocf.sampling import Batch
from samples import random_interactions

LOG = random_interactions()
GRAPH = BipartiteGraph.from_interactions(LOG)
USERS = torch.arange(LOG.n_users)
BATCH = Batch(torch.tensor([0, 1, 1]), torch.tensor([3, 1, 0]), torch.tensor([7, 8, 9]))


def adjacency() -> np.ndarray:
    touched = LOG.matrix().toarray()
    n_users, n_items = touched.shape
    matrix = np.zeros((n_users + n_items, n_users + n_items))
    matrix[:n_users, n_users:], matrix[n_users:, :n_users] = touched, touched.T
    return matrix


def normalised(matrix: np.ndarray) -> np.ndarray:
    degrees = matrix.sum(1)
    return matrix / np.sqrt(np.outer(degrees, degrees))


def parameters_of(model: EmbeddingRecommender) -> dict[str, np.ndarray]:
    return {name: value.detach().double().numpy() for name, value in model.named_parameters()}


def assert_scores_are_products(model: EmbeddingRecommender, final: np.ndarray) -> None:
    expected = final[: LOG.n_users] @ final[LOG.n_users :].T
    np.testing.assert_allclose(model.eval().scores(USERS).numpy(), expected, rtol=2e-4, atol=1e-5)


def test_lr_gccf_follows_its_equation() -> None:
    model = LRGCCF(GRAPH, dim=5, n_layers=2)
    smoothing = normalised(adjacency() + np.eye(GRAPH.n_nodes))
    start = parameters_of(model)["initial_embeddings"]
    assert_scores_are_products(model, np.hstack([start, smoothing @ start, smoothing @ smoothing @ start]))


def test_ngcf_follows_its_equation() -> None:
    model, generator = NGCF(GRAPH, dim=5, n_layers=2), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for bias in model.biases:
            bias.normal_(generator=generator)
    found, smoothing = parameters_of(model), normalised(adjacency())
    state = found["initial_embeddings"]
    layers = [state]
    for layer in range(2):
        neighbours = smoothing @ state
        raw = (neighbours + state) @ found[f"own.{layer}"] + found[f"biases.{layer}"]
        raw += (neighbours * state) @ found[f"shared.{layer}"]
        state = leaky(raw)
        layers.append(state / np.linalg.norm(state, axis=1, keepdims=True))
    assert_scores_are_products(model, np.hstack(layers))


def mean_of_neighbours(matrix: np.ndarray) -> np.ndarray:
    found: np.ndarray = matrix / matrix.sum(1, keepdims=True)
    return found


def leaky(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 0.2 * values)


def l2_of_final(final: np.ndarray) -> float:
    """Half of the mean over the examples of a batch of the squared norms of its three final rows."""
    users, positives, negatives = (part.numpy() for part in BATCH[:3])
    rows = np.concatenate([final[users], final[positives + LOG.n_users], final[negatives + LOG.n_users]])
    return float(np.square(rows).sum() / 2 / len(users))


def test_the_published_ngcf_has_self_loops_in_both_terms_and_penalises_its_outputs() -> None:
    model = NGCF(GRAPH, dim=5, n_layers=2, message_dropout=0.0, variant="published")
    found, means = parameters_of(model), mean_of_neighbours(adjacency() + np.eye(GRAPH.n_nodes))
    state = found["initial_embeddings"]
    layers = [state]
    for layer in range(2):
        neighbours = means @ state
        raw = neighbours @ found[f"own.{layer}"] + found[f"biases.{layer}"]
        raw += (neighbours * state) @ found[f"shared.{layer}"] + found[f"shared_biases.{layer}"]
        state = leaky(raw)
        layers.append(state / np.linalg.norm(state, axis=1, keepdims=True))
    assert_scores_are_products(model, np.hstack(layers))
    assert model(BATCH).l2.item() == pytest.approx(l2_of_final(np.hstack(layers)), rel=1e-4)


def test_the_published_gc_mc_scores_by_the_inner_product() -> None:
    model = GCMC(GRAPH, dim=5, dropout=0.0, variant="published")
    found = parameters_of(model)
    hidden = leaky(mean_of_neighbours(adjacency()) @ found["initial_embeddings"] @ found["convolution"] + found["bias"])
    final = hidden @ found["dense"] + found["dense_bias"]
    assert_scores_are_products(model, final)
    assert model(BATCH).l2.item() == pytest.approx(l2_of_final(final), rel=1e-4)


def test_ngcf_without_products_and_activations_is_a_linear_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ltocf.models.ngcf.leaky_relu", lambda values, slope: values)
    monkeypatch.setattr("ltocf.models.ngcf.normalize", lambda values: values)
    model = NGCF(GRAPH, dim=5, n_layers=2, message_dropout=0.0)
    with torch.no_grad():
        for own, shared in zip(model.own, model.shared, strict=True):
            own.copy_(torch.eye(5))
            shared.zero_()
    start = model.initial_embeddings
    once = GRAPH(start) + start
    torch.testing.assert_close(model.propagate(start), torch.cat([start, once, GRAPH(once) + once], dim=1))


def test_gc_mc_follows_its_equation() -> None:
    model = GCMC(GRAPH, dim=5)
    found = parameters_of(model)
    encoded = np.maximum(normalised(adjacency()) @ found["initial_embeddings"], 0) @ found["dense"]
    encoded[: LOG.n_users] = encoded[: LOG.n_users] @ found["decoder"]
    assert_scores_are_products(model, encoded)


@pytest.mark.parametrize("build", [GRMF, GRMFNorm])
def test_the_loss_of_grmf_is_that_of_mf_plus_the_energy_of_the_laplacian(build: type[GRMF]) -> None:
    model, plain = build(GRAPH, dim=5, smoothness=0.3), MF(GRAPH, dim=5)
    assert model.scores(USERS).equal(plain.scores(USERS))
    start = parameters_of(model)["initial_embeddings"]
    pairs = Batch(torch.tensor(LOG.users), torch.tensor(LOG.items), torch.tensor(LOG.items))
    matrix = adjacency()
    plain_laplacian = np.diag(matrix.sum(1)) - matrix
    laplacian = np.eye(GRAPH.n_nodes) - normalised(matrix) if build is GRMFNorm else plain_laplacian
    expected = np.trace(start.T @ laplacian @ start) / len(LOG)
    assert model.energy(pairs).item() == pytest.approx(expected, rel=1e-4)
    terms, plain_terms = model(BATCH), plain(BATCH)
    assert terms.ranking.item() == pytest.approx(plain_terms.ranking.item() + 0.3 * model.energy(BATCH).item())
    assert build(GRAPH, dim=5, smoothness=0.0)(BATCH).ranking.equal(plain_terms.ranking)


def test_models_without_layers_are_mf() -> None:
    plain = MF(GRAPH, dim=5)
    for build in (LRGCCF, NGCF, LightGCN):
        model = build(GRAPH, dim=5, n_layers=0)
        with torch.no_grad():
            model.initial_embeddings.copy_(plain.initial_embeddings)
        assert model.scores(USERS).equal(plain.scores(USERS))


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (NGCF, {"node_dropout": 0.5, "message_dropout": 0.0}),
        (NGCF, {"node_dropout": 0.0, "message_dropout": 0.5, "variant": "published"}),
        (GCMC, {"dropout": 0.5}),
        (GCMC, {"dropout": 0.5, "variant": "published"}),
    ],
)
def test_dropout_is_active_in_training_mode_only(build: Any, options: dict[str, Any]) -> None:
    model = build(GRAPH, dim=5, **options)
    model.train()
    torch.manual_seed(0)
    first, second = (model.propagate(model.initial_embeddings) for _ in range(2))
    assert not first.equal(second)
    model.eval()
    assert model.propagate(model.initial_embeddings).equal(model.propagate(model.initial_embeddings))


def test_the_gradient_of_lr_gccf_is_that_of_the_equation() -> None:
    """Against finite differences of the loss of the NumPy version."""
    model = LRGCCF(BipartiteGraph.from_interactions(LOG), dim=3, n_layers=1).double()  # its own graph, double too
    smoothing = normalised(adjacency() + np.eye(GRAPH.n_nodes))
    model(BATCH).ranking.backward()

    def loss(start: np.ndarray) -> float:
        final = torch.from_numpy(np.hstack([start, smoothing @ start]))
        users, positives, negatives = (
            final[nodes] for nodes in (BATCH.users, BATCH.positives + LOG.n_users, BATCH.negatives + LOG.n_users)
        )
        return float(softplus((users * negatives).sum(1) - (users * positives).sum(1)).mean())

    start = parameters_of(model)["initial_embeddings"]
    direction = np.random.default_rng(0).normal(size=start.shape)
    slope = (loss(start + 1e-6 * direction) - loss(start - 1e-6 * direction)) / 2e-6
    gradient = model.initial_embeddings.grad
    assert gradient is not None
    assert (gradient.numpy() * direction).sum() == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (GRMF, {"smoothness": -1.0}, "`smoothness` must be finite and >= 0, got -1.0"),
        (LRGCCF, {"n_layers": -1}, "`n_layers` must be >= 0, got -1"),
        (NGCF, {"n_layers": -1}, "`n_layers` must be >= 0, got -1"),
        (NGCF, {"node_dropout": 1.0}, r"`node_dropout` must be in \[0, 1\), got 1.0"),
        (GCMC, {"dropout": -0.1}, r"`dropout` must be in \[0, 1\), got -0.1"),
    ],
)
def test_invalid_options_are_rejected_with_the_rule_and_the_value(
    build: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build(GRAPH, dim=4, **options)


@pytest.mark.parametrize("build", [GRMF, GRMFNorm])
def test_the_energy_of_a_sampled_batch_weighs_pairs_as_the_sampler_does(build: type[GRMF]) -> None:
    """One user has 30 distant items, 30 users have a near one. BPR weighs users equally, the softmax pairs."""
    log = Interactions.from_pairs([0] * 30 + list(range(1, 31)), [*range(30)] + [30] * 30, 31, 31)
    for loss in LOSSES:
        model = build(BipartiteGraph.from_interactions(log), dim=3, smoothness=1.0, loss=loss, n_negatives=2)
        with torch.no_grad():
            model.initial_embeddings[log.n_users : log.n_users + 30] *= 10
        rows = model.initial_embeddings.detach() * model.scales
        users, items = torch.tensor(log.users), torch.tensor(log.items)
        distances = (rows[users] - rows[items + log.n_users]).square().sum(1).double().numpy()
        weights = 1 / log.user_degrees[log.users] if loss != "softmax" else np.ones(len(log))
        expected = float((weights * distances).sum() / weights.sum())
        batches = model.batches(log, 60, seed=0)
        with torch.no_grad():
            drawn = [model.energy(batch).item() for epoch in range(200) for batch in batches.epoch(epoch)]
        assert np.mean(drawn) == pytest.approx(expected, rel=0.03)
