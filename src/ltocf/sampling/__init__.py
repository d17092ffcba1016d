"""Interactions become training batches: users, their items, and negatives to tell them from."""

from ltocf.sampling.batches import Batch, Batches
from ltocf.sampling.pairs import PairwiseBatches
from ltocf.sampling.pointwise import PointwiseBatches
from ltocf.sampling.portions import Portions
from ltocf.sampling.shared import SharedNegativeBatches
from ltocf.sampling.users import UserBatches
from ltocf.sampling.walks import WalkBatches

__all__ = [
    "Batch",
    "Batches",
    "PairwiseBatches",
    "PointwiseBatches",
    "Portions",
    "SharedNegativeBatches",
    "UserBatches",
    "WalkBatches",
]
