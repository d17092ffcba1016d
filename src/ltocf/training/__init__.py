"""The loop that turns batches into a trained model, and what it needs to survive a crash."""

from ltocf.evaluation import sample_users
from ltocf.training.context import EpochRecord, FitContext, FitResult
from ltocf.training.fit import fit
from ltocf.training.runtime import Runtime, environment
from ltocf.training.settings import TrainingSettings
from ltocf.training.simplex import MOST_EVALUATIONS, SEARCH_USERS, Shortlist, search
from ltocf.training.trainable import Trainable

__all__ = [
    "MOST_EVALUATIONS",
    "SEARCH_USERS",
    "EpochRecord",
    "FitContext",
    "FitResult",
    "Runtime",
    "Shortlist",
    "Trainable",
    "TrainingSettings",
    "environment",
    "fit",
    "sample_users",
    "search",
]
