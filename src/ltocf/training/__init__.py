"""The loop that turns batches into a trained model, and what it needs to survive a crash."""

from ltocf.training.fit import EpochRecord, FitResult, TrainingSettings, fit
from ltocf.training.runtime import Runtime, environment

__all__ = ["EpochRecord", "FitResult", "Runtime", "TrainingSettings", "environment", "fit"]
