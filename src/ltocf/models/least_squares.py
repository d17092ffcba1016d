"""A vector for any history by least squares against fixed items: new users for models that only have vectors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from ltocf.data.display import Shown
from ltocf.data.histories import Histories
from ltocf.models.row_products import row_products
from ltocf.models.user_map import ItemNumbers
from ltocf.shapes import ItemEmbeddings, QueryVectors, Scores

Gram: TypeAlias = Float[Tensor, "dim dim"]


@dataclass(frozen=True, eq=False, repr=False)
class LeastSquares(Shown):
    """The vector whose products with the items of a history are nearest to 1, and with all others to 0.

        x(H) = argmin_x  Σ_{j in H} (1 - <x, f_j>)² + w Σ_{j not in H} <x, f_j>² + λ m |x|²
             = (w FᵀF + (1 - w) F_HᵀF_H + λ m I)^-1  F_Hᵀ 1
        score(H, i) = length <x(H) / |x(H)|, f_i> + bias_i

    m is the mean of |f_j|², so λ does not depend on the scale of the items. x is scaled to the length of the vectors of
    training users, so that its scores are of their size and popularity has its due weight. No other vector changes.

    Args:
        items: f, (items, dim), of length 1 for the cosine.
        length: length of a user's vector.
        bias: what popularity adds to the score of an item, or None.
        weight: w, the weight of an item outside the history, in [0, 1].
        ridge: λ, > 0. Both defaults were the best for MF on MovieLens, trained by either loss.

    Source: the user's half of a step of alternating least squares, Hu, Koren, Volinsky, ICDM 2008, Eq. 4,
    https://doi.org/10.1109/ICDM.2008.22, with confidence 1 / w for what was touched. Differs: the length.

    Example:
        >>> model = LeastSquares(torch.eye(2), length=3.0, bias=None)
        >>> model.scores(Histories(torch.tensor([0, 1]), torch.tensor([1], dtype=torch.int32), 2)).tolist()
        [[0.0, 3.0]]
    """

    items: ItemEmbeddings
    length: float
    bias: ItemNumbers | None
    weight: float = 0.1
    ridge: float = 100.0

    def facts(self) -> dict[str, object]:
        n_items, dim = self.items.shape
        return {"n_items": n_items, "dim": dim, "weight": self.weight, "ridge": self.ridge}

    @torch.no_grad()
    def vectors(self, histories: Histories) -> QueryVectors:
        """x of each history, scaled to ``length``; 0 for an empty history."""
        touched = self.items.index_select(0, histories.items.long().to(self.items.device))
        rows = torch.split(touched, histories.lengths.tolist())
        sums = torch.stack([row.sum(0) for row in rows]) if rows else self.items[:0]
        systems = [torch.addmm(self._shared_system, row.T, row, alpha=1 - self.weight) for row in rows]
        found = torch.linalg.solve(torch.stack(systems), sums) if systems else sums
        return normalize(found) * self.length

    def scores(self, histories: Histories) -> Scores:
        """Score of every item for each history."""
        scores = row_products(self.vectors(histories), self.items)
        return scores if self.bias is None else scores + self.bias

    @cached_property
    def _shared_system(self) -> Gram:
        """w FᵀF + λ m I."""
        scale = self.ridge * self.items.square().sum(1).mean()
        identity = torch.eye(self.items.shape[1], dtype=self.items.dtype, device=self.items.device)
        return self.weight * (self.items.T @ self.items) + scale * identity
