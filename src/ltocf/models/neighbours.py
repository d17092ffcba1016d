"""Neighbour models, which keep a few similar items of each item: ItemKNN and RP3beta."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from ltocf.graph import BipartiteGraph
from ltocf.models.history import Entries, EntryIndices
from ltocf.models.nearest import RowBlocks, keep_largest, product_rows
from ltocf.models.similarity import SimilarityModel, check_indices, check_numbers
from ltocf.models.user_map import PartContributions
from ltocf.shapes import Scores
from ltocf.training.grid import Grid

MOST_NEIGHBOURS = 200
"""Neighbours kept of every item, unless more are requested; the search tries smaller numbers."""


class NeighbourModel(SimilarityModel):
    """A matrix of similarities that keeps the ``k`` largest of each row, or of each column.

        score(u, i) = Σ_{j in history(u)} r_uj s_ji

    They are sorted, the largest first, so that a smaller k is the first of them. A subclass has to define `grid` and
    `similarity_rows`.
    """

    kept_by: ClassVar[Literal["scored", "history"]] = "scored"
    """Whose neighbours are kept: those of the scored item i, or those of the item j in the history."""
    neighbours: Tensor
    _votes_state: tuple[int, ...]

    def __init__(self, graph: BipartiteGraph, k: int, numbers: Sequence[float], recency: str) -> None:
        super().__init__(graph, recency)
        if k < 1:
            raise ValueError(f"`k` must be >= 1, got {k}")
        width = min(max(k, MOST_NEIGHBOURS), self.n_items)
        self.start_with([float(min(k, self.n_items)), *numbers])
        self.register_buffer("neighbours", torch.zeros(self.n_items, width, dtype=torch.int32))
        self.register_buffer("similarities", torch.full((self.n_items, width), torch.nan))
        self._kept_votes, self._votes_state = _Votes(*torch.zeros(3, 0)), ()

    @abstractmethod
    def similarity_rows(self) -> RowBlocks:
        """s_ji; a row is an item that keeps its neighbours, see `kept_by`."""

    @property
    def k(self) -> int:
        """The number of neighbours that count."""
        return round(self.numbers[0].item())

    @property
    def k_values(self) -> list[float]:
        """The numbers of neighbours that a search tries."""
        width = self.similarities.shape[1]
        return [float(k) for k in (5, 10, 20, 30, 50, 70, 100, 140, 200) if k < width] + [float(width)]

    def check_weights(self) -> None:
        check_indices("neighbours", self.neighbours, self.n_items)
        if not 1 <= self.k <= self.neighbours.shape[1]:
            raise ValueError(f"`k` must be in 1..{self.neighbours.shape[1]}, got {self.k}")

    def fit_similarity(self, before: Sequence[float] | None) -> None:
        if before is not None and list(before)[1:] == self.own_numbers.tolist()[1:]:
            return  # only k differs, which selects among the columns that are there
        keep_largest(self.similarity_rows(), self.neighbours, self.similarities)

    @torch.no_grad()
    def entry_scores(self, entries: Entries) -> Scores:
        self.check_ready()
        scores = self.similarities.new_zeros(entries.n_rows, self.n_items)
        votes = self._votes()
        starts, lengths = votes.offsets[entries.items], votes.offsets.diff()[entries.items]
        entry = torch.repeat_interleave(lengths)
        places = torch.arange(len(entry), device=entry.device) + (starts - (lengths.cumsum(0) - lengths))[entry]
        at = entries.rows[entry] * self.n_items + votes.items[places]
        added = votes.values[places] * entries.values.to(scores)[entry]
        return scores.view(-1).index_add_(0, at, added).view_as(scores)

    def scorer(self) -> NeighbourModel:
        """The model itself, with its similarities transposed now rather than for the first user."""
        if self.is_ready:
            self._votes()
        return self

    def kernel(self, items: EntryIndices, target: int) -> PartContributions:
        self.check_ready()
        by_history = self.kept_by == "history"
        keeping, kept = (items, items.new_tensor([target])) if by_history else (items.new_tensor([target]), items)
        near, similar = self.neighbours[keeping, : self.k], self.similarities[keeping, : self.k]
        return ((near == kept[:, None]) * similar).sum(1)[None]

    def _votes(self) -> _Votes:
        """The similarities by the item of the history, made again if those that are kept, or `k`, have changed."""
        similar, near = self.similarities, self.neighbours
        state = (similar.data_ptr(), similar._version, near.data_ptr(), near._version, self.k)
        if state != self._votes_state:
            keeping, place = (similar[:, : self.k] > 0).nonzero(as_tuple=True)
            kept, values = near[keeping, place].long(), similar[keeping, place]
            voting, scored = (keeping, kept) if self.kept_by == "history" else (kept, keeping)
            order = voting.argsort(stable=True)
            offsets = torch.bincount(voting, minlength=self.n_items).cumsum(0)
            self._kept_votes = _Votes(torch.cat([offsets.new_zeros(1), offsets]), scored[order], values[order])
            self._votes_state = state
        return self._kept_votes


class _Votes(NamedTuple):
    """A sparse matrix by rows: the items that each item of a history votes for, and how much."""

    offsets: Tensor
    items: Tensor
    values: Tensor


class ItemKNN(NeighbourModel):
    """Neighbours by the cosine of two items over their users, shrunk if these are few.

        s_ji = <r_·j, r_·i> / (||r_·j|| ||r_·i|| + h),   i ≠ j,   r_·i a column of R

    Each scored item keeps its k neighbours. k and h are chosen on validation.

    Args:
        graph: the training graph.
        k: neighbours of each item at which the search starts, >= 1; kept without a validation set.
        shrinkage: h at which the search starts, >= 0; kept without a validation set.
        recency: ``off`` or ``auto``, see `HistoryRecommender`.
        seed: not used.

    Raises:
        ValueError: a number out of range.

    Source: Deshpande & Karypis, TOIS 2004, Section 4, https://doi.org/10.1145/963770.963776, and the shrinkage of
    Ferrari Dacrema et al., TOIS 2021, https://doi.org/10.1145/3434185. Differs from the first: the neighbours kept are
    those of the scored item, not of the item in the history, which validates better.

    Example:
        >>> from ltocf.data import Interactions
        >>> log = Interactions.from_pairs([0, 0, 1, 1, 2], [0, 1, 1, 2, 2])
        >>> model = ItemKNN(BipartiteGraph.from_interactions(log), shrinkage=0.0)
        >>> model.prepare()
        >>> model.scores(torch.tensor([2]))  # item 1 shares one of the two users that both have
        tensor([[0.0000, 0.5000, 0.0000]])
    """

    def __init__(
        self, graph: BipartiteGraph, k: int = 100, shrinkage: float = 10.0, recency: str = "off", *, seed: int = 0
    ) -> None:
        if not 0 <= shrinkage < float("inf"):
            raise ValueError(f"`shrinkage` must be finite and >= 0, got {shrinkage}")
        super().__init__(graph, k, [shrinkage], recency)

    @property
    def grid(self) -> Grid:
        return {"k": self.k_values, "shrinkage": [0.0, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0]}

    def similarity_rows(self) -> RowBlocks:
        ratings, shrinkage = self.graph.ratings(), self.numbers[1].item()
        norms = np.sqrt(np.asarray(ratings.multiply(ratings).sum(0)).ravel())

        def cosine(rows: np.ndarray, columns: np.ndarray, products: np.ndarray) -> np.ndarray:
            cosines: np.ndarray = products / (norms[rows] * norms[columns] + shrinkage)
            return cosines

        return product_rows(ratings.T.tocsr(), ratings, cosine)


class RP3beta(NeighbourModel):
    """Neighbours by random walks from an item to a user to an item, with a discount on popular items.

        s_ji = Σ_u (r_uj / d_j)^α (r_ui / d_u)^α / d_i^β,   i ≠ j,   d_u, d_i sums of rows and columns of R

    The walk's first step, from the user to their history, weighs all items of a history alike. Each item of a history
    keeps its k neighbours. k, α and β are chosen on validation.

    Args:
        graph: the training graph.
        k: neighbours of each item at which the search starts, >= 1; kept without a validation set.
        alpha: α at which the search starts, > 0; kept without a validation set.
        beta: β at which the search starts; kept without a validation set.
        recency: ``off`` or ``auto``, see `HistoryRecommender`.
        seed: not used.

    Raises:
        ValueError: a number out of range.

    Source: Paudel et al., TiiS 2017, Section 3.3, https://doi.org/10.1145/2955101; cut to k neighbours as in Ferrari
    Dacrema et al., TOIS 2021, https://doi.org/10.1145/3434185

    Example:
        >>> from ltocf.data import Interactions
        >>> log = Interactions.from_pairs([0, 0, 1, 1, 2], [0, 1, 1, 2, 2])
        >>> model = RP3beta(BipartiteGraph.from_interactions(log), alpha=1.0, beta=0.0)
        >>> model.prepare()
        >>> model.scores(torch.tensor([2]))  # half of the users of item 2 walk on, half of their steps lead to item 1
        tensor([[0.0000, 0.2500, 0.0000]])
    """

    kept_by: ClassVar[Literal["scored", "history"]] = "history"

    def __init__(
        self,
        graph: BipartiteGraph,
        k: int = 100,
        alpha: float = 0.8,
        beta: float = 0.4,
        recency: str = "off",
        *,
        seed: int = 0,
    ) -> None:
        check_numbers(alpha=alpha)
        check_numbers(-float("inf"), beta=beta)
        super().__init__(graph, k, [alpha, beta], recency)

    @property
    def grid(self) -> Grid:
        alphas = [0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0]
        return {"k": self.k_values, "alpha": alphas, "beta": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0]}

    def similarity_rows(self) -> RowBlocks:
        ratings, (alpha, beta) = self.graph.ratings(), self.own_numbers[1:].tolist()
        item_sums = np.asarray(ratings.sum(0)).ravel()
        item_sums[item_sums == 0] = 1.0  # no walk leads there
        to_users, to_items = _steps(ratings.T.tocsr(), alpha), _steps(ratings, alpha)
        scale = item_sums**-beta
        return product_rows(to_users, to_items, lambda rows, columns, products: products * scale[columns])


def _steps(matrix: sp.csr_matrix, power: float) -> sp.csr_matrix:
    """Each entry as a share of its row's sum, raised to a power."""
    sums = np.asarray(matrix.sum(1)).ravel()
    shares = matrix.data / np.repeat(sums, np.diff(matrix.indptr))
    return sp.csr_matrix((shares**power, matrix.indices, matrix.indptr), shape=matrix.shape)
