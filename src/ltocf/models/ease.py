"""EASE: a linear auto-encoder of histories, in closed form."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from ltocf.graph import BipartiteGraph
from ltocf.models.history import Entries, EntryIndices
from ltocf.models.similarity import SimilarityModel, check_numbers
from ltocf.models.user_map import PartContributions
from ltocf.shapes import Scores
from ltocf.training.grid import Grid

BYTES_PER_ENTRY = 28
"""Bytes for each entry of the matrix while it is computed: RᵀR, its factor and its inverse in double precision, B in
single."""


class EASE(SimilarityModel):
    """The linear auto-encoder without self-similarity.

        B = argmin ||R - R B||² + λ ||B||²,  diag(B) = 0;   P = (RᵀR + λ I)^-1,   B_ji = -P_ji / P_ii for j ≠ i
        score(u, ·) = r_u B

    λ is chosen on validation among powers of two; each one tried costs a Cholesky factorisation.

    Args:
        graph: the training graph.
        penalty: λ at which the search starts, > 0; kept without a validation set.
        max_gigabytes: memory that computing B may take; it grows with the square of the number of items.
        recency: ``off`` or ``auto``, see `HistoryRecommender`.
        seed: not used.

    Raises:
        ValueError: a number out of range, or a catalogue that needs more memory.

    Source: Steck, WWW 2019, Section 3.1, https://arxiv.org/abs/1905.03375

    Example:
        >>> from ltocf.data import Interactions
        >>> log = Interactions.from_pairs([0, 0, 1, 1], [0, 1, 1, 2])
        >>> model = EASE(BipartiteGraph.from_interactions(log), penalty=1.0)
        >>> model.prepare()
        >>> model.scores(torch.tensor([0, 1])).argmax(1).tolist()  # both share item 1 with somebody
        [1, 1]
    """

    def __init__(
        self,
        graph: BipartiteGraph,
        penalty: float = 256.0,
        max_gigabytes: float = 6.0,
        recency: str = "off",
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(graph, recency)
        check_numbers(penalty=penalty, max_gigabytes=max_gigabytes)
        gigabytes = BYTES_PER_ENTRY * self.n_items**2 / 1e9
        if gigabytes > max_gigabytes:
            raise ValueError(
                f"`max_gigabytes` must be at least {gigabytes:.1f} for {self.n_items:,} items, got {max_gigabytes:g}; "
                "`spectral` and `item-knn` need no matrix of all pairs of items"
            )
        self.start_with([penalty])
        self.register_buffer("similarities", torch.full((self.n_items, self.n_items), torch.nan))

    @property
    def grid(self) -> Grid:
        return {"penalty": [2.0**power for power in range(15)]}

    @torch.no_grad()
    def fit_similarity(self, before: Sequence[float] | None) -> None:
        inverse = self._inverse(self.numbers[0].item())
        self.similarities.copy_(inverse.div_(-inverse.diagonal().clone()))
        self.similarities.fill_diagonal_(0.0)

    def _inverse(self, penalty: float) -> Tensor:
        """P, from the smaller Gram matrix: P = (I - Rᵀ (R Rᵀ + λ I)^-1 R) / λ if there are fewer users than items."""
        ratings = self.graph.ratings()
        few_users = self.n_users < self.n_items
        product = ratings @ ratings.T if few_users else ratings.T @ ratings
        gram = torch.from_numpy(product.toarray()).to(self.device)
        gram.diagonal().add_(penalty)
        factor = torch.linalg.cholesky(gram)
        if not few_users:
            return torch.cholesky_inverse(factor)
        whitened = torch.linalg.solve_triangular(
            factor, torch.from_numpy(ratings.toarray()).to(self.device), upper=False
        )
        inverse: Tensor = (whitened.T @ whitened).div_(-penalty)
        inverse.diagonal().add_(1 / penalty)
        return inverse

    @torch.no_grad()
    def entry_scores(self, entries: Entries) -> Scores:
        self.check_ready()
        lengths = torch.bincount(entries.rows, minlength=entries.n_rows)
        values = entries.values.to(self.similarities)
        return embedding_bag(
            entries.items, self.similarities, lengths.cumsum(0) - lengths, mode="sum", per_sample_weights=values
        )

    def kernel(self, items: EntryIndices, target: int) -> PartContributions:
        self.check_ready()
        return self.similarities[items, target][None]
