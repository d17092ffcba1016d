"""PyTorch's CSR tensors without the warning that a process's first one gives, and rows of a CSR matrix."""

from __future__ import annotations

import warnings
from functools import cache

import torch
from torch import Tensor

from ltocf.shapes import ListScores, RankedItems


def csr_tensor(offsets: Tensor, indices: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A CSR tensor from its arrays, which must be valid: they are neither copied nor checked.

    Example:
        >>> one = torch.ones(1)
        >>> csr_tensor(torch.tensor([0, 1, 1]), torch.tensor([2]), one, (2, 3)).to_dense().tolist()
        [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    """
    _consume_beta_warning()
    return torch.sparse_csr_tensor(offsets, indices, values, shape, check_invariants=False)


def products_at(places: RankedItems, left: Tensor, right: Tensor, plus: ListScores | None = None) -> ListScores:
    """Inner products of each row of ``left`` with a few rows of ``right``, which are not copied.

        result[q, r] = plus[q, r] + <left[q], right[places[q, r]]>

    Example:
        >>> products_at(torch.tensor([[2, 0]]), torch.ones(1, 2), torch.tensor([[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]]))
        tensor([[7., 3.]])
    """
    values = left.new_zeros(places.shape) if plus is None else plus
    offsets = torch.arange(len(places) + 1, device=places.device) * places.shape[1]
    pattern = csr_tensor(offsets, places.flatten(), values.flatten(), (len(places), len(right)))
    products: ListScores = torch.sparse.sampled_addmm(pattern, left, right.T).values().view_as(places)
    return products


def row_entries(offsets: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
    """The entries of some rows of a CSR matrix, row by row: for each, the place of its row in ``nodes``, and its own.

    Example:
        >>> row_entries(torch.tensor([0, 2, 2, 3]), torch.tensor([2, 0]))
        (tensor([0, 1, 1]), tensor([2, 0, 1]))
    """
    starts, ends = offsets[nodes].long(), offsets[nodes + 1].long()
    lengths = ends - starts
    rows = torch.repeat_interleave(lengths)
    places = torch.arange(len(rows), device=rows.device) + (starts - (lengths.cumsum(0) - lengths))[rows]
    return rows, places


@cache
def _consume_beta_warning() -> None:
    """Provoke and ignore PyTorch's warning that CSR tensors are in beta state, which it gives once per process.

    Changing the caller's warning filters for every product instead would be visible to other threads.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        offsets = torch.zeros(1, dtype=torch.int32)
        torch.sparse_csr_tensor(offsets, offsets[:0], torch.zeros(0), (0, 0), check_invariants=False)
