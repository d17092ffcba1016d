"""From a polars frame to a dataset: columns, ids, ratings, timestamps and titles."""

from __future__ import annotations

import logging
from datetime import date, datetime
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltocf.data import IdMap, RawTable, ReadOptions, dataset_from_frame, dataset_from_table


def frame(**columns: object) -> pl.DataFrame:
    return pl.DataFrame({"user": ["a", "b", "a"], "item": [10, 20, 20], **columns})


def test_ids_are_sorted_whatever_the_order_of_rows() -> None:
    for rows in (frame(), frame().reverse()):
        dataset = dataset_from_frame(rows, "d")
        assert dataset.user_ids.decode([0, 1]) == ["a", "b"]
        assert dataset.item_ids.decode([0, 1]) == [10, 20]
        assert dataset.interactions.matrix().toarray().tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize(
    ("user", "item"),
    [("user_id", "item_id"), ("userId", "movieId"), ("User-ID", "ISBN"), ("reviewerID", "asin"), ("uid", "iid")],
)
def test_usual_column_names_are_recognised(user: str, item: str) -> None:
    rows = pl.DataFrame({"extra": [0.5], item: ["x"], user: ["a"]})
    dataset = dataset_from_frame(rows, "d")
    assert (dataset.user_ids.decode([0]), dataset.item_ids.decode([0])) == (["a"], ["x"])


def test_given_columns_take_precedence_over_usual_names() -> None:
    rows = frame(listener=["z", "z", "z"])
    assert dataset_from_frame(rows, "d", user_column="listener").user_ids.decode([0]) == ["z"]


def test_missing_columns_are_errors() -> None:
    rows = pl.DataFrame({"who": ["a"], "item": ["x"]})
    with pytest.raises(ValueError, match=r"d: no column is named like a user; pass `user_column` as one of \['who'"):
        dataset_from_frame(rows, "d")
    with pytest.raises(ValueError, match=r"`item_column` must be one of the columns \['who', 'item'\], got 'what'"):
        dataset_from_frame(rows, "d", user_column="who", item_column="what")
    with pytest.raises(ValueError, match="`min_rating` needs one: pass `rating_column`"):
        dataset_from_frame(rows, "d", user_column="who", min_rating=3.0)
    with pytest.raises(ValueError, match="users and items must be two columns, got 'item' for both"):
        dataset_from_frame(rows, "d", user_column="item")


def test_a_frame_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="d must hold at least one row besides the header, got none"):
        dataset_from_frame(frame().clear(), "d")


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["7", "42"], [7, 42]),
        (["007", "42"], ["007", "42"]),
        (["-3", "0"], [-3, 0]),
        (["+3", "4"], ["+3", "4"]),
        (["-0", "4"], ["-0", "4"]),
        (["1.5", "4"], ["1.5", "4"]),
        (["1.0", "04"], ["1.0", "04"]),
        (["1.0", "9007199254740992"], ["1.0", "9007199254740992"]),
        (["99999999999999999999", "4"], ["4", "99999999999999999999"]),
    ],
)
def test_text_ids_become_integers_only_if_all_are_plain_integers(ids: list[str], expected: list[object]) -> None:
    rows = pl.DataFrame({"user": ids, "item": ["x", "y"]})
    assert dataset_from_frame(rows, "d", from_text=True).user_ids.decode([0, 1]) == sorted(expected)  # type: ignore[type-var]
    assert dataset_from_frame(rows, "d").user_ids.decode([0, 1]) == sorted(ids)


@given(
    st.lists(
        st.one_of(st.integers(-(10**20), 10**20).map(str), st.from_regex(r"0{0,2}[0-9a]{1,3}", fullmatch=True)),
        min_size=1,
    )
)
def test_text_ids_keep_their_text(ids: list[str]) -> None:
    rows = pl.DataFrame({"user": ids, "item": ["x"] * len(ids)})
    user_ids = dataset_from_frame(rows, "d", from_text=True).user_ids
    assert {str(user) for user in user_ids.decode(range(len(user_ids)))} == set(ids)


@given(st.one_of(st.sets(st.text(min_size=1), min_size=1), st.sets(st.integers(-(2**63), 2**63 - 1), min_size=1)))
def test_decoded_ids_are_the_ids_of_the_map(ids: set[str] | set[int]) -> None:
    id_map, indices = IdMap(ids), list(range(len(ids)))
    assert id_map.decode(indices) == list(ids)
    assert id_map.encode(id_map.decode(indices)).tolist() == indices


@pytest.mark.parametrize(
    "users",
    [
        pl.Series([1, 2, 1], dtype=pl.UInt16),
        pl.Series([1.0, 2.0, 1.0]),
    ],
)
def test_unsigned_integers_and_whole_floats_are_integer_ids(users: pl.Series) -> None:
    assert dataset_from_frame(frame(user=users), "d").user_ids.decode([0, 1]) == [1, 2]


def test_large_ids_stay_distinct() -> None:
    largest = [2**53, 2**53 + 1, 2**63 - 1]
    assert dataset_from_frame(frame(user=largest), "d").user_ids.decode(range(3)) == largest
    exact_floats = [2.0**53 - 1, 2.0**53 - 2, -(2.0**53) + 1]
    assert dataset_from_frame(frame(user=exact_floats), "d").user_ids.decode(range(3)) == sorted(map(int, exact_floats))


def test_categories_become_strings_in_alphabetical_order() -> None:
    users = pl.Series(["b", "a", "b"], dtype=pl.Categorical)
    assert dataset_from_frame(frame(user=users), "d").user_ids.decode([0, 1]) == ["a", "b"]


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ([1.5, 2.0, 3.0], r"user ids \(column 'user'\) must be strings or integers, got 1.5 in row 1"),
        ([Decimal("1.5"), Decimal(2), Decimal(3)], "must be strings or integers, got Decimal.* in row 1"),
        ([True, False, True], "must be strings or integers, got Boolean"),
        ([date(2020, 1, 1)] * 3, "must be strings or integers, got Date"),
        ([2**63, 1, 2], f"must fit 64-bit integers, got {2**63} in row 1"),
        ([1.0, 2.0**53, 2.0], r"must be below 2\^53 where they are decimals, got 9007199254740992.0 in row 2"),
        (
            [-(2.0**60), 1.0, 2.0],
            r"below 2\^53 .*, got -1.15.*e\+18 in row 1; store them as integers",
        ),
        ([float("inf"), 1.0, 2.0], "must fit 64-bit integers, got inf in row 1"),
        ([1.5, 2.5, 3.0], "got 1.5 in row 1, one of 2 such rows; store them as such"),
        ([["a"], ["b"], ["c"]], r"must be strings or integers, got List\(String\)"),
        ([datetime(2020, 1, 1)] * 3, "got Datetime.*; is it the right column?"),
    ],
)
def test_ids_of_other_types_and_sizes_are_refused(users: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataset_from_frame(frame(user=users), "d")


def test_min_rating_keeps_rows_with_at_least_that_rating(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    dataset = dataset_from_frame(frame(stars=[4.0, 3.5, 3.0]), "d", min_rating=3.5)
    assert (dataset.interactions.users.tolist(), dataset.interactions.items.tolist()) == ([0, 1], [0, 1])
    assert "`min_rating` = 3.5: 2 of 3 rows are interactions; the others count as seen" in caplog.text


@pytest.mark.parametrize("column", ["timestamp", "rating"])
def test_an_error_names_the_line_of_the_source_also_after_rows_were_dropped(column: str) -> None:
    ratings, numbers = ["1", "5", "1", "5", "5", "1"], ["1", "2", "3", "4", "5", "6"]
    rows = {"user": list("abcdef"), "item": numbers, "rating": ratings, "timestamp": numbers, "kind": list("ykkkkk")}
    rows[column] = [*rows[column][:4], "soon", rows[column][5]]
    table = RawTable("d", pl.DataFrame(rows), from_text=True, first_line=2)
    with pytest.raises(ValueError, match=r"got 'soon' in line 6; "):
        dataset_from_table(table, ReadOptions(min_rating=4, only={"kind": "k"}, timestamp_column="timestamp"))


def test_a_row_that_min_rating_drops_needs_no_timestamp() -> None:
    rows = frame(rating=[5, 1, 5], timestamp=[7, None, 9])
    dataset = dataset_from_frame(rows, "d", min_rating=4)
    assert dataset.interactions.timestamps is not None
    assert dataset.interactions.timestamps.tolist() == [7, 9]


def test_column_options_may_be_keywords_or_read_options() -> None:
    rows = frame().rename({"user": "who", "item": "what"}).with_columns(when=pl.Series([3, 2, 1]), film=pl.lit("Ran"))
    options = ReadOptions(user_column="who", item_column="what", timestamp_column="when", title_column="film")
    dataset = dataset_from_frame(rows, "d", **options.given())
    assert dataset.titles == ("Ran",) * len(dataset.item_ids)
    assert dataset.interactions.timestamps is not None
    with pytest.raises(TypeError, match="user_colum"):
        dataset_from_frame(rows, "d", user_colum="who")


def test_without_min_rating_every_row_is_an_interaction(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert len(dataset_from_frame(frame(stars=[4.0, None, 1.0]), "d").interactions) == 3
    assert "every row is an interaction" in caplog.text


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ([1.0, 2.0, 3.0], "`min_rating` must leave at least one row, got 4 and ratings from 1 to 3"),
        ([None, float("nan"), None], "must leave at least one row, got 4 and no ratings"),
        ([5.0, float("inf"), 5.0], "ratings .* must be numbers, got inf in row 2"),
        ([[5], [4], [3]], r"ratings .* must be numbers, got List\(Int64\)"),
        (["5", "good", "5"], "ratings .* must be numbers, got 'good' in row 2"),
    ],
)
def test_unusable_ratings_are_refused(ratings: list[object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataset_from_frame(frame(rating=ratings), "d", min_rating=4)


def test_the_title_is_the_first_one_given_or_else_the_id() -> None:
    rows = pl.DataFrame({"user": [1, 2, 3, 4], "item": [30, 10, 30, 20], "name": ["C", None, "other", " "]})
    assert dataset_from_frame(rows, "d", title_column="name").titles == ("10", "20", "C")
    assert dataset_from_frame(rows, "d").titles is None


def test_repeated_pairs_are_merged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    n = 1_000_000
    rows = pl.DataFrame({"user": ["a", "b"] * (n // 2), "item": [1] * n, "timestamp": range(n, 0, -1)})
    log = dataset_from_frame(rows, "d").interactions
    assert log.timestamps is not None
    assert (len(log), log.timestamps.tolist()) == (2, [2, 1])
    assert "merged: 999,998 rows that repeat a pair" in caplog.text
