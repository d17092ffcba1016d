"""Which rows count and how much, and how the others are reported: filters, ratings, weights and cores."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dataset_views import id_pairs, report_text
from ltocf.data import Dataset, RawTable, ReadOptions, dataset_from_frame, dataset_from_table
from ltocf.data.report import DroppedRows

EVENTS = {
    "user": ["ann", "ann", "ann", "bob", "bob", "cid"],
    "item": ["p1", "p1", "p2", "p1", "p3", "p3"],
    "event": ["view", "purchase", "view", "cart", "view", "return"],
    "amount": ["1", "2.0", "3,5", "1", "0", "-4"],
    "rating": ["5", "1", "2", "NA", "4", "4"],
}


def read(rows: dict[str, list[Any]] | None = None, **options: Any) -> Dataset:
    table = RawTable("log.csv", pl.DataFrame(rows or EVENTS), from_text=True, first_line=2)
    return dataset_from_table(table, ReadOptions(**options))


def seen_pairs(dataset: Dataset) -> list[tuple[object, object]]:
    assert dataset.also_seen is not None
    return id_pairs(replace(dataset, interactions=dataset.also_seen))


def weights(dataset: Dataset) -> dict[tuple[object, object], float]:
    found = dataset.interactions.weights
    assert found is not None
    return dict(zip(id_pairs(dataset), found.tolist(), strict=True))


def test_only_and_drop_filter_rows_by_the_value_of_a_column(caplog: pytest.LogCaptureFixture) -> None:
    dataset = read(only={"event": ["purchase", "cart"]})
    assert id_pairs(dataset) == [("ann", "p1"), ("bob", "p1")]
    assert "4 rows dropped: `only` event = cart, purchase (first: line 2: 'view')" in report_text(dataset)
    assert "dropped" not in "".join(record.message for record in caplog.records if record.levelno > logging.INFO)
    dataset = read(only={"event": ["view", "return"]}, drop={"event": "return", "user": "bob"})
    assert id_pairs(dataset) == [("ann", "p1"), ("ann", "p2")]
    assert "1 row dropped: `drop` event = return (first: line 7: 'return')" in report_text(dataset)
    assert "1 row dropped: `drop` user = bob (first: line 6: 'bob')" in report_text(dataset)
    assert "'event' (given)" in report_text(dataset)


@pytest.mark.parametrize("value", [2, 2.0, "2", "2.0", " 2 "])
def test_filter_values_are_compared_as_text_and_as_numbers(value: object) -> None:
    assert id_pairs(read(only={"amount": value})) == [("ann", "p1")]
    typed = pl.DataFrame(EVENTS).with_columns(amount=pl.Series([1, 2, 3, 1, 0, -4]))
    assert id_pairs(dataset_from_frame(typed, "d", only={"amount": value})) == [("ann", "p1")]


def test_filters_of_truth_values_missing_values_and_categories() -> None:
    flags = pl.DataFrame(EVENTS).with_columns(
        paid=pl.Series([True, False, None, None, True, False]), kind=pl.col("event").cast(pl.Categorical)
    )
    assert id_pairs(dataset_from_frame(flags, "d", only={"paid": True})) == [("ann", "p1"), ("bob", "p3")]
    assert id_pairs(dataset_from_frame(flags, "d", only={"paid": ["false", ""]}, drop={"kind": "return"})) == [
        *(("ann", "p1"), ("ann", "p2"), ("bob", "p1")),
    ]


def test_filters_with_unknown_columns_or_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"log.csv: `only` must be one of the columns \['user', .*, got 'evnt'"):
        read(only={"evnt": "view"})
    values = "there are 'view', 'cart', 'purchase', 'return'"
    with pytest.raises(ValueError, match=f"`drop` must be a value that occurs in column 'event', got 'veiw'; {values}"):
        read(drop={"event": ["view", "veiw"]})
    with pytest.raises(
        ValueError, match=r"at least one row must be left, got none: 3 .*; 3 rows dropped: `drop` event = view"
    ):
        read(only={"event": "view"}, drop={"event": "view"})
    many = {"user": [str(n) for n in range(15)], "item": ["x"] * 15}
    with pytest.raises(ValueError, match=r"there are '0', '1', '10', .* and 5 others"):
        read(many, only={"user": "z"})


def test_a_partial_log_need_not_contain_every_value_of_the_options() -> None:
    day = {name: [value for value, kind in zip(values, EVENTS["event"], strict=True) if kind == "view"]
           for name, values in EVENTS.items()}  # fmt: skip
    options = {"event_weights": {"event": {"view": 0.5, "cart": 1}}, "drop": {"event": "return"}}
    with pytest.raises(ValueError, match="must be a value that occurs in column 'event', got 'cart'"):
        read(day, **options)
    assert set(weights(read(day, **options, partial=True)).values()) == {0.5}
    with pytest.raises(ValueError, match="at least one row must be left"):
        read(day, only={"event": "purchase"}, partial=True)


def test_rows_below_min_rating_count_as_seen() -> None:
    dataset = read(min_rating=4)
    # One row rates ann's p1 with 5; bob's p1 has no rating; nobody likes p2, so it has no index.
    assert id_pairs(dataset) == [("ann", "p1"), ("bob", "p3"), ("cid", "p3")]
    assert seen_pairs(dataset) == [("bob", "p1")]
    report = report_text(dataset)
    assert "3 of 6 rows are interactions; the others count as seen, 1 row without a rating among them" in report
    assert "1 seen pair of users or items without an interaction left out" in report
    assert read().also_seen is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 5)), min_size=1, max_size=20))
def test_a_pair_is_an_interaction_or_only_seen_but_never_both(rows: list[tuple[int, int, int]]) -> None:
    assume(max(rating for *_, rating in rows) >= 4)
    users, items, ratings = zip(*rows, strict=True)
    dataset = dataset_from_frame(pl.DataFrame({"user": users, "item": items, "rating": ratings}), "d", min_rating=4)
    best = {(user, item): max(r for *pair, r in rows if tuple(pair) == (user, item)) for user, item, _ in rows}
    liked = {pair for pair, rating in best.items() if rating >= 4}
    assert set(id_pairs(dataset)) == liked
    known_users, known_items = (set(ids) for ids in zip(*liked, strict=True))
    low = {(user, item) for user, item in best.keys() - liked if user in known_users and item in known_items}
    assert set(seen_pairs(dataset) if dataset.also_seen else []) == low


def test_ratings_with_a_decimal_comma_are_read() -> None:
    rows = EVENTS | {"rating": ["4,5", "3,5", "4", "4,0", "NA", "1"]}
    dataset = read(rows, min_rating=4)
    assert id_pairs(dataset) == [("ann", "p1"), ("ann", "p2"), ("bob", "p1")]
    assert "ratings (column 'rating'): 3 values like '4,5' read with a decimal comma" in report_text(dataset)
    with pytest.raises(ValueError, match=r"must be numbers, got '1\.000,5' in line 2; "):
        read(EVENTS | {"rating": ["1.000,5", *["4"] * 5]}, min_rating=4)


def test_weights_of_events_add_up() -> None:
    by_event = {"event": {"view": 0.25, "cart": 0.5, "purchase": 1, "return": 0.125}}
    found = weights(read(event_weights=by_event))
    assert found == {
        ("ann", "p1"): 1.25,
        ("ann", "p2"): 0.25,
        ("bob", "p1"): 0.5,
        ("bob", "p3"): 0.25,
        ("cid", "p3"): 0.125,
    }
    assert read().interactions.weights is None
    # A weight is allowed for a value whose rows are all left out, by a filter or for another reason.
    assert id_pairs(read(event_weights=by_event, only={"event": "cart"})) == [("bob", "p1")]
    without_item = EVENTS | {"item": ["p1", "NA", "p2", "p1", "p3", "p3"]}
    assert weights(read(without_item, event_weights=by_event))["ann", "p1"] == 0.25
    used_only = {"event": {"view": 1, "cart": 2}}
    assert len(read(event_weights=used_only, drop={"event": ["purchase", "return"]}).interactions) == 4


def test_weights_of_a_column_and_of_events_multiply() -> None:
    rows = {"user": ["a", "a", "b"], "item": ["x", "x", "x"], "event": ["v", "w", "v"], "n": ["2", "3", "0,5"]}
    assert weights(read(rows, weight_column="n")) == {("a", "x"): 5.0, ("b", "x"): 0.5}
    both = read(rows, weight_column="n", event_weights={"event": {"v": 0.5, "w": 2}})
    assert weights(both) == {("a", "x"): 7.0, ("b", "x"): 0.25}


def test_rows_without_a_positive_weight_are_left_out() -> None:
    dataset = read(weight_column="amount")
    assert weights(dataset) == {("ann", "p1"): 3.0, ("ann", "p2"): 3.5, ("bob", "p1"): 1.0}
    assert "2 rows dropped: a weight that is not above 0 (first: line 6: '0')" in report_text(dataset)
    dataset = read(EVENTS | {"amount": ["1", "NA", "1", "1", "1", "1"]}, weight_column="amount")
    assert "1 row dropped: no weight (first: line 3: 'NA')" in report_text(dataset)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"event_weights": {"event": {"view": 1, "cart": 1}}},
            "a weight for every value, got none for 'purchase', 'return'",
        ),
        ({"event_weights": {"event": {"vew": 1}}}, "must be a value that occurs in column 'event', got 'vew'"),
        ({"event_weights": {"event": {"view": 0}}}, "must be positive numbers, got 0 for 'view'; leave such rows out"),
        ({"event_weights": {"kind": {"view": 1}}}, "`event_weights` must be one of the columns"),
        ({"weight_column": "event"}, r"weights \(column 'event'\) must be numbers, got 'view' in line 2, one of 6"),
        ({"min_user_interactions": 0}, "`min_user_interactions` must be at least 1, got 0"),
        ({"min_item_interactions": 9}, "`min_item_interactions` = 9 must leave an interaction, got none of 5 pairs"),
    ],
    ids=range(7),
)
def test_unusable_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(**options)


@given(
    st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_a_core_is_the_fixed_point_of_dropping_rare_users_and_items(
    log: set[tuple[int, int]], least_user: int, least_item: int
) -> None:
    core, previous_size = set(log), -1
    while previous_size != len(core):
        previous_size = len(core)
        core = {(u, i) for u, i in core if sum(u == other for other, _ in core) >= least_user}
        core = {(u, i) for u, i in core if sum(i == other for _, other in core) >= least_item}
    users, items = zip(*sorted(log), strict=True)
    frame = pl.DataFrame({"user": [f"u{user}" for user in users], "item": items})
    options = {"min_user_interactions": least_user, "min_item_interactions": least_item}
    if not core:
        with pytest.raises(ValueError, match="must leave an interaction"):
            dataset_from_frame(frame, "d", **options)
        return
    dataset = dataset_from_frame(frame, "d", **options)
    assert set(id_pairs(dataset)) == {(f"u{user}", item) for user, item in core}
    assert dataset.interactions.user_degrees.min() >= least_user
    assert dataset.interactions.item_degrees.min() >= least_item
    n_dropped = f"{len(log) - len(core):,} pair"
    assert len(core) == len(log) or n_dropped in report_text(dataset) or (least_user, least_item) == (1, 1)


def test_seen_pairs_of_users_and_items_outside_the_core_are_left_out() -> None:
    rows = {"user": list("aabbca"), "item": list("xyxyxz"), "rating": ["5", "5", "5", "5", "5", "1"]}
    dataset = read(rows, min_rating=4, min_user_interactions=2)
    assert id_pairs(dataset) == [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]
    assert dataset.also_seen is not None
    assert len(dataset.also_seen) == 0


def test_the_report_gives_the_columns_and_the_reasons_for_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    rows = pl.DataFrame({"uid": ["a"], "item_id": ["x"], "product": ["p"], "extra": [1]})
    dataset = dataset_from_frame(rows, "d", user_column="uid")
    assert report_text(dataset).splitlines() == [
        "d: 1 row, 1 distinct pair",
        "  user: 'uid' (given)",
        "  item: 'item_id' (usual name; ignored: 'product')",
        "  columns not used: 'product', 'extra'",
    ]
    assert [record.message for record in caplog.records] == [report_text(dataset)]


def test_dropped_rows_and_notes_of_the_source_are_in_the_report() -> None:
    dropped = DroppedRows("too many fields", 2, "line 4")
    table = RawTable(
        "d", pl.DataFrame({"user": [1], "item": [2]}), format="CSV", n_rows=3, dropped=(dropped,), notes=("a note",)
    )
    lines = report_text(dataset_from_table(table, ReadOptions())).splitlines()
    assert lines[0] == "d: CSV, 3 rows, 1 distinct pair"
    assert lines[-2:] == ["  2 rows dropped: too many fields (first: line 4)", "  a note"]


def test_the_same_rows_in_any_order_are_the_same_dataset() -> None:
    draw = np.random.default_rng(0).integers
    frame = pl.DataFrame({"user": draw(9, size=99), "item": draw(9, size=99)}).cast(pl.String)
    frame = frame.with_columns(timestamp=pl.Series(draw(10**9, size=99)), w=pl.Series([0.5, 1.0, 2.0] * 33))
    log, reversed_log = (
        dataset_from_frame(rows, "d", weight_column="w").interactions for rows in (frame, frame.reverse())
    )
    for name in ("users", "items", "timestamps", "weights"):
        assert getattr(log, name).tolist() == getattr(reversed_log, name).tolist()
