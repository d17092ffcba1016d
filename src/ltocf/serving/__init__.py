"""A trained model becomes answers in the caller's own ids."""

from ltocf.serving.errors import RequestError, UnknownItemError, UnknownUserError
from ltocf.serving.explain import Explanation
from ltocf.serving.snapshot import Snapshot
from ltocf.serving.trained import TrainedModel

__all__ = ["Explanation", "RequestError", "Snapshot", "TrainedModel", "UnknownItemError", "UnknownUserError"]
