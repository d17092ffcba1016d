"""A trained model becomes answers in the caller's own ids."""

from ltocf.recommending.trained import TrainedModel, UnknownUserError

__all__ = ["TrainedModel", "UnknownUserError"]
