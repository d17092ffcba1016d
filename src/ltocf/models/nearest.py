"""Sparse matrices over the items, computed in blocks of rows and cut to the largest entries of each."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeAlias

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor, nn

from ltocf.models.history import Entries, EntryIndices, EntryValues
from ltocf.shapes import Scores

PRODUCTS_AT_A_TIME = 2**23
"""Multiplications in a block of rows of a sparse matrix product, for which a few hundred megabytes are enough."""
ADDED_AT_A_TIME = 2**22
"""Entries of rows that are added to scores at once."""
MOST_MULTIPLICATIONS = 10**12
"""Of the exact product for the lists of all users, which takes some minutes on two cores."""
NEIGHBOURS = 200
"""Entries of each row of the matrix that are kept beyond that."""
Weigh: TypeAlias = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Values of entries from their rows, columns and products."""
Largest: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Rows, places in them, columns and values."""


def entries_kept(n_users: int, n_items: int, n_pairs: int, requested: int) -> int:
    """The entries of each row of MᵀM that are kept; 0: none, and products with M and Mᵀ take their place.

    Args:
        n_users: number of rows of M.
        n_items: number of its columns.
        n_pairs: number of its entries.
        requested: entries to keep; 0: what the size of M suggests.
    """
    is_large = 2 * n_users * n_pairs > MOST_MULTIPLICATIONS
    return min(requested or (NEIGHBOURS if is_large else 0), n_items)


class NearestItems(nn.Module):
    """A matrix over the items of which each row keeps its ``k`` largest entries, all of them positive.

    Args:
        n_items: number of rows and columns.
        k: entries that are kept, in 1..n_items.

    Example:
        >>> nearest = NearestItems(3, 1)
        >>> nearest.keep_gram(sp.csr_matrix([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]]), scale=np.ones(3))
        >>> nearest.scores(Entries(1, rows=torch.tensor([0, 0]), items=torch.tensor([0, 2]), values=torch.ones(2)))
        tensor([[0., 2., 9.]])
    """

    neighbours: Tensor
    similarities: Tensor

    def __init__(self, n_items: int, k: int) -> None:
        super().__init__()
        self.register_buffer("neighbours", torch.zeros(n_items, k, dtype=torch.int32))
        self.register_buffer("similarities", torch.zeros(n_items, k))

    def keep_gram(self, matrix: sp.csr_matrix, scale: np.ndarray) -> None:
        """Keep the entries of MᵀM that are the largest of their row when each column is multiplied by ``scale``."""
        blocks = product_rows(
            matrix.T.tocsr(), matrix, lambda rows, columns, products: products * scale[columns], diagonal=True
        )
        keep_largest(blocks, self.neighbours, self.similarities)
        self.similarities.div_(torch.from_numpy(scale).to(self.similarities)[self.neighbours])

    def scores(self, entries: Entries) -> Scores:
        """Each history times the matrix."""
        n_items, k = self.neighbours.shape
        scores = self.similarities.new_zeros(entries.n_rows, n_items)
        starts, values = entries.rows * n_items, entries.values.to(scores)
        size = max(1, ADDED_AT_A_TIME // k)
        pieces = (torch.split(each, size) for each in (starts, entries.items, values))
        for start, items, value in zip(*pieces, strict=True):
            at = start[:, None] + self.neighbours[items]
            scores.view(-1).index_add_(0, at.view(-1), (self.similarities[items] * value[:, None]).view(-1))
        return scores

    def column(self, items: EntryIndices, target: int) -> EntryValues:
        """The entries of some rows in one column."""
        return ((self.neighbours[items] == target) * self.similarities[items]).sum(1)


class RowBlocks(NamedTuple):
    """A sparse matrix that is computed in blocks of rows, by several threads.

    Args:
        bounds: where the blocks begin and end, from 0 to the number of rows.
        rows: the rows between two of them.
    """

    bounds: list[int]
    rows: Callable[[int, int], sp.csr_matrix]


def keep_largest(matrix: RowBlocks, neighbours: Tensor, similarities: Tensor) -> None:
    """Fill both with the largest entries of each row, the largest first; 0 where a row has fewer.

    As many blocks are computed at a time as PyTorch has threads.

    Args:
        matrix: whose entries are kept.
        neighbours: their columns, (rows, kept).
        similarities: their values, (rows, kept).
    """
    neighbours.zero_()
    similarities.zero_()
    k, device = neighbours.shape[1], neighbours.device

    def largest(start: int, end: int) -> Largest:
        return largest_of_rows(matrix.rows(start, end), k)

    pool = ThreadPoolExecutor(torch.get_num_threads())
    try:
        found = pool.map(largest, matrix.bounds[:-1], matrix.bounds[1:])
        for start, (rows, places, columns, values) in zip(matrix.bounds, found, strict=False):
            at = (torch.from_numpy(rows + start).to(device), torch.from_numpy(places).to(device))
            neighbours[at] = torch.from_numpy(columns.astype(np.int32)).to(device)
            similarities[at] = torch.from_numpy(values.astype(np.float32)).to(device)
    finally:
        pool.shutdown(cancel_futures=True)  # an interruption does not wait for blocks that have not begun


def product_rows(left: sp.csr_matrix, right: sp.csr_matrix, weigh: Weigh, *, diagonal: bool = False) -> RowBlocks:
    """The product of two sparse matrices, each entry weighed, with its diagonal or without."""
    n_rows = left.shape[0]
    work = np.bincount(
        np.repeat(np.arange(n_rows), np.diff(left.indptr)),
        weights=np.diff(right.indptr)[left.indices],
        minlength=n_rows,
    )
    ends = np.searchsorted(np.cumsum(work), np.arange(PRODUCTS_AT_A_TIME, work.sum(), PRODUCTS_AT_A_TIME)) + 1

    def rows(start: int, end: int) -> sp.csr_matrix:
        block = (left[start:end] @ right).tocoo()
        rows = block.row + start
        kept = slice(None) if diagonal else rows != block.col
        values = weigh(rows[kept], block.col[kept], block.data[kept])
        return sp.csr_matrix((values, (block.row[kept], block.col[kept])), shape=block.shape)

    return RowBlocks([0, *np.unique(ends).tolist(), n_rows], rows)


def largest_of_rows(matrix: sp.csr_matrix, k: int) -> Largest:
    """The k largest entries of each row, the largest first, equal ones by column."""
    matrix = _without_smallest(matrix, k)
    matrix.sort_indices()
    lengths = np.diff(matrix.indptr)
    rows = np.repeat(np.arange(matrix.shape[0]), lengths)
    order = np.lexsort((-matrix.data, rows))
    places = np.arange(len(rows)) - np.repeat(matrix.indptr[:-1], lengths)
    kept = places < k
    order = order[kept]
    return rows[kept], places[kept], matrix.indices[order].astype(np.int64), matrix.data[order]


def _without_smallest(matrix: sp.csr_matrix, k: int) -> sp.csr_matrix:
    """Drop entries below the k-th largest of their row: sorting only the others takes a fraction of the time."""
    lengths = np.diff(matrix.indptr)
    kept = np.ones(matrix.nnz, bool)
    for row in np.flatnonzero(lengths > k):
        values = matrix.data[matrix.indptr[row] : matrix.indptr[row + 1]]
        kept[matrix.indptr[row] : matrix.indptr[row + 1]] = values >= np.partition(values, -k)[-k]
    offsets = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr]
    return sp.csr_matrix((matrix.data[kept], matrix.indices[kept], offsets), shape=matrix.shape)
