"""Initial embeddings from a simpler model that is trained first."""

from __future__ import annotations

from dataclasses import replace

import torch

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import CMN, MF, EmbeddingRecommender, GradientRecommender
from ltocf.training.fit import TrainingSettings, fit


@torch.no_grad()
def start_from_factorisation(
    model: GradientRecommender, graph: BipartiteGraph, train: Interactions, settings: TrainingSettings, seed: int
) -> None:
    """Replace the random embeddings of ``model`` by those of MF, trained by BPR on the same pairs.

    Args:
        model: CMN or a model of embeddings, on its device.
        graph: of ``train``.
        train: the training pairs.
        settings: of MF's training; its epochs are those of MF.
        seed: of MF.

    Raises:
        ValueError: a model without embeddings to start from.

    Source: Ebesu, Shen, Fang, SIGIR 2018, section 4.1, https://doi.org/10.1145/3209978.3209991, for CMN. Differs: MF is
    GMF with equal weights, which the embeddings can take over.
    """
    if not isinstance(model, CMN | EmbeddingRecommender):
        raise ValueError(f'`init = "mf"` needs a model with an embedding of every node, got {type(model).__name__}')
    weights = model.user_memory if isinstance(model, CMN) else model.initial_embeddings
    factors = MF(graph, weights.shape[1], seed=seed).to(weights.device)
    plain = replace(settings, cuda_graphs=False, max_minutes=0.0)
    batches = factors.batches(train, settings.batch_size_for(len(train)), seed, weights.device)
    with torch.enable_grad():
        fit(factors, batches, settings=plain)
    if isinstance(model, CMN):
        model.start_from(*factors.embeddings())
    else:
        model.initial_embeddings.copy_(factors.initial_embeddings)
