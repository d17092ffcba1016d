"""The warm start is the truncated SVD, whatever the response of the model."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS, EmbeddingRecommender, spectral_start
from ltocf.models.spectral_start import start_from_spectrum
from samples import random_interactions


def regular_graph() -> BipartiteGraph:
    """Every user and every item has three neighbours, so that degrees scale nothing."""
    users = torch.arange(12).repeat_interleave(3)
    items = (users + torch.tensor([0, 1, 4]).repeat(12)) % 12
    return BipartiteGraph.from_interactions(Interactions.from_pairs(users.numpy(), items.numpy(), 12, 12))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mf", {}),
        ("lightgcn", {"n_layers": 2}),
        ("ltocf", {"tolerance": 1e-9}),
        ("ltocf", {"solver": "exact", "connection": "residual", "n_times": 0, "horizon": 2.0, "tolerance": 1e-9}),
    ],
    ids=str,
)
def test_scores_are_those_of_the_truncated_svd(name: str, options: dict[str, Any]) -> None:
    graph = regular_graph()
    normalised = graph.dense()[:12, 12:].double()
    left, singular_values, right = torch.linalg.svd(normalised)
    rank = int((singular_values > singular_values[4] + 1e-6).sum())  # cut where no singular value is repeated
    expected = (left[:, :rank] * singular_values[:rank]) @ right[:rank]
    model = MODELS[name](graph, dim=rank, **options)
    assert isinstance(model, EmbeddingRecommender)
    start_from_spectrum(model, graph)
    scores = model.scores(torch.arange(12)).double()
    torch.testing.assert_close(scores / scores.norm(), expected / expected.norm(), atol=1e-4, rtol=0)


def test_length_grows_with_the_degree_and_the_deviation_is_that_of_a_random_start() -> None:
    log = random_interactions()
    graph = BipartiteGraph.from_interactions(log)
    model = MODELS["mf"](graph, dim=8)
    assert isinstance(model, EmbeddingRecommender)
    start_from_spectrum(model, graph)
    assert model.initial_embeddings.square().mean().sqrt().item() == pytest.approx(0.1, rel=1e-4)
    lengths = model.initial_embeddings[log.n_users :].detach().norm(dim=1)
    degrees = graph.item_degrees
    assert lengths[degrees >= 7].mean() > 1.5 * lengths[degrees <= 3].mean()


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, model in MODELS.items()
        if "spectral" in model.starts and issubclass(model, EmbeddingRecommender)  # a blend passes it on to its members
    ],
)
def test_the_number_of_columns_at_a_time_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = BipartiteGraph.from_interactions(random_interactions())
    starts = []
    for columns in (3, 100):
        monkeypatch.setattr(spectral_start, "COLUMNS_AT_A_TIME", columns)
        model = MODELS[name](graph, dim=8)
        assert isinstance(model, EmbeddingRecommender)
        start_from_spectrum(model, graph)
        starts.append(model.initial_embeddings.detach())
    torch.testing.assert_close(starts[0], starts[1], rtol=1e-5, atol=1e-6)


def test_columns_beyond_the_rank_stay_random() -> None:
    graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 0, 1], [0, 1, 2], 3, 4))
    model, untouched = (MODELS["ltocf"](graph, dim=6) for _ in range(2))
    start_from_spectrum(model, graph)
    before, after = untouched.initial_embeddings, model.initial_embeddings
    assert torch.isfinite(after).all()
    assert after[:, 2:].equal(before[:, 2:])
    assert not after[:, :2].isclose(before[:, :2]).any()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_start_on_a_gpu_is_that_on_the_cpu() -> None:
    graph = BipartiteGraph.from_interactions(random_interactions())
    on_cpu, on_gpu = (MODELS["mf"](graph, dim=4) for _ in range(2))
    assert isinstance(on_cpu, EmbeddingRecommender)
    assert isinstance(on_gpu, EmbeddingRecommender)
    start_from_spectrum(on_cpu, graph)
    start_from_spectrum(on_gpu.to("cuda"), graph.to("cuda"))
    scores = [model.scores(torch.arange(graph.n_users).to(model.device)).cpu() for model in (on_cpu, on_gpu)]
    torch.testing.assert_close(*scores, atol=1e-4, rtol=1e-3)
