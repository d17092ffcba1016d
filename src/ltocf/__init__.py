"""Learnable-Time ODE-based Collaborative Filtering: recommend items to users from nothing but who touched what.

Example:
    >>> import ltocf, tempfile
    >>> folder = tempfile.mkdtemp() + "/run"
    >>> metrics = ltocf.train("movielens-small", folder, epochs=1, dim=8)
    >>> ltocf.load(folder).recommend([1], k=3).columns
    ['user', 'rank', 'item', 'score', 'title']
"""

from ltocf.data import Dataset, IdMap, Interactions, Split, load_dataset
from ltocf.evaluation import evaluate
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF, MF, MODELS, LightGCN, Popularity
from ltocf.models.installed import register_installed
from ltocf.runs.config import Config
from ltocf.runs.experiment import evaluate_run, load, resume, train, train_config
from ltocf.serving import TrainedModel

__all__ = [
    "LTOCF",
    "MF",
    "MODELS",
    "BipartiteGraph",
    "Config",
    "Dataset",
    "IdMap",
    "Interactions",
    "LightGCN",
    "Popularity",
    "Split",
    "TrainedModel",
    "evaluate",
    "evaluate_run",
    "load",
    "load_dataset",
    "resume",
    "train",
    "train_config",
]

# At the very end: their modules import from this package.
register_installed(MODELS)
