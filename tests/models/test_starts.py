"""Starting from a factorisation: what is copied, and which models can."""

from __future__ import annotations

import pytest
import torch

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import CMN, MF, Blend, LightGCN, MultVAE, NeuMF, start_from_factorisation
from ltocf.models.starts import STARTS
from ltocf.training import TrainingSettings, fit

SETTINGS = TrainingSettings(learning_rate=0.02, batch_size=64, epochs=2)


def test_the_start_is_a_trained_factorisation(graph: BipartiteGraph, interactions: Interactions) -> None:
    factors = MF(graph, dim=4, seed=3)
    fit(factors, factors.batches(interactions, 64, seed=3), settings=SETTINGS)
    users, items = factors.embeddings()
    cmn, lightgcn = CMN(graph, dim=4), LightGCN(graph, dim=4)
    for model in (cmn, lightgcn):
        start_from_factorisation(model, graph, interactions, SETTINGS, seed=3)
    assert cmn.user_memory.equal(users)
    assert cmn.item_embeddings.equal(items)
    assert lightgcn.initial_embeddings.equal(torch.cat([users, items]))
    assert lightgcn.initial_embeddings.requires_grad


def test_a_model_without_an_embedding_of_every_node_is_refused(
    graph: BipartiteGraph, interactions: Interactions
) -> None:
    with pytest.raises(ValueError, match='`init = "mf"` needs a model with an embedding of every node, got MultVAE'):
        start_from_factorisation(MultVAE(graph, dim=4), graph, interactions, SETTINGS, seed=0)


def test_neumf_starts_its_first_table_from_a_factorisation(graph: BipartiteGraph, interactions: Interactions) -> None:
    factors = MF(graph, dim=4, seed=3)
    fit(factors, factors.batches(interactions, 64, seed=3), settings=SETTINGS)
    tables = []
    for variant in ("source", "published"):
        model = NeuMF(graph, dim=4, variant=variant)
        start_from_factorisation(model, graph, interactions, SETTINGS, seed=3)
        tables.append(model.gmf_embeddings if variant == "source" else model.embeddings)
    assert all(table.equal(factors.initial_embeddings) for table in tables)


def test_the_members_of_a_blend_that_can_start_from_the_spectrum_do(
    graph: BipartiteGraph, interactions: Interactions
) -> None:
    alone, blend = LightGCN(graph, dim=4), Blend(graph, [{"model": "lightgcn", "dim": 4}, "ease"])
    for model in (alone, blend):
        STARTS["spectral"](model, graph, interactions, SETTINGS, 0, None)
    (member, _) = blend.models
    assert isinstance(member, LightGCN)
    assert member.initial_embeddings.equal(alone.initial_embeddings)
    assert not member.initial_embeddings.equal(LightGCN(graph, dim=4).initial_embeddings)
