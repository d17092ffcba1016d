"""The leading singular vectors of a matrix that is only known by its products."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ltocf.shapes import ItemEmbeddings, SingularValues

OVERSAMPLING = 32
ITERATIONS = 3


def item_singular_vectors(
    gram_product: Callable[[Tensor], Tensor],
    n_items: int,
    rank: int,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> tuple[SingularValues, ItemEmbeddings]:
    """The ``rank`` largest singular values σ of B and the right singular vectors V, by randomised subspace iteration.

        X <- orth(BᵀB X)  three times;   (XᵀBᵀB X) W = W Σ²,   V = X W

    The basis is made orthonormal through the Cholesky factor of its Gram matrix, in double precision: two matrix
    products where a QR factorisation would take five times as long. A matrix hardly wider than the basis is
    decomposed exactly.

    Args:
        gram_product: maps X to BᵀB X, for X of shape (n_items, any).
        n_items: number of columns of B.
        rank: number of singular values, in 1..n_items.
        seed: seed of the random start.
        device: device of the products.

    Returns:
        σ descending, (rank,), and V with orthonormal columns, (n_items, rank).

    Raises:
        ValueError: ``rank`` out of range.

    Source: Halko, Martinsson, Tropp, SIAM Review 53(2), 2011, algorithms 4.4 and 5.1,
    https://arxiv.org/abs/0909.4061. Differs: Rayleigh-Ritz on BᵀB instead of an SVD of the projected B.

    Example:
        >>> gram = torch.diag(torch.tensor([4.0, 9.0, 1.0]))
        >>> singular_values, vectors = item_singular_vectors(lambda x: gram @ x, 3, 2)
        >>> singular_values.tolist(), vectors.abs().round().tolist()
        ([3.0, 2.0], [[0.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    """
    if not 1 <= rank <= n_items:
        raise ValueError(f"`rank` must be in [1, {n_items}], {n_items} being the number of items, got {rank}")
    n_columns = rank + OVERSAMPLING
    if n_columns >= n_items:
        basis = torch.eye(n_items, device=device)
    else:
        # Drawn on the CPU, so that a seed means the same on every device.
        basis = torch.randn(n_items, n_columns, generator=torch.Generator().manual_seed(seed)).to(device)
        for _ in range(ITERATIONS):
            basis = _orthonormal(gram_product(basis))
        basis = _orthonormal(basis)  # again, as the Gram matrix squares the condition number
    squares, rotation = torch.linalg.eigh((basis.T @ gram_product(basis)).double())
    squares, rotation = squares.flip(0)[:rank], rotation.flip(1)[:, :rank]
    return squares.clamp(min=0).sqrt().to(basis), basis @ rotation.to(basis)


def _orthonormal(basis: Tensor) -> Tensor:
    """Q with the span of ``basis`` and QᵀQ = I, as far as the condition number of ``basis`` permits."""
    factor, failed = torch.linalg.cholesky_ex((basis.T @ basis).double())
    if failed:  # the span is smaller than the basis: a graph of low rank
        orthonormal: Tensor = torch.linalg.qr(basis)[0]
    else:
        orthonormal = torch.linalg.solve_triangular(factor.T.to(basis), basis, upper=True, left=False)
    return orthonormal
