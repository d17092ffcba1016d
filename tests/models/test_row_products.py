"""Products of vectors with all items: right, and the same bits whichever vectors are beside them."""

from __future__ import annotations

import pytest
import torch

from ltocf.models.row_products import ROWS, row_products


@pytest.mark.parametrize("n_rows", [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS])
def test_they_are_the_product(n_rows: int) -> None:
    generator = torch.Generator().manual_seed(n_rows)
    vectors, items = (torch.randn(n, 7, generator=generator, dtype=torch.float64) for n in (n_rows, 50))
    torch.testing.assert_close(row_products(vectors, items), vectors @ items.T)


@pytest.mark.parametrize("dim", [3, 64, 200])
def test_a_row_does_not_depend_on_the_others(dim: int) -> None:
    generator = torch.Generator().manual_seed(dim)
    vectors, items = (torch.randn(n, dim, generator=generator) for n in (100, 333))
    everyone = row_products(vectors, items)
    order = torch.randperm(100, generator=generator)
    assert row_products(vectors[order], items).equal(everyone[order])
    for n_rows in (1, 2, 31, 33, 65):
        assert row_products(vectors[:n_rows], items).equal(everyone[:n_rows])
    assert all(row_products(vectors[row, None], items).equal(everyone[row, None]) for row in range(100))
