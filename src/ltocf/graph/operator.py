"""The bipartite graph of users and items, as one symmetric operator applied to stacked embeddings."""

from __future__ import annotations

from typing import Any

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
    PairWeights,
    Scores,
    Sides,
    UserEmbeddings,
    UserIndices,
)

PAIRS_AT_A_TIME = 2**22
"""Pairs whose entries of R̃ are computed at a time, in double precision."""


class BipartiteGraph(nn.Module):
    """The symmetrically normalised adjacency of the interaction graph.

        Â = D^-1/2 A D^-1/2 = [[0, R̃], [R̃ᵀ, 0]],   R̃[u, i] = 1 / sqrt(deg(u) deg(i))

    Nodes are users followed by items; eigenvalues lie in [-1, 1]; a node without interactions has a zero row.
    R̃ and R̃ᵀ are kept as two CSR blocks with 32-bit indices (two products of the blocks beat one of the square
    matrix 4-8 times on a CPU), stored as plain buffers, which ``.to()`` and ``deepcopy`` handle and CSR tensors
    do not. They are not in the state_dict: the graph is made again from the interactions.

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
    user_values: Tensor
    item_offsets: Tensor
    item_indices: Tensor
    item_values: Tensor
    relative_weights: Tensor | None
    later: Tensor | None
    days: Tensor | None

    def __init__(self, normalised: sp.csr_matrix, weights: PairWeights | None = None, ages: Ages | None = None) -> None:
        super().__init__()
        later, days = (None, None) if ages is None else ages
        self.register_buffer("later", None if later is None else torch.from_numpy(later), persistent=False)
        self.register_buffer("days", None if days is None else torch.from_numpy(days), persistent=False)
        relative = None if weights is None else torch.from_numpy(weights / weights.mean())
        self.register_buffer("relative_weights", relative, persistent=False)
        self.n_users, self.n_items = normalised.shape
        check_32_bits(pairs=normalised.nnz, users=self.n_users, items=self.n_items)
        for side in ("user", "item"):
            block = normalised if side == "user" else normalised.T.tocsr()
            for part, array in (("offsets", block.indptr), ("indices", block.indices), ("values", block.data)):
                numbers = array.astype(np.float32 if part == "values" else np.int32, copy=not array.flags.writeable)
                self.register_buffer(f"{side}_{part}", torch.from_numpy(numbers), persistent=False)

    @classmethod
    def from_interactions(cls, train: Interactions) -> BipartiteGraph:
        """Normalise the interaction matrix of the training pairs; pairs of other sets would leak into the model.

        Weights of pairs do not change R̃; `weighted` is for models that use them. Nor does the order of histories,
        which is kept as the age of each pair.
        """
        scale_users, scale_items = (
            np.divide(1.0, np.sqrt(degrees), out=np.zeros(len(degrees)), where=degrees > 0)
            for degrees in (train.user_degrees, train.item_degrees)
        )
        matrix = train.matrix()
        for start in range(0, len(train), PAIRS_AT_A_TIME):
            block = slice(start, start + PAIRS_AT_A_TIME)
            matrix.data[block] = scale_users[train.users[block]] * scale_items[train.items[block]]
        return cls(matrix, train.weights, ages_of(train))

    def weighted(self) -> BipartiteGraph:
        """The graph whose R̃ has each entry times the weight of its pair, relative to the mean; degrees stay counts."""
        if self.relative_weights is None:
            return self
        values = (self.user_values * self.relative_weights).cpu().numpy()
        parts = (values, self.user_indices.cpu().numpy(), self.user_offsets.cpu().numpy())
        matrix = sp.csr_matrix(parts, shape=(self.n_users, self.n_items))
        ages = None
        if self.later is not None:
            ages = Ages(self.later.cpu().numpy(), None if self.days is None else self.days.cpu().numpy())
        return BipartiteGraph(matrix, self.relative_weights.cpu().numpy(), ages)

    @property
    def n_nodes(self) -> int:
        return self.n_users + self.n_items

    def forward(self, embeddings: Embeddings) -> Embeddings:
        """Â E, differentiable in E: as Â is symmetric the gradient is the same product."""
        product: Tensor = _SymmetricProduct.apply(embeddings, self)  # type: ignore[no-untyped-call]
        return product

    def multiply(self, embeddings: Embeddings) -> Embeddings:
        """Â E, without autograd."""
        return torch.cat(self.multiply_sides((embeddings[: self.n_users], embeddings[self.n_users :])))

    def multiply_sides(self, sides: Sides) -> Sides:
        """Â E for an E in two parts, users and items, which saves copying the two products into one."""
        users, items = sides
        return self.users_from_items(items), self.items_from_users(users)

    def users_from_items(self, items: ItemEmbeddings) -> UserEmbeddings:
        """R̃ X, without autograd."""
        return _weighted_sums(self.user_offsets, self.user_indices, self.user_values, items)

    def items_from_users(self, users: UserEmbeddings) -> ItemEmbeddings:
        """R̃ᵀ X, without autograd."""
        return _weighted_sums(self.item_offsets, self.item_indices, self.item_values, users)

    def histories(self, users: UserIndices) -> Scores:
        """A row of ones and zeros over the items for each of ``users``."""
        rows, items = self.items_of(users)
        history = self.user_values.new_zeros(len(users), self.n_items)
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
            return self.user_values.new_ones(len(places))
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
        block = self.user_values.new_zeros(self.n_users, self.n_items)
        block[rows, self.user_indices] = self.user_values
        zeros_users, zeros_items = (block.new_zeros(n, n) for n in block.shape)
        return torch.cat([torch.cat([zeros_users, block], dim=1), torch.cat([block.T, zeros_items], dim=1)], dim=0)


@torch.no_grad()
def _weighted_sums(offsets: Tensor, indices: Tensor, values: Tensor, source: Tensor) -> Tensor:
    """The product of a CSR matrix and a dense one.

    On a CPU PyTorch's `embedding_bag` is the faster kernel: it prefetches rows and is compiled for the width.
    """
    if source.is_cuda:
        # cuSPARSE multiplies numbers of one type only; it adds them up in single precision.
        return csr_tensor(offsets, indices, values.to(source), (len(offsets) - 1, len(source))) @ source
    return embedding_bag(
        indices, source, offsets, mode="sum", per_sample_weights=values.to(source), include_last_offset=True
    )


class _SymmetricProduct(torch.autograd.Function):
    """Â E whose backward is Â G: autograd's own would transpose and sort the matrix in every step."""

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, graph: BipartiteGraph) -> Tensor:
        ctx.graph = graph
        return graph.multiply(embeddings.detach())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.graph.multiply(gradients[0].contiguous()), None
