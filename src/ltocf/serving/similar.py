"""Similarity of items and of users: by their vectors, or by how much of their histories they share."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch.nn.functional import normalize

from ltocf.data.histories import Histories
from ltocf.models.user_map import ItemNumbers
from ltocf.shapes import QueryVectors

SIMILARITIES = ("cosine", "inner_product", "history")


def check_similarity(by: str) -> None:
    """Raises ValueError for an unknown similarity."""
    if by not in SIMILARITIES:
        raise ValueError(f"`by` must be one of {', '.join(SIMILARITIES)}, got {by!r}")


@torch.no_grad()
def nearness(vectors: QueryVectors, index: int, by: str) -> ItemNumbers:
    """The cosine of each row with that of ``index``, in [-1, 1], or their inner product.

    Example:
        >>> nearness(torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 4.0]]), 0, "cosine")
        tensor([1.0000, 0.0000, 0.6000])
    """
    target = vectors[index]
    if by == "cosine":
        return (normalize(vectors) @ normalize(target, dim=0)).clamp(-1, 1)
    scores: ItemNumbers = vectors @ target
    return scores


def overlap(rows: sp.csr_matrix, index: int) -> ItemNumbers:
    """|A ∩ B| / sqrt(|A| |B|) of the set of each row with that of ``index``: the cosine of rows of 0 and 1.

    Example:
        >>> rows = membership(Histories(torch.tensor([0, 2, 3]), torch.tensor([0, 1, 1], dtype=torch.int32), 3))
        >>> overlap(rows, 0).tolist()
        [1.0, 0.7071067690849304]
    """
    lengths = np.diff(rows.indptr)
    shared: Float[np.ndarray, " rows"] = (rows @ rows[[index]].T).toarray()[:, 0]
    norms = np.sqrt(lengths * float(lengths[index])).clip(min=1)
    return torch.from_numpy((shared / norms).astype(np.float32))


def membership(histories: Histories) -> sp.csr_matrix:
    """A row for each history, 1 where an item is in it."""
    ones = np.ones(len(histories.items), np.float32)
    shape = (len(histories), histories.n_items)
    return sp.csr_matrix((ones, histories.items.numpy(), histories.offsets.numpy()), shape=shape)
