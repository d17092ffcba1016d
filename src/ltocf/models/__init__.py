"""Parameters become scores: one file per paper, one registry for the CLI, the configs and Python."""

from collections.abc import Callable

from ltocf.models.base import GradientRecommender, ListScorer, LossTerms, Recommender
from ltocf.models.cmn import CMN
from ltocf.models.embedding import EmbeddingRecommender, EmbeddingScorer, Objective
from ltocf.models.gcmc import GCMC
from ltocf.models.grmf import GRMF, GRMFNorm
from ltocf.models.hoprec import HOPRec
from ltocf.models.lightgcn import LightGCN
from ltocf.models.lrgccf import LRGCCF
from ltocf.models.ltocf import LTOCF
from ltocf.models.mf import MF
from ltocf.models.multvae import MultVAE
from ltocf.models.neumf import NeuMF
from ltocf.models.ngcf import NGCF
from ltocf.models.pinsage import PinSage
from ltocf.models.popularity import Popularity
from ltocf.models.spectral import SpectralLTOCF
from ltocf.models.spectral_start import start_from_spectrum
from ltocf.models.user_map import Contributions, LinearModel, UserMap

MODELS: dict[str, Callable[..., Recommender]] = {
    "ltocf": LTOCF,
    "spectral": SpectralLTOCF,
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
"""Every trainable model by the name it has in the CLI, in configs and in results."""

__all__ = [
    "CMN",
    "GCMC",
    "GRMF",
    "LRGCCF",
    "LTOCF",
    "MF",
    "MODELS",
    "NGCF",
    "Contributions",
    "EmbeddingRecommender",
    "EmbeddingScorer",
    "GRMFNorm",
    "GradientRecommender",
    "HOPRec",
    "LightGCN",
    "LinearModel",
    "ListScorer",
    "LossTerms",
    "MultVAE",
    "NeuMF",
    "Objective",
    "PinSage",
    "Popularity",
    "Recommender",
    "SpectralLTOCF",
    "UserMap",
    "start_from_spectrum",
]
