"""The part of a trained embedding model that ranking needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ltocf.evaluation.ranks import ALONE
from ltocf.models.row_products import row_products
from ltocf.shapes import ItemEmbeddings, Scores, UserEmbeddings, UserIndices


@dataclass(frozen=True)
class EmbeddingScorer:
    """Fixed embeddings whose score is the inner product.

    Args:
        user_embeddings: embeddings of all users, or of some.
        item_embeddings: embeddings of all items.
        rows: maps users to their rows; by default the index of a user is its row.
    """

    user_embeddings: UserEmbeddings
    item_embeddings: ItemEmbeddings
    rows: Callable[[Tensor], Tensor] = ALONE.local_rows
    scores_are_new: ClassVar[bool] = True

    @property
    def device(self) -> torch.device:
        """Where the embeddings are."""
        return self.item_embeddings.device

    def scores(self, users: UserIndices) -> Scores:
        """score(u, i) = <user_u, item_i>."""
        users = users.to(self.user_embeddings.device)
        return row_products(self.user_embeddings.index_select(0, self.rows(users)), self.item_embeddings)
