"""Mult-VAE against NumPy, its likelihood against a multinomial, its annealing, and its fold-in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multinomial

from ltocf.graph import BipartiteGraph
from ltocf.models import MultVAE
from ltocf.models.multvae import divergence
from ltocf.sampling import Batch
from samples import random_interactions

LOG = random_interactions()
GRAPH = BipartiteGraph.from_interactions(LOG)
USERS = torch.arange(LOG.n_users)
NO_ITEMS = torch.empty(0, dtype=torch.int64)


def logits(model: MultVAE, histories: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """f(μ), μ and log σ² of whole histories, step by step."""
    weights = {name: value.detach().double().numpy() for name, value in model.weights.items()}
    biases = {name: value.detach().double().numpy() for name, value in model.biases.items()}
    inputs = histories / np.linalg.norm(histories, axis=1, keepdims=True)
    moments = np.tanh(inputs @ weights["encoder"].T + biases["encoder"]) @ weights["moments"].T + biases["moments"]
    mean, log_variance = moments[:, : model.dim], moments[:, model.dim :]
    hidden = np.tanh(mean @ weights["decoder"].T + biases["decoder"])
    return hidden @ weights["output"].T + biases["output"], mean, log_variance


def test_scores_follow_the_equation() -> None:
    model = MultVAE(GRAPH, dim=4, hidden=6)
    expected, _, _ = logits(model, LOG.matrix().toarray().astype(float))
    np.testing.assert_allclose(model.scores(USERS).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_loss_is_that_of_a_multinomial_and_a_normal() -> None:
    model = MultVAE(GRAPH, dim=4, hidden=6, largest_beta=0.5, annealing_steps=10).eval()
    model.n_steps.fill_(4)
    histories = LOG.matrix().toarray().astype(float)[:5]
    scores, mean, log_variance = logits(model, histories)
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    # The multinomial coefficient does not depend on the model; the paper leaves it out.
    log_coefficients = [
        multinomial.logpmf(row, int(row.sum()), np.full(LOG.n_items, 1 / LOG.n_items)) for row in histories
    ]
    log_coefficients = [
        value + row.sum() * np.log(LOG.n_items) for value, row in zip(log_coefficients, histories, strict=True)
    ]
    likelihood = [
        multinomial.logpmf(row, int(row.sum()), share / share.sum()) - coefficient
        for row, share, coefficient in zip(histories, shares, log_coefficients, strict=True)
    ]
    divergences = (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(1) / 2
    terms = model(Batch(USERS[:5], NO_ITEMS, NO_ITEMS))
    assert terms.ranking.item() == pytest.approx(np.mean(0.5 * 0.4 * divergences - likelihood), rel=1e-5)


def test_divergence_is_that_of_torch() -> None:
    mean, log_variance = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance), expected)


def test_beta_rises_to_its_largest_and_is_saved() -> None:
    model = MultVAE(GRAPH, dim=4, hidden=6, largest_beta=0.2, annealing_steps=2)
    betas = []
    for _ in range(4):
        betas.append(model.beta().item())
        model(Batch(USERS, NO_ITEMS, NO_ITEMS))
    assert betas == pytest.approx([0.0, 0.1, 0.2, 0.2])
    loaded = MultVAE(GRAPH, dim=4, hidden=6, largest_beta=0.2, annealing_steps=2)
    loaded.load_state_dict(model.state_dict())
    assert loaded.beta().item() == pytest.approx(0.2)


def test_histories_are_scored_as_users_are_and_without_dropout() -> None:
    model = MultVAE(GRAPH, dim=4, hidden=6, dropout=0.5).train()
    assert model.history_scores(GRAPH.histories(USERS)).equal(model.scores(USERS))
    assert model.training


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 0}, "`hidden` must be >= 1, got 0"),
        ({"annealing_steps": 0}, "`annealing_steps` must be >= 1, got 0"),
        ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\), got 1.0"),
        ({"largest_beta": -1.0}, "`largest_beta` must be finite and >= 0, got -1.0"),
    ],
)
def test_invalid_options_are_rejected_with_the_rule_and_the_value(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MultVAE(GRAPH, **options)


def test_dropout_applies_to_normalised_histories() -> None:
    """With a dropout of one half the items kept of n have entries of 2 / sqrt(n), however many are kept."""
    model = MultVAE(GRAPH, dim=4, hidden=6, dropout=0.5).train()
    histories = GRAPH.histories(USERS)
    layer_inputs: list[torch.Tensor] = []
    original = torch.nn.functional.linear

    def linear(inputs: torch.Tensor, *arguments: torch.Tensor) -> torch.Tensor:
        layer_inputs.append(inputs.detach())
        return original(inputs, *arguments)

    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ltocf.models.multvae.linear", linear)
        model.encode(histories)
    inputs = layer_inputs[0]
    expected = (2 / histories.sum(1, keepdim=True).sqrt()).expand_as(inputs)
    kept = inputs > 0
    torch.testing.assert_close(inputs[kept], expected[kept])
    assert 0.4 < kept.sum() / histories.sum() < 0.6
    assert not (kept & (histories == 0)).any()
