"""Parameters become scores: one file per paper, one registry for the CLI, the configs and Python."""

from collections.abc import Callable

from ltocf.models.base import GradientRecommender, ListScorer, LossTerms, Recommender
from ltocf.models.embedding import EmbeddingRecommender, EmbeddingScorer, Objective
from ltocf.models.lightgcn import LightGCN
from ltocf.models.ltocf import LTOCF
from ltocf.models.mf import MF
from ltocf.models.popularity import Popularity
from ltocf.models.spectral import SpectralLTOCF
from ltocf.models.spectral_start import start_from_spectrum

MODELS: dict[str, Callable[..., Recommender]] = {
    "ltocf": LTOCF,
    "spectral": SpectralLTOCF,
    "lightgcn": LightGCN,
    "mf": MF,
}
"""Every trainable model by the name it has in the CLI, in configs and in results."""

__all__ = [
    "LTOCF",
    "MF",
    "MODELS",
    "EmbeddingRecommender",
    "EmbeddingScorer",
    "GradientRecommender",
    "LightGCN",
    "ListScorer",
    "LossTerms",
    "Objective",
    "Popularity",
    "Recommender",
    "SpectralLTOCF",
    "start_from_spectrum",
]
