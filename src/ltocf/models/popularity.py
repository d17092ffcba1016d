"""Most popular: the same list for everybody, and the floor every model must clear."""

from __future__ import annotations

import torch

from ltocf.data.interactions import Interactions
from ltocf.shapes import Scores, UserIndices


class Popularity:
    """Score of an item = number of training users who touched it. Nothing is trained.

    Example:
        >>> Popularity(Interactions.from_pairs([0, 1, 1], [0, 0, 1])).scores(torch.tensor([0]))
        tensor([[2., 1.]])
    """

    def __init__(self, train: Interactions) -> None:
        self.counts = torch.from_numpy(train.item_degrees).float()

    def scores(self, users: UserIndices) -> Scores:
        return self.counts.expand(len(users), -1).clone()
