"""Initial embeddings other than random ones: from a simpler model that is trained first, or from the spectrum."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models.base import Recommender
from ltocf.models.blend import Blend
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.mf import MF
from ltocf.models.spectral_start import start_from_spectrum
from ltocf.training import FitContext, TrainingSettings, fit


def start_from_factorisation(
    model: Recommender,
    graph: BipartiteGraph,
    train: Interactions,
    settings: TrainingSettings,
    seed: int,
    context: FitContext | None = None,
) -> None:
    """Replace the random embeddings of ``model`` by those of MF, trained by BPR on the same pairs.

    Args:
        model: one with an embedding of every node, on its device.
        graph: the graph of ``train``.
        train: the training pairs.
        settings: settings of MF's training, with its number of epochs.
        seed: seed of MF.
        context: its deadline holds for MF too.

    Raises:
        ValueError: a model without embeddings to start from.

    Source: Ebesu, Shen, Fang, SIGIR 2018, section 4.1, https://doi.org/10.1145/3209978.3209991, for CMN. Differs: MF is
    GMF with equal weights, which the embeddings can take over.
    """
    _check_start(model, "mf")
    factors = MF(graph, model.dim, seed=seed).to(model.device)
    batches = factors.batches(train, settings.batch_size_for(len(train)), seed, model.device)
    context = context or FitContext()
    own_context = FitContext(deadline=context.deadline, show_progress=context.show_progress, description="initial mf")
    fit(factors, batches, settings=settings, context=own_context)
    model.start_from(*(side.detach() for side in factors.embeddings()))


def _spectral(
    model: Recommender,
    graph: BipartiteGraph,
    _train: Interactions,
    _settings: TrainingSettings,
    seed: int,
    _context: FitContext | None = None,
) -> None:
    """`start_from_spectrum` of the model, or of each member of a blend that can start so."""
    _check_start(model, "spectral")
    for each in model.models if isinstance(model, Blend) else [model]:
        if "spectral" in each.starts:
            start_from_spectrum(cast(EmbeddingRecommender, each), graph.to(model.device), seed)


def _check_start(model: Recommender, start: str) -> None:
    if start not in model.starts:
        raise ValueError(
            f'`init = "{start}"` needs a model with an embedding of every node'
            f"{' and a final one as wide' if start == 'spectral' else ''}, got {type(model).__name__}"
        )


Start = Callable[[Recommender, BipartiteGraph, Interactions, TrainingSettings, int, FitContext | None], None]

STARTS: dict[str, Start] = {
    "random": lambda *_: None,
    "spectral": _spectral,
    "mf": start_from_factorisation,
}
"""Where initial embeddings come from, by the names of the setting `init`; what a model can take is in its `starts`."""
