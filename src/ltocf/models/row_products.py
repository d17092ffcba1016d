"""Products of vectors with all items, each with the same bits whichever vectors are beside it."""

from __future__ import annotations

import torch

from ltocf.shapes import ItemEmbeddings, QueryVectors, Scores

ROWS = 32
"""Vectors in a product: with fewer a single one is hardly faster, and with more many are not."""


@torch.no_grad()
def row_products(vectors: QueryVectors, items: ItemEmbeddings) -> Scores:
    """Inner products of vectors with all items.

        result[q, i] = <vectors[q], items[i]>

    A library of linear algebra sums in another order for another number of rows, so the last digits of a score, and the
    order of nearly equal items, would depend on who else is in the batch. On a CPU therefore all products have `ROWS`
    vectors, the last one zeros in place of missing ones. A GPU computes one product.

    Returns:
        New scores, (queries, items); those of one item lie side by side in memory, which is almost twice as fast.

    Example:
        >>> vectors, items = torch.tensor([[1.0, 2.0], [0.0, 3.0]]), torch.tensor([[1.0, 1.0], [0.0, 2.0]])
        >>> row_products(vectors, items).tolist()
        [[3.0, 4.0], [3.0, 6.0]]
    """
    if vectors.device.type != "cpu":
        return (items @ vectors.T).T
    n_rows, n_items = len(vectors), len(items)
    padded = torch.nn.functional.pad(vectors, (0, 0, 0, -n_rows % ROWS))
    scores = vectors.new_empty(n_items, len(padded))
    for start in range(0, len(padded), ROWS):
        torch.mm(items, padded[start : start + ROWS].T, out=scores[:, start : start + ROWS])
    return scores.T[:n_rows]
