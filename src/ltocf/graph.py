"""The bipartite graph of users and items, as one symmetric operator applied to stacked embeddings."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from ltocf.data.interactions import Interactions
from ltocf.shapes import Embeddings

# Every user of CSR tensors sees these two once; neither asks for anything to be done.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
warnings.filterwarnings("ignore", message="Sparse invariant checks are implicitly disabled")


class BipartiteGraph(nn.Module):
    """The symmetrically normalised adjacency of the interaction graph.

        Â = D^-1/2 A D^-1/2 = [[0, R̃], [R̃ᵀ, 0]],   R̃[u, i] = 1 / sqrt(deg(u) deg(i))

    Nodes are users followed by items; eigenvalues lie in [-1, 1]; a node without interactions has a zero row.
    R̃ and R̃ᵀ are kept as two CSR blocks with 32-bit indices (two products of the blocks beat one of the square
    matrix 4-8 times on a CPU), stored as plain buffers, which ``.to()`` and ``deepcopy`` handle and CSR tensors
    do not. They are not in the state_dict: the graph is made again from the interactions.

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

    def __init__(self, normalised: sp.csr_matrix) -> None:
        super().__init__()
        self.n_users, self.n_items = normalised.shape
        for side, block in (("user", normalised), ("item", normalised.T.tocsr())):
            for part, array in (("offsets", block.indptr), ("indices", block.indices)):
                buffer = torch.from_numpy(array.astype(np.int32))
                self.register_buffer(f"{side}_{part}", buffer, persistent=False)
            values = torch.from_numpy(block.data.astype(np.float32))
            self.register_buffer(f"{side}_values", values, persistent=False)

    @classmethod
    def from_interactions(cls, train: Interactions) -> BipartiteGraph:
        """Normalise the interaction matrix. Pairs outside ``train`` must not be in it: they would leak."""
        scale_users, scale_items = (
            np.divide(1.0, np.sqrt(degrees), out=np.zeros(len(degrees)), where=degrees > 0)
            for degrees in (train.user_degrees, train.item_degrees)
        )
        matrix = train.matrix()
        matrix.data = (scale_users[train.users] * scale_items[train.items]).astype(np.float32)
        return cls(matrix)

    @property
    def n_nodes(self) -> int:
        return self.n_users + self.n_items

    def forward(self, embeddings: Embeddings) -> Embeddings:
        """Â E, differentiable in E: as Â is symmetric the gradient is the same product."""
        product: Tensor = _SymmetricProduct.apply(embeddings, self)  # type: ignore[no-untyped-call]
        return product

    def multiply(
        self,
        embeddings: Embeddings,
        *,
        scale: float = 1.0,
        minus: Embeddings | None = None,
        out: Embeddings | None = None,
    ) -> Embeddings:
        """``scale`` Â E - ``minus``, without autograd and without temporaries; ``out`` may be ``minus`` itself."""
        beta = 0.0 if minus is None else -1.0
        result = torch.empty_like(embeddings, memory_format=torch.contiguous_format) if out is None else out
        base = result if minus is None else minus
        n_users = self.n_users
        users, items = embeddings[:n_users], embeddings[n_users:]
        for block, source, rows in (
            (self._user_block(), items, slice(None, n_users)),
            (self._item_block(), users, slice(n_users, None)),
        ):
            torch.addmm(base[rows], block, source, beta=beta, alpha=scale, out=result[rows])
        return result

    def dense(self) -> Embeddings:
        """Â as a dense (nodes, nodes) matrix: for tests and small examples."""
        block = self._user_block().to_dense()
        zeros_users, zeros_items = (block.new_zeros(n, n) for n in block.shape)
        return torch.cat([torch.cat([zeros_users, block], dim=1), torch.cat([block.T, zeros_items], dim=1)], dim=0)

    def _user_block(self) -> Tensor:
        shape = (self.n_users, self.n_items)
        return torch.sparse_csr_tensor(self.user_offsets, self.user_indices, self.user_values, shape)

    def _item_block(self) -> Tensor:
        shape = (self.n_items, self.n_users)
        return torch.sparse_csr_tensor(self.item_offsets, self.item_indices, self.item_values, shape)


class _SymmetricProduct(torch.autograd.Function):
    """Â E whose backward is Â G: autograd's own would transpose and sort the matrix in every step."""

    @staticmethod
    def forward(ctx: Any, embeddings: Tensor, graph: BipartiteGraph) -> Tensor:
        ctx.graph = graph
        return graph.multiply(embeddings.detach())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return ctx.graph.multiply(gradients[0].contiguous()), None
