"""Parameters become scores: one file per paper, one registry for the CLI, the configs and Python."""

from collections.abc import Callable

from ltocf.models.base import EmbeddingRecommender, EmbeddingScorer, LossTerms, Objective, Recommender
from ltocf.models.lightgcn import LightGCN
from ltocf.models.ltocf import LTOCF
from ltocf.models.mf import MF
from ltocf.models.popularity import Popularity

MODELS: dict[str, Callable[..., EmbeddingRecommender]] = {"ltocf": LTOCF, "lightgcn": LightGCN, "mf": MF}
"""Every trainable model by the name it has in the CLI, in configs and in results."""

__all__ = [
    "LTOCF",
    "MF",
    "MODELS",
    "EmbeddingRecommender",
    "EmbeddingScorer",
    "LightGCN",
    "LossTerms",
    "Objective",
    "Popularity",
    "Recommender",
]
