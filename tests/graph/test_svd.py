"""The randomised singular value decomposition against NumPy's."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from ltocf.graph.svd import OVERSAMPLING, item_singular_vectors

WIDE = OVERSAMPLING + 60


def gram_of(matrix: np.ndarray) -> Callable[[torch.Tensor], torch.Tensor]:
    dense = torch.from_numpy(matrix)
    return lambda vectors: (dense.T @ (dense @ vectors.double())).float()


def with_singular_values(values: np.ndarray, n_rows: int, n_columns: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    left, right = (np.linalg.qr(generator.normal(size=(n, len(values))))[0] for n in (n_rows, n_columns))
    return left * values @ right.T


@pytest.mark.parametrize(("n_rows", "n_columns", "rank"), [(30, 12, 5), (8, 20, 8), (150, WIDE, 10), (60, WIDE, 20)])
def test_values_and_vectors_are_those_of_numpy(n_rows: int, n_columns: int, rank: int) -> None:
    matrix = with_singular_values(0.8 ** np.arange(min(n_rows, n_columns)), n_rows, n_columns)
    _, values, vectors = np.linalg.svd(matrix, full_matrices=False)
    found_values, found_vectors = item_singular_vectors(gram_of(matrix), n_columns, rank)
    np.testing.assert_allclose(found_values.numpy(), values[:rank], atol=1e-5)
    leading = slice(None, rank // 2)  # projectors, because the sign of a vector is arbitrary
    projector = vectors[leading].T @ vectors[leading]
    found = found_vectors[:, leading].numpy()
    np.testing.assert_allclose(found @ found.T, projector, atol=1e-5)


@pytest.mark.parametrize("n_columns", [20, WIDE])
def test_singular_vectors_are_orthonormal(n_columns: int) -> None:
    matrix = np.random.default_rng(0).normal(size=(40, n_columns))
    _, vectors = item_singular_vectors(gram_of(matrix), n_columns, 10)
    np.testing.assert_allclose((vectors.T @ vectors).numpy(), np.eye(10), atol=1e-5)


@pytest.mark.parametrize("n_columns", [12, WIDE])
def test_a_matrix_of_low_rank_has_zeros_beyond_it(n_columns: int) -> None:
    matrix = with_singular_values(np.array([3.0, 2.0]), 30, n_columns)
    values, vectors = item_singular_vectors(gram_of(matrix), n_columns, 6)
    np.testing.assert_allclose(values[:2].numpy(), [3, 2], rtol=1e-5)
    # Square roots of eigenvalues that are zero but for float32 rounding.
    np.testing.assert_allclose(values[2:].numpy(), 0, atol=2e-3)
    np.testing.assert_allclose((vectors.T @ vectors).numpy(), np.eye(6), atol=1e-5)
    leading = vectors[:, :2].double().numpy()
    np.testing.assert_allclose(matrix @ leading @ leading.T, matrix, atol=1e-4)


@pytest.mark.parametrize("n_columns", [12, WIDE])
def test_vectors_of_a_repeated_singular_value_span_its_whole_space(n_columns: int) -> None:
    matrix = with_singular_values(np.array([2.0, 2.0, 2.0, 0.5]), 30, n_columns)
    _, _, expected = np.linalg.svd(matrix, full_matrices=False)
    values, vectors = item_singular_vectors(gram_of(matrix), n_columns, 3)
    np.testing.assert_allclose(values.numpy(), [2, 2, 2], rtol=1e-5)
    np.testing.assert_allclose((vectors @ vectors.T).numpy(), expected[:3].T @ expected[:3], atol=1e-4)


def test_the_same_seed_gives_the_same_bits_and_another_seed_the_same_values() -> None:
    matrix = with_singular_values(0.7 ** np.arange(30), 50, WIDE)
    first, twin, other = (item_singular_vectors(gram_of(matrix), WIDE, 4, seed) for seed in (1, 1, 2))
    assert first[1].equal(twin[1])
    assert not first[1].equal(other[1])
    torch.testing.assert_close(first[0], other[0], rtol=1e-5, atol=0)


@pytest.mark.parametrize("rank", [0, 4])
def test_a_rank_out_of_range_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match=rf"`rank` must be in \[1, 3\].*got {rank}"):
        item_singular_vectors(gram_of(np.eye(3)), 3, rank)
