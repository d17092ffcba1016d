"""A few gradient steps on one user's vector alone: those that training would have taken, had it known the user."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import embedding_bag, normalize

from ltocf.data.display import Shown
from ltocf.data.histories import Histories
from ltocf.models.objective import Objective
from ltocf.models.ranking import Ranking
from ltocf.models.row_products import row_products
from ltocf.models.user_map import ItemNumbers
from ltocf.shapes import ItemEmbeddings, QueryVectors, Scores

FIRST_STEP = 0.2
"""An angle in radians, about: steps are taken on the sphere and shrink to 0 evenly."""


@dataclass(frozen=True, eq=False, repr=False)
class UserSteps(Shown):
    """Steps down the gradient of the sampled softmax, in a user's vector v of length 1; nothing else moves.

        s_i = <v, f_i> / τ,   Z = n Σ_i (d_i / Σ d) e^(s_i),   p_j = e^(s_j) / (e^(s_j) + Z)
        g = mean over j in H of p_j^q (1 - p_j) (Σ_i (n d_i / Σ d) e^(s_i) f_i / Z - f_j)
        v <- v - η g⊥ / |g⊥|, brought back to length 1,   g⊥ = g - <g, v> v

    g is the gradient of the mean loss of `ltocf.losses.sampled_softmax` over the history H, but for a factor 1 / τ,
    with the sum over n drawn negatives replaced by its expectation. A training user had many such steps; the vector
    that a `UserMap` gives to a new user had none.

    Args:
        items: f, of length 1.
        degrees: d, number of training users of each item.
        temperature: τ.
        n_negatives: n.
        robustness: q.
        bias: what is added to the score of each item, as of its popularity, or None.
        lengths: the factor of an item's score before the bias is added, or None.

    Example:
        >>> steps = UserSteps(torch.eye(2), torch.ones(2), 0.1, n_negatives=8, robustness=0.0)
        >>> history = Histories(torch.tensor([0, 1]), torch.tensor([1], dtype=torch.int32), 2)
        >>> moved = steps.vectors(torch.tensor([[0.8, 0.6]]), history, 3)
        >>> bool(moved[0, 1] > 0.6), round(moved.norm().item(), 4)
        (True, 1.0)
    """

    items: ItemEmbeddings
    degrees: ItemNumbers
    temperature: float | int
    n_negatives: int
    robustness: float | int
    bias: ItemNumbers | None = None
    lengths: ItemNumbers | None = None

    @classmethod
    def beside(
        cls,
        items: ItemEmbeddings,
        log_degrees: ItemNumbers,
        ranking: Ranking,
        objective: Objective,
        bias: ItemNumbers | None,
    ) -> UserSteps:
        """The steps against these fixed final embeddings of the items.

        Raises:
            ValueError: scores are not cosines: then the length of a vector matters, which the steps do not change.
        """
        if ranking.temperature is None:
            raise ValueError(f'`steps` need `ranking = "cosine"`, got {objective.ranking!r}; leave them out')
        return cls(
            normalize(items),
            log_degrees.to(items).exp(),
            ranking.temperature,
            objective.n_negatives,
            objective.robustness,
            bias,
            ranking.lengths(items) if ranking.norm else None,
        )

    def facts(self) -> dict[str, object]:
        n_items, dim = self.items.shape
        return {"n_items": n_items, "dim": dim, "temperature": self.temperature}

    @torch.no_grad()
    def vectors(self, start: QueryVectors, histories: Histories, n_steps: int) -> QueryVectors:
        """v of each history after ``n_steps`` from ``start``; a history without items keeps its vector."""
        v = normalize(start)
        for step in range(n_steps):
            gradient = self.gradient(v, histories)
            along = gradient - (gradient * v).sum(1, keepdim=True) * v
            v = normalize(v - FIRST_STEP * (1 - step / n_steps) * normalize(along))
        return v

    def gradient(self, v: QueryVectors, histories: Histories) -> QueryVectors:
        """g of each history."""
        touched, lengths = histories.items.long().to(v.device), histories.lengths.to(v.device)
        expected = (self.n_negatives * self.degrees / self.degrees.sum()).clamp(min=1e-12).log()
        scores = row_products(v, self.items) / self.temperature
        own = scores[torch.repeat_interleave(lengths), touched]
        weighted = scores + expected
        negatives = row_products(torch.softmax(weighted, 1), self.items.T)
        share = torch.sigmoid(own - torch.logsumexp(weighted, 1).repeat_interleave(lengths))
        pulls = share**self.robustness * (1 - share) / lengths.repeat_interleave(lengths)
        offsets = histories.offsets.to(v.device)
        to_items = embedding_bag(
            touched, self.items, offsets, mode="sum", per_sample_weights=pulls, include_last_offset=True
        )
        sums = torch.zeros_like(v[:, 0]).index_add_(0, torch.repeat_interleave(lengths), pulls)
        return sums[:, None] * negatives - to_items

    def scores(self, start: QueryVectors, histories: Histories, n_steps: int) -> Scores:
        """Score of every item for each history, after ``n_steps`` from ``start``."""
        scores = row_products(self.vectors(start, histories, n_steps), self.items) / self.temperature
        scores = scores if self.lengths is None else scores * self.lengths
        return scores if self.bias is None else scores + self.bias
