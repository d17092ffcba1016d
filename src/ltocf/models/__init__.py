"""Parameters become scores: one file per paper, one registry for the CLI, the configs and Python."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ltocf.graph import BipartiteGraph
from ltocf.losses import LossTerms
from ltocf.models.als import ALS
from ltocf.models.base import GradientRecommender, ListScorer, Recommender
from ltocf.models.blend import Blend
from ltocf.models.cmn import CMN
from ltocf.models.ease import EASE
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.models.embedding_scorer import EmbeddingScorer
from ltocf.models.gcmc import GCMC
from ltocf.models.grmf import GRMF, GRMFNorm
from ltocf.models.history import HistoryMap, HistoryRecommender
from ltocf.models.history_regression import HistoryRegression
from ltocf.models.hoprec import HOPRec
from ltocf.models.installed import register_installed
from ltocf.models.lightgcn import LightGCN
from ltocf.models.limits import check_largest
from ltocf.models.lrgccf import LRGCCF
from ltocf.models.ltocf import LTOCF
from ltocf.models.mf import MF
from ltocf.models.multvae import MultVAE
from ltocf.models.neighbours import ItemKNN, RP3beta
from ltocf.models.neumf import NeuMF
from ltocf.models.ngcf import NGCF
from ltocf.models.objective import Objective, ObjectiveOptions
from ltocf.models.pinsage import PinSage
from ltocf.models.popularity import MostPopular, Popularity
from ltocf.models.recency import Recency
from ltocf.models.sequence import SequenceKNN
from ltocf.models.spectral import SpectralLTOCF
from ltocf.models.spectral_start import start_from_spectrum
from ltocf.models.starts import STARTS, start_from_factorisation
from ltocf.models.user_map import Contributions, LinearModel, ScoreMap, SummedModel, UserMap
from ltocf.spelling import did_you_mean, not_one_of

MODELS: dict[str, type[Recommender]] = {
    "ltocf": LTOCF,
    "spectral": SpectralLTOCF,
    "ease": EASE,
    "item-knn": ItemKNN,
    "rp3beta": RP3beta,
    "history-regression": HistoryRegression,
    "sequence-knn": SequenceKNN,
    "als": ALS,
    "popularity": MostPopular,
    "blend": Blend,
    "lightgcn": LightGCN,
    "lr-gccf": LRGCCF,
    "ngcf": NGCF,
    "gc-mc": GCMC,
    "pinsage": PinSage,
    "hop-rec": HOPRec,
    "grmf": GRMF,
    "grmf-norm": GRMFNorm,
    "mult-vae": MultVAE,
    "cmn": CMN,
    "neumf": NeuMF,
    "mf": MF,
}
"""Trainable models by the names they have in the CLI, in configs and in results. `find_model` adds the models of other
installed packages when it is first given a name that is not here."""


def find_model(name: str) -> type[Recommender]:
    """The class of a model by its name; other installed packages may provide it.

    Raises:
        ValueError: an unknown model; the error lists the known ones.

    Example:
        >>> find_model("hop-rec").options()
        {'dim': 64, 'n_orders': 3, 'margin': 1.0}
    """
    if name not in MODELS:
        register_installed(MODELS)
    if name not in MODELS:
        raise ValueError(not_one_of("`model`", name, MODELS, "`ltocf models` lists them"))
    return MODELS[name]


def build_model(name: str, graph: BipartiteGraph, options: Mapping[str, Any], *, seed: int = 0) -> Recommender:
    """A model by its name, with its options.

    Raises:
        ValueError: an unknown model or option, a value that the model refuses, or a count beyond reason.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> build_model("mf", graph, {"dim": 3}).dim
        3
    """
    model = find_model(name)
    known = model.options()
    if unknown := [option for option in options if option not in known]:
        raise ValueError(no_option(name, unknown[0], known))
    check_largest(options)
    construct: Callable[..., Recommender] = model
    return construct(graph, **options, seed=seed)


def no_option(model: str, name: str, options: Iterable[str]) -> str:
    """The message for an option that a model does not have.

    Example:
        >>> no_option("mf", "dimm", ["dim", "loss"]), no_option("mf", "horizon", ["dim", "loss"])
        ('mf has no option `dimm`; did you mean `dim`?', 'mf has no option `horizon`; it has dim, loss')
    """
    known = list(options)
    listed = f"it has {', '.join(known)}"
    return f"{model} has no option `{name}`; {did_you_mean(name, known, listed)}"


__all__ = [
    "ALS",
    "CMN",
    "EASE",
    "GCMC",
    "GRMF",
    "LRGCCF",
    "LTOCF",
    "MF",
    "MODELS",
    "NGCF",
    "STARTS",
    "Blend",
    "Contributions",
    "EmbeddingRecommender",
    "EmbeddingScorer",
    "GRMFNorm",
    "GradientRecommender",
    "HOPRec",
    "HistoryMap",
    "HistoryRecommender",
    "HistoryRegression",
    "ItemKNN",
    "LightGCN",
    "LinearModel",
    "ListScorer",
    "LossTerms",
    "MostPopular",
    "MultVAE",
    "NeuMF",
    "Objective",
    "ObjectiveOptions",
    "PinSage",
    "Popularity",
    "RP3beta",
    "Recency",
    "Recommender",
    "ScoreMap",
    "SequenceKNN",
    "SpectralLTOCF",
    "SummedModel",
    "UserMap",
    "build_model",
    "find_model",
    "start_from_factorisation",
    "start_from_spectrum",
]
