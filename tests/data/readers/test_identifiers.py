"""Ids as they occur in files: none is lost, merged or changed without being reported."""

from __future__ import annotations

import logging

import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dataset_views import report_text
from ltocf.data import Dataset, RawTable, ReadOptions, dataset_from_table, to_dataset


def read(users: list[str | None], *, from_text: bool = True) -> Dataset:
    frame = pl.DataFrame({"user": users, "item": ["x"] * len(users)}, schema={"user": pl.String, "item": pl.String})
    return dataset_from_table(RawTable("log.csv", frame, from_text, first_line=2), ReadOptions())


@pytest.mark.parametrize("blank", [" ", "\t", "\xa0", "\u3000", "\u200b", "\ufeff"], ids=ascii)
@pytest.mark.parametrize("from_text", [True, False])
def test_blanks_around_ids_are_removed_and_counted(blank: str, from_text: bool) -> None:
    dataset = read(["ann", f"{blank}ann", f"ann{blank}", f"b{blank}ob"], from_text=from_text)
    assert dataset.user_ids.ids.to_list() == ["ann", f"b{blank}ob"]
    assert f"blanks around the id removed in 2 rows (first: line 3: {blank + 'ann'!r})" in report_text(dataset)


def test_integers_with_blanks_around_them_are_integers() -> None:
    assert read(["7", " 7 ", "8\xa0"]).user_ids.ids.to_list() == [7, 8]


def test_integers_written_as_decimals_are_integers() -> None:
    dataset = read(["1.0", "2", "10.00", ""])
    assert dataset.user_ids.ids.to_list() == [1, 2, 10]
    assert "written as decimals like" in report_text(dataset)
    assert "no user id" in report_text(dataset)
    assert "decimals" not in report_text(read(["1", "2"]))


@pytest.mark.parametrize("other", ["007", "1.5", "a", "1,0", "1e3", str(2**53), "-0.0"])
def test_one_id_that_is_no_integer_keeps_all_as_text(other: str) -> None:
    dataset = read(["1.0", other])
    assert set(dataset.user_ids.ids.to_list()) == {"1.0", other}
    assert f"1 id like '1.0' kept as text: others, like {other!r}, are not whole numbers" in report_text(dataset)


def test_strings_of_a_typed_source_stay_strings() -> None:
    assert read(["1.0", "NA", "7"], from_text=False).user_ids.ids.to_list() == ["1.0", "7", "NA"]


@pytest.mark.parametrize(
    "missing", ["", " ", "NA", "N/A", r"\N", "#N/A", "nan", "NaN", "null", "NULL", "None", "<NA>", " NA ", None]
)
def test_rows_without_an_id_are_left_out_and_counted(missing: str | None, caplog: pytest.LogCaptureFixture) -> None:
    dataset = read(["1", missing, "2", missing])
    assert dataset.user_ids.ids.to_list() == [1, 2]
    assert dataset.report is not None
    (dropped,) = dataset.report.dropped
    assert (dropped.n_rows, dropped.first, dropped.reason) == (2, "line 3", "no user id")
    assert [record.levelno for record in caplog.records if "no user id" in record.message] == [logging.WARNING]


@pytest.mark.parametrize(("from_text", "gap"), [(True, "NA"), (False, None)])
def test_dropping_every_row_is_an_error(from_text: bool, gap: str | None) -> None:
    with pytest.raises(ValueError, match="at least one row must be left, got none: 2 rows dropped: no user id"):
        read([gap, gap], from_text=from_text)


def test_rows_with_missing_ids_of_a_typed_frame_are_dropped() -> None:
    frame = pl.DataFrame({"user": [1.0, float("nan"), 3.0, None], "item": [None, "x", "y", "z"]})
    dataset = to_dataset(frame)
    assert (dataset.user_ids.ids.to_list(), dataset.item_ids.ids.to_list()) == ([3], ["y"])
    assert dataset.report is not None
    assert [(row.reason, row.n_rows, row.first) for row in dataset.report.dropped] == [
        ("no user id", 2, "row 2"),
        ("no item id", 1, "row 1"),
    ]


@pytest.mark.parametrize(
    ("ids", "example"), [(["Ann", "ann", "bob"], "'Ann' and 'ann'"), (["caf\xe9", "cafe\u0301", "b"], "caf")]
)
def test_ids_that_differ_in_case_or_composition_are_counted_and_kept(
    ids: list[str | None], example: str, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = read(ids)
    assert len(dataset.user_ids) == 3
    assert "1 differs from another only in case or Unicode form" in caplog.text
    assert example in caplog.text


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (["2024-05-01", "2024-05-02"], "dates"),
        (["2024-05-01 10:00", "NA"], "dates"),
        (["True", "False"], "truth values"),
    ],
)
def test_a_column_of_dates_or_truth_values_is_not_taken_for_ids(ids: list[str | None], kind: str) -> None:
    with pytest.raises(ValueError, match=rf"user ids \(column 'user'\) must be ids, got {kind} .* the right column"):
        read(ids)


IDS = st.one_of(
    st.lists(st.text("ab7\xe9", min_size=1, max_size=3), min_size=1),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1),
    st.lists(st.integers(0, 50), min_size=1),
)


@given(ids=IDS, seed=st.integers(0, 100))
def test_every_row_keeps_its_id(ids: list[str] | list[int], seed: int) -> None:
    """Each user has an item of its own, so the pairs show which id is which."""
    frame = pl.DataFrame({"user": ids, "item": [f"of {id}" for id in ids]})
    dataset = to_dataset(frame.sample(len(frame), shuffle=True, seed=seed))
    users = dataset.user_ids.decode(dataset.interactions.users)
    assert users == sorted(set(ids))  # type: ignore[type-var]
    assert dataset.item_ids.decode(dataset.interactions.items) == [f"of {id}" for id in users]


@given(st.lists(st.sampled_from(["1", "2.0", "2", "x", " x", "", "NA", None]), min_size=1))
def test_every_row_is_counted_as_a_pair_merged_or_dropped(ids: list[str | None]) -> None:
    assume({str(id).strip() for id in ids} - {"", "NA", "None"})
    report = read(ids).report
    assert report is not None
    assert report.n_rows == report.n_pairs + report.n_merged + report.n_dropped == len(ids)
