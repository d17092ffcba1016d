"""The MovieLens ratings of the package, against GroupLens's own figures and the digest of a second copy."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

import polars as pl
import pytest

from ltocf.data import find, load_dataset

RATINGS_SHA256 = "27a5a5acb90b67c8e7a2abe90f8116ab96a381aa5bd21aff1490b53308632030"


@pytest.fixture(scope="module")
def ratings() -> pl.DataFrame:
    return pl.read_parquet(find("movielens-small") / "movielens-small.parquet")


def test_counts_are_those_of_the_readme(ratings: pl.DataFrame) -> None:
    """https://files.grouplens.org/datasets/movielens/ml-latest-small-README.html of October 2016."""
    assert len(ratings) == 100_004
    assert ratings["user"].n_unique() == 671
    assert ratings["item"].n_unique() == 9_066  # of 9,125 movies; the others have only tags
    assert (ratings["user"].value_counts()["count"] >= 20).all()
    first, last = (datetime.fromtimestamp(ratings["timestamp"].sort()[row], UTC) for row in (0, -1))
    assert (first.date().isoformat(), last.date().isoformat()) == ("1995-01-09", "2016-10-16")
    assert sorted(ratings["rating"].unique()) == [half / 2 for half in range(1, 11)]


def test_the_first_rows_are_those_of_the_published_file(ratings: pl.DataFrame) -> None:
    """The head of GroupLens's ratings.csv, as many tutorials on this release print it."""
    first = ratings.sort("user", "item").head(5).select("item", "rating", "timestamp").rows()
    assert first == [
        (31, 2.5, 1260759144),
        (1029, 3.0, 1260759179),
        (1061, 3.0, 1260759182),
        (1129, 2.0, 1260759185),
        (1172, 4.0, 1260759205),
    ]


def test_all_rows_have_the_digest_of_the_verified_copy(ratings: pl.DataFrame) -> None:
    """The digest was taken when every row equalled that of the copy in R's dslabs package."""
    rows = ratings.sort("user", "item").select("user", "item", "rating", "timestamp", "title", "year", "genres")
    content = rows.write_csv(float_precision=1).encode()
    assert hashlib.sha256(content).hexdigest() == RATINGS_SHA256


def test_the_dataset_has_the_liked_films_with_their_titles(ratings: pl.DataFrame) -> None:
    dataset = load_dataset("movielens-small")
    assert dataset.titles is not None
    liked = ratings.filter(pl.col("rating") >= 3.5)
    assert len(dataset.interactions) == len(liked) == 62_106
    assert dataset.item_ids.decode(range(len(dataset.item_ids))) == sorted(liked["item"].unique())
    title = dict(zip(dataset.item_ids.ids, dataset.titles, strict=True))
    assert title[318] == "Shawshank Redemption, The (1994)"
    assert title[108583] == "108583"  # the source has no title for it
    assert not any(re.search(r"\((\d{4})\) \(\1\)$", name) for name in dataset.titles)  # no year is given twice


def test_the_licence_of_the_data_is_beside_it() -> None:
    terms = (find("movielens-small") / "LICENSE-movielens.txt").read_text()
    for part in ("GroupLens", "Harper", "https://doi.org/10.1145/2827872", "Commercial", "same terms"):
        assert part in terms
