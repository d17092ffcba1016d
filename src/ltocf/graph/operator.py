"""The bipartite graph of users and items, as one symmetric operator applied to stacked embeddings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag

from ltocf.data.histories import Histories
from ltocf.data.interactions import Interactions, check_32_bits
from ltocf.data.order import Ages, ages_of
from ltocf.graph.csr import csr_tensor, row_entries
from ltocf.shapes import (
    Embeddings,
    ItemEmbeddings,
    NodeDegrees,
    NodeScales,
    PairWeights,
    Scores,
    UserEmbeddings,
    UserIndices,
)

PAIRS_AT_A_TIME = 2**21
"""On a CPU, sums over the neighbours are formed for the nodes of about so many pairs at a time."""

Block: TypeAlias = tuple[slice, slice]
"""Consecutive rows of one side, and their pairs."""


class BipartiteGraph(nn.Module):
    """The symmetrically normalised adjacency of the interaction graph.

        Â = D^-1/2 A D^-1/2 = [[0, R̃], [R̃ᵀ, 0]],   R̃[u, i] = 1 / sqrt(deg(u) deg(i))

    Nodes are users followed by items; eigenvalues lie in [-1, 1]; a node without interactions has a zero row.
    The rows of A for users and for items are kept as two CSR blocks with 32-bit indices (two products of the blocks
    beat one of the square matrix 4-8 times on a CPU), and no values: they are those of D^-1/2, one for each node. All
    are plain buffers, which ``.to()`` and ``deepcopy`` handle and CSR tensors do not. They are not in the state_dict:
    the graph is made again from the interactions.

    Args:
        matrix: a row for each user and a column for each item, (n_users, n_items), with an entry for each pair.
        weights: the weight of each pair, which `weighted` applies, in the order of the entries.
        ages: the age of each pair, likewise.
        weigh: take the entries of ``matrix``, by which those of R̃ are multiplied; otherwise they are ignored.

    Raises:
        ValueError: 2^31 pairs, users or items, or more.

    Source: LightGCN (He et al., SIGIR 2020, Eq. 8), https://doi.org/10.1145/3397271.3401063

    Example:
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 0, 1], [0, 1, 1]))
        >>> graph.dense()[0]
        tensor([0.0000, 0.0000, 0.7071, 0.5000])
        >>> graph(torch.eye(4)).equal(graph.dense())
        True
    """

    user_offsets: Tensor
    user_indices: Tensor
    user_weights: Tensor | None
    user_scales: Tensor
    user_blocks: list[Block]
    item_offsets: Tensor
    item_indices: Tensor
    item_weights: Tensor | None
    item_scales: Tensor
    item_blocks: list[Block]
    relative_weights: Tensor | None
    later: Tensor | None
    days: Tensor | None

    def __init__(
        self,
        matrix: sp.csr_matrix,
        weights: PairWeights | None = None,
        ages: Ages | None = None,
        *,
        weigh: bool = False,
    ) -> None:
        super().__init__()
        later, days = (None, None) if ages is None else ages
        self.register_buffer("later", None if later is None else torch.from_numpy(later), persistent=False)
        self.register_buffer("days", None if days is None else torch.from_numpy(days), persistent=False)
        relative = None if weights is None else torch.from_numpy(weights / weights.mean())
        self.register_buffer("relative_weights", relative, persistent=False)
        self.n_users, self.n_items = matrix.shape
        check_32_bits(pairs=matrix.nnz, users=self.n_users, items=self.n_items)
        for side in ("user", "item"):
            rows = matrix if side == "user" else matrix.T.tocsr()
            offsets, indices = (
                torch.from_numpy(array.astype(np.int32, copy=not array.flags.writeable))
                for array in (rows.indptr, rows.indices)
            )
            self.register_side(side, offsets, indices, torch.from_numpy(rows.data) if weigh else None)

    def register_side(self, side: str, offsets: Tensor, indices: Tensor, weights: Tensor | None) -> None:
        """Take the rows of one side, ``user`` or ``item``; a node without pairs has the scale 1, so that it divides."""
        scales = offsets.diff().clamp(min=1).double().rsqrt().float()[:, None]
        for part, buffer in (("offsets", offsets), ("indices", indices), ("weights", weights), ("scales", scales)):
            self.register_buffer(f"{side}_{part}", buffer, persistent=False)
        setattr(self, f"{side}_blocks", list(_blocks(offsets)))

    @classmethod
    def from_interactions(cls, train: Interactions) -> BipartiteGraph:
        """Normalise the interaction matrix of the training pairs; pairs of other sets would leak into the model.

        Weights of pairs do not change R̃; `weighted` is for models that use them. Nor does the order of histories,
        which is kept as the age of each pair.
        """
        return cls(train.matrix(), train.weights, ages_of(train))

    def weighted(self) -> BipartiteGraph:
        """The graph whose R̃ has each entry times the weight of its pair, relative to the mean; degrees stay counts."""
        if self.relative_weights is None:
            return self
        weights = self.relative_weights.cpu().numpy()
        parts = (weights, self.user_indices.cpu().numpy(), self.user_offsets.cpu().numpy())
        matrix = sp.csr_matrix(parts, shape=(self.n_users, self.n_items))
        ages = None
        if self.later is not None:
            ages = Ages(self.later.cpu().numpy(), None if self.days is None else self.days.cpu().numpy())
        return BipartiteGraph(matrix, weights, ages, weigh=True)

    @property
    def n_nodes(self) -> int:
        return self.n_users + self.n_items

    def forward(self, embeddings: Embeddings) -> Embeddings:
        """Â E, differentiable in E: as Â is symmetric the gradient is the same product."""
        product: Tensor = _SymmetricProduct.apply(embeddings, self)  # type: ignore[no-untyped-call]
        return product

    @torch.no_grad()
    def multiply(self, embeddings: Embeddings) -> Embeddings:
        """Â E, without autograd."""
        scales = self.scales.to(embeddings)
        product = torch.empty_like(embeddings)
        for rows, sums in self.neighbour_sums(embeddings * scales):
            torch.mul(sums, scales[rows], out=product[rows])
        return product

    def neighbour_sums(self, embeddings: Embeddings) -> Iterator[tuple[slice, Tensor]]:
        """A E, without autograd: some nodes at a time, and for each the sum of its neighbours' rows."""
        items, users = self._neighbours(embeddings)
        yield from self._sums("user", items)
        for rows, sums in self._sums("item", users):
            yield slice(self.n_users + rows.start, self.n_users + rows.stop), sums

    @torch.no_grad()
    def users_from_items(self, items: ItemEmbeddings) -> UserEmbeddings:
        """R̃ X, without autograd."""
        users = items.new_empty(self.n_users, items.shape[1])
        for rows, sums in self._sums("user", items * self.item_scales.to(items)):
            torch.mul(sums, self.user_scales[rows].to(items), out=users[rows])
        return users

    @torch.no_grad()
    def items_from_users(self, users: UserEmbeddings) -> ItemEmbeddings:
        """R̃ᵀ X, without autograd."""
        items = users.new_empty(self.n_items, users.shape[1])
        for rows, sums in self._sums("item", users * self.user_scales.to(users)):
            torch.mul(sums, self.item_scales[rows].to(users), out=items[rows])
        return items

    def _neighbours(self, embeddings: Embeddings) -> tuple[Tensor, Tensor]:
        """The rows that the indices of users count in, and those that the indices of items count in."""
        return embeddings[self.n_users :], embeddings[: self.n_users]

    @torch.no_grad()
    def _sums(self, side: str, source: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """For some nodes of one side at a time, the sums of the rows of ``source`` that are their neighbours'.

        On a CPU PyTorch's `embedding_bag` is the fastest kernel: it prefetches rows and is compiled for the width.
        """
        offsets, indices, weights = (getattr(self, f"{side}_{part}") for part in ("offsets", "indices", "weights"))
        if weights is not None:
            weights = weights.to(source)
        if source.is_cuda:
            # cuSPARSE multiplies numbers of one type only; it adds them up in single precision.
            values = source.new_ones(len(indices)) if weights is None else weights
            shape = len(offsets) - 1, len(source)
            yield slice(0, shape[0]), csr_tensor(offsets, indices, values, shape) @ source
            return
        for rows, pairs in getattr(self, f"{side}_blocks"):
            bags = offsets[rows.start : rows.stop + 1] - pairs.start
            own = None if weights is None else weights[pairs]
            sums = embedding_bag(
                indices[pairs], source, bags, mode="sum", per_sample_weights=own, include_last_offset=True
            )
            yield rows, sums

    @property
    def scales(self) -> NodeScales:
        """D^-1/2 as a column; 1 for a node without pairs."""
        return torch.cat([self.user_scales, self.item_scales])

    def histories(self, users: UserIndices) -> Scores:
        """A row of ones and zeros over the items for each of ``users``."""
        rows, items = self.items_of(users)
        history = self.user_scales.new_zeros(len(users), self.n_items)
        history[rows, items] = 1.0
        return history

    def all_histories(self) -> Histories:
        """The history of every user with the ages of its items, on the CPU."""
        later, days = (None if ages is None else ages.cpu() for ages in (self.later, self.days))
        return Histories(self.user_offsets.long().cpu(), self.user_indices.cpu(), self.n_items, later, days)

    def items_of(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """The items of all ``users``, one user after the other: the place of the user in ``users``, and the item."""
        rows, places = row_entries(self.user_offsets, users)
        return rows, self.user_indices[places].long()

    def weights_of(self, users: Tensor) -> Tensor:
        """The relative weight of each pair that `items_of` returns; 1 for pairs without weights."""
        _, places = row_entries(self.user_offsets, users)
        if self.relative_weights is None:
            return self.user_scales.new_ones(len(places))
        return self.relative_weights[places]

    def ratings(self) -> sp.csr_matrix:
        """R: the relative weight of each pair, 1 for pairs without weights, in double precision."""
        n_pairs, weights = len(self.user_indices), self.relative_weights
        values = np.ones(n_pairs) if weights is None else weights.double().cpu().numpy()
        parts = (values, self.user_indices.cpu().numpy(), self.user_offsets.cpu().numpy())
        return sp.csr_matrix(parts, shape=(self.n_users, self.n_items))

    def ages_of(self, users: Tensor, unit: str) -> Tensor | None:
        """The age of each pair that `items_of` returns, in ``items`` or, if known, ``days``; None without order."""
        ages = self.later if unit == "items" or self.days is None else self.days
        return None if ages is None else ages[row_entries(self.user_offsets, users)[1]]

    def users_of(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """The users of all ``items``, one item after the other: the place of the item in ``items``, and the user."""
        rows, places = row_entries(self.item_offsets, items)
        return rows, self.item_indices[places].long()

    @property
    def user_degrees(self) -> NodeDegrees:
        return self.user_offsets.diff()

    @property
    def item_degrees(self) -> NodeDegrees:
        return self.item_offsets.diff()

    def dense(self) -> Embeddings:
        """Â as a dense (nodes, nodes) matrix: for tests and small examples."""
        rows = torch.repeat_interleave(self.user_degrees)
        values = (self.user_scales[rows] * self.item_scales[self.user_indices]).squeeze(1)
        block = values.new_zeros(self.n_users, self.n_items)
        block[rows, self.user_indices] = values if self.user_weights is None else values * self.user_weights
        zeros_users, zeros_items = (block.new_zeros(n, n) for n in block.shape)
        return torch.cat([torch.cat([zeros_users, block], dim=1), torch.cat([block.T, zeros_items], dim=1)], dim=0)


def _blocks(offsets: Tensor) -> Iterator[Block]:
    """Consecutive rows with about `PAIRS_AT_A_TIME` pairs, and their pairs; a row is never split."""
    ends = offsets[1:]
    start = first = 0
    while start < len(ends):
        stop = max(start + 1, int(torch.searchsorted(ends, first + PAIRS_AT_A_TIME, right=True)))
        last = int(ends[stop - 1])
        yield slice(start, stop), slice(first, last)
        start, first = stop, last


class _SymmetricProduct(torch.autograd.Function):
    """Â E whose backward is Â G: autograd's own would transpose and sort the matrix in every step."""

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, graph: BipartiteGraph) -> Tensor:
        ctx.graph = graph
        return graph.multiply(embeddings.detach())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.graph.multiply(gradients[0].contiguous()), None
