"""The former name of `ltocf.serving`."""

from ltocf.serving import TrainedModel, UnknownUserError

__all__ = ["TrainedModel", "UnknownUserError"]
