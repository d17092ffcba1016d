"""A trained model becomes answers in the caller's own ids."""

from ltocf.serving.model_file import TrainedModel, UnknownUserError

__all__ = ["TrainedModel", "UnknownUserError"]
