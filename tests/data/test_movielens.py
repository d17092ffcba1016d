"""The MovieLens ratings that come with the package, against GroupLens's own figures and a second copy."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ltocf.data import find, load_dataset


@pytest.fixture(scope="module")
def ratings() -> pl.DataFrame:
    return pl.read_parquet(find("movielens-small") / "movielens-small.parquet")


def test_counts_of_the_readme(ratings: pl.DataFrame) -> None:
    """https://files.grouplens.org/datasets/movielens/ml-latest-small-README.html of October 2016."""
    assert len(ratings) == 100_004
    assert ratings["user"].n_unique() == 671
    assert ratings["item"].n_unique() == 9_066  # of 9,125 movies, the others have tags only
    assert (ratings["user"].value_counts()["count"] >= 20).all()
    first, last = (datetime.fromtimestamp(ratings["timestamp"].sort()[row], UTC) for row in (0, -1))
    assert (first.date().isoformat(), last.date().isoformat()) == ("1995-01-09", "2016-10-16")
    assert sorted(ratings["rating"].unique()) == [half / 2 for half in range(1, 11)]


def test_equal_to_its_source(ratings: pl.DataFrame) -> None:
    specification = importlib.util.spec_from_file_location(
        "make", Path(__file__).with_name("make_movielens_parquet.py")
    )
    assert specification is not None
    assert specification.loader is not None
    make = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(make)
    assert_frame_equal(ratings, make.movielens_small())


def test_as_a_dataset(ratings: pl.DataFrame) -> None:
    dataset = load_dataset("movielens-small")
    assert dataset.titles is not None
    liked = ratings.filter(pl.col("rating") >= 3.5)
    assert len(dataset.interactions) == len(liked) == 62_106
    assert dataset.item_ids.decode(range(len(dataset.item_ids))) == sorted(liked["item"].unique())
    title = dict(zip(dataset.item_ids.ids, dataset.titles, strict=True))
    assert title[318] == "Shawshank Redemption, The (1994)"
    assert title[108583] == "108583"  # the source has no title for it
    assert not any(name.endswith(") (1995)") and name.count("(1995)") > 1 for name in dataset.titles)


def test_terms_are_beside_the_data() -> None:
    terms = (find("movielens-small") / "LICENSE-movielens.txt").read_text()
    for part in ("GroupLens", "Harper", "https://doi.org/10.1145/2827872", "Commercial", "same terms"):
        assert part in terms
