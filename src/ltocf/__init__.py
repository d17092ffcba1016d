"""Learnable-Time ODE-based Collaborative Filtering: recommend items to users from nothing but who touched what.

Names are imported when they are first used, so that ``import ltocf`` costs nothing and changes nothing.

Example:
    >>> import ltocf, tempfile
    >>> folder = tempfile.mkdtemp() + "/run"
    >>> metrics = ltocf.train("movielens-small", folder, epochs=1, dim=8, n_negatives=256, show_progress=False)
    >>> ltocf.load(folder).recommend([1], k=3).columns
    ['user', 'rank', 'item', 'score', 'title']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from ltocf.data import Dataset, Histories, IdMap, Interactions, Names, Split, load_dataset
    from ltocf.evaluation import evaluate
    from ltocf.graph import BipartiteGraph
    from ltocf.models import (
        ALS,
        CMN,
        EASE,
        GCMC,
        GRMF,
        LRGCCF,
        LTOCF,
        MF,
        MODELS,
        NGCF,
        Blend,
        GRMFNorm,
        HistoryRegression,
        HOPRec,
        ItemKNN,
        LightGCN,
        MostPopular,
        MultVAE,
        NeuMF,
        PinSage,
        Popularity,
        RP3beta,
        SequenceKNN,
        SpectralLTOCF,
    )
    from ltocf.report.comparison import compare
    from ltocf.runs.config import Config
    from ltocf.runs.experiment import evaluate_run, export_to_hub, load, resume, train, train_config
    from ltocf.runs.production import fit
    from ltocf.runs.recommender import LTOCFRecommender
    from ltocf.runs.typed import Settings
    from ltocf.runs.update import update
    from ltocf.serving import TrainedModel

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
    "BipartiteGraph",
    "Blend",
    "Config",
    "Dataset",
    "GRMFNorm",
    "HOPRec",
    "Histories",
    "HistoryRegression",
    "IdMap",
    "Interactions",
    "ItemKNN",
    "LTOCFRecommender",
    "LightGCN",
    "MostPopular",
    "MultVAE",
    "Names",
    "NeuMF",
    "PinSage",
    "Popularity",
    "RP3beta",
    "SequenceKNN",
    "Settings",
    "SpectralLTOCF",
    "Split",
    "TrainedModel",
    "compare",
    "evaluate",
    "evaluate_run",
    "export_to_hub",
    "fit",
    "load",
    "load_dataset",
    "resume",
    "train",
    "train_config",
    "update",
]

_HOMES = {
    "ltocf.data": ("Dataset", "Histories", "IdMap", "Interactions", "Names", "Split", "load_dataset"),
    "ltocf.evaluation": ("evaluate",),
    "ltocf.graph": ("BipartiteGraph",),
    "ltocf.models": (
        "ALS",
        "CMN",
        "EASE",
        "GCMC",
        "GRMF",
        "GRMFNorm",
        "HOPRec",
        "HistoryRegression",
        "ItemKNN",
        "LRGCCF",
        "LTOCF",
        "LightGCN",
        "MF",
        "MODELS",
        "MostPopular",
        "MultVAE",
        "NGCF",
        "NeuMF",
        "PinSage",
        "Popularity",
        "RP3beta",
        "SequenceKNN",
        "SpectralLTOCF",
        "Blend",
    ),
    "ltocf.report.comparison": ("compare",),
    "ltocf.runs.config": ("Config",),
    "ltocf.runs.experiment": ("evaluate_run", "export_to_hub", "load", "resume", "train", "train_config"),
    "ltocf.runs.production": ("fit",),
    "ltocf.runs.recommender": ("LTOCFRecommender",),
    "ltocf.runs.typed": ("Settings",),
    "ltocf.runs.update": ("update",),
    "ltocf.serving": ("TrainedModel",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_PACKAGES = ("data", "evaluation", "graph", "losses", "models", "ode", "runs", "sampling", "serving", "training")


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return import_module(f"ltocf.{name}")
    if name == "__version__":
        return import_module("importlib.metadata").version("ltocf")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'ltocf' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_PACKAGES})
