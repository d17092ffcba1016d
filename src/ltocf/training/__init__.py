"""The loop that turns batches into a trained model, and what it needs to survive a crash."""

from ltocf.training.fit import EpochRecord, FitResult, TrainingSettings, fit
from ltocf.training.runtime import Runtime, environment
from ltocf.training.search import MOST_EVALUATIONS, SEARCH_USERS, Shortlist, sample_users, search
from ltocf.training.starts import start_from_factorisation

__all__ = [
    "MOST_EVALUATIONS",
    "SEARCH_USERS",
    "EpochRecord",
    "FitResult",
    "Runtime",
    "Shortlist",
    "TrainingSettings",
    "environment",
    "fit",
    "sample_users",
    "search",
    "start_from_factorisation",
]
