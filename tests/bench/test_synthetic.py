"""Synthetic graphs have exactly the requested size, are the same for the same seed, and follow their power law."""

from __future__ import annotations

import numpy as np
import pytest

from ltocf.bench.synthetic import EXPONENT, FEWEST_PAIRS, PAIRS_PER_ITEM, PAIRS_PER_USER, SHIFT, power_law

N_PAIRS = 200_000


@pytest.mark.parametrize("n_pairs", [FEWEST_PAIRS, FEWEST_PAIRS + 1, 123_457])
def test_the_number_of_pairs_is_exact(n_pairs: int) -> None:
    log = power_law(n_pairs)
    assert (len(log), log.n_users, log.n_items) == (n_pairs, n_pairs // PAIRS_PER_USER, n_pairs // PAIRS_PER_ITEM)


def test_the_seed_determines_the_graph() -> None:
    first, again, other = power_law(N_PAIRS), power_law(N_PAIRS), power_law(N_PAIRS, seed=1)
    assert np.array_equal(first.keys, again.keys)
    assert not np.array_equal(first.keys, other.keys)


@pytest.mark.parametrize("side", ["user_degrees", "item_degrees"])
def test_degrees_fall_as_the_power_of_the_rank(side: str) -> None:
    degrees = np.sort(getattr(power_law(N_PAIRS), side))[::-1]
    # The first ranks lose pairs that were drawn twice, the last are single pairs.
    ranks = np.arange(len(degrees) // 50, len(degrees) // 2)
    slope = np.polyfit(np.log(ranks + SHIFT), np.log(degrees[ranks]), 1)[0]
    assert slope == pytest.approx(-EXPONENT, abs=0.1)


def test_popular_items_do_not_have_neighbouring_ids() -> None:
    popular = np.argsort(power_law(N_PAIRS).item_degrees)[-20:]
    assert np.abs(np.diff(np.sort(popular))).max() > 20


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 50,000 pairs, got 49,999"):
        power_law(FEWEST_PAIRS - 1)
