"""A model grown to a larger graph keeps what the smaller one learned; new nodes start from their neighbours."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from ltocf.data import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS, build_model
from samples import random_interactions

OLD = random_interactions(9, 12)
NEW_PAIRS = ([9, 9, 10, 0, 11], [0, 3, 12, 12, 13])
"""User 9 has known items and item 12 a known user; user 10 has only the new item 12; 11 and 13 have only each other."""


def grow(name: str, **options: object) -> tuple[torch.nn.Module, torch.nn.Module, BipartiteGraph]:
    users, items = ([*part.tolist(), *new] for part, new in zip((OLD.users, OLD.items), NEW_PAIRS, strict=True))
    graph = BipartiteGraph.from_interactions(Interactions.from_pairs(users, items, 12, 14))
    smaller = build_model(name, BipartiteGraph.from_interactions(OLD), options, seed=1)
    smaller.prepare()
    larger = build_model(name, graph, options, seed=2)
    larger.grow_from(smaller, graph)
    return smaller, larger, graph


@pytest.mark.parametrize("name", MODELS)
def test_every_model_grows_and_scores(name: str) -> None:
    _, larger, _ = grow(name)
    scores = larger.scores(torch.arange(12))  # type: ignore[operator]
    assert scores.shape == (12, 14)
    assert torch.isfinite(scores).all()


def test_known_rows_stay_and_new_ones_are_means_of_neighbours() -> None:
    smaller, larger, graph = grow("lightgcn", dim=4)
    before, after = smaller.initial_embeddings.detach(), larger.initial_embeddings.detach()
    assert after[:9].equal(before[:9])
    assert after[12:24].equal(before[9:])
    user, item = after[9], after[12 + 12]
    known_neighbours = graph.dense()[9, 12:24] @ before[9:]
    torch.testing.assert_close(normalize(user, dim=0), normalize(known_neighbours, dim=0))
    torch.testing.assert_close(user.norm(), before[:9].norm(dim=1).mean())
    torch.testing.assert_close(normalize(item, dim=0), normalize(before[0], dim=0))
    torch.testing.assert_close(normalize(after[10], dim=0), normalize(item, dim=0))  # its only item is new


def test_nodes_without_known_neighbours_keep_their_random_start() -> None:
    _, larger, graph = grow("mf", dim=4)
    built = build_model("mf", graph, {"dim": 4}, seed=2)
    assert larger.initial_embeddings[11].equal(built.initial_embeddings[11])
    assert larger.initial_embeddings[12 + 13].equal(built.initial_embeddings[12 + 13])


def test_learned_times_and_numbers_are_kept() -> None:
    smaller, larger, _ = grow("ltocf", dim=4, n_times=2)
    assert larger.learned() == smaller.learned()
    smaller, larger, _ = grow("spectral", rank=4)
    assert larger.learned() == smaller.learned()


def test_new_users_start_with_the_mean_running_loss() -> None:
    _, larger, graph = grow("lightgcn", dim=4, loss="softmax", adaptive_temperature=1.0)
    smaller = build_model(
        "lightgcn",
        BipartiteGraph.from_interactions(OLD),
        {"dim": 4, "loss": "softmax", "adaptive_temperature": 1.0},
    )
    smaller.user_losses.copy_(torch.arange(9.0))
    larger.grow_from(smaller, graph)
    assert larger.user_losses.tolist() == [*range(9), 4.0, 4.0, 4.0]
