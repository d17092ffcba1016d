"""Timestamps of every kind, and columns whose values are no timestamps."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_views import report_text
from ltocf.data import Dataset, dataset_from_frame
from ltocf.data.readers.moments import read_moments, seconds_of


def read(stamps: list[object], column: str = "timestamp", **options: object) -> Dataset:
    rows = {"user": [f"u{n}" for n in range(len(stamps))], "item": ["x"] * len(stamps), column: stamps}
    return dataset_from_frame(pl.DataFrame(rows), "d", from_text=True, **options)


def stamps_of(dataset: Dataset) -> list[int] | None:
    """In the order of the rows, because the users are named in that order."""
    timestamps = dataset.interactions.timestamps
    return None if timestamps is None else timestamps.tolist()


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        (["1500000000", "1500000001"], [1500000000, 1500000001]),
        (["8.81250949E8", "881250950.7"], [881250949, 881250950]),
        (["1970-01-02", "1970-01-01T00:00:05"], [86400, 5]),
        (["1970-01-01T01:00:00+01:00", "1970-01-01T00:00:09Z"], [0, 9]),
        (["1970-01-01 00:01", "1970-01-01 00:00:01.9"], [60, 1]),
        (["2019-10-01 00:00:00 UTC", "2019-10-01 00:00:01 utc"], [1569888000, 1569888001]),
        (["2019-10-01 00:00:00 GMT", "2019-10-01T00:00Z"], [1569888000, 1569888000]),
        (["2019-10-01 02:00:00+0200", "2019-10-01 00:00:00 +0000 UTC"], [1569888000, 1569888000]),
        (["2019-09-30T19:00:00-05", "2019-10-01T02:00:00+02:00[Europe/Berlin]"], [1569888000, 1569888000]),
        (["2019/10/1 0:00", "20191001"], [1569888000, 1569888000]),
        (["1970-01-01 ", "\xa01970-01-01"], [0, 0]),
        ([7, 9], [7, 9]),
        ([7.0, 9.0], [7, 9]),
        ([20240501, 20240502], [1714521600, 1714608000]),
        ([datetime(1970, 1, 1, 0, 1), datetime(1970, 1, 1)], [60, 0]),
        ([datetime(1970, 1, 1, 0, 1, tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC)], [60, 0]),
        ([date(1970, 1, 2), date(1970, 1, 1)], [86400, 0]),
    ],
)
def test_every_kind_of_timestamp_becomes_seconds(stamps: list[object], expected: list[int]) -> None:
    assert stamps_of(read(stamps)) == expected


@pytest.mark.parametrize("make", [str, int, float])
@pytest.mark.parametrize(("unit", "factor"), [("seconds", 1), ("milliseconds", 10**3), ("microseconds", 10**6)])
def test_the_unit_of_epochs_is_recognised_by_their_size(make: type, unit: str, factor: int) -> None:
    dataset = read([make(1569888000 * factor + factor // 2), make(1714521600 * factor)])
    assert stamps_of(dataset) == [1569888000, 1714521600]
    assert f"read as {unit} since 1970" in report_text(dataset)


def test_nanoseconds_are_rounded_down_to_seconds() -> None:
    assert stamps_of(read(["1260759144123456789", "1260759145123456790"])) == [1260759144, 1260759145]


@pytest.mark.parametrize("stamps", [[3, 1, 2], [1, 1_500_000_000], [5, 1_260_759_144_123], ["-5", "4"]])
def test_whole_numbers_that_are_no_epochs_are_kept(stamps: list[object]) -> None:
    dataset = read(stamps)
    assert stamps_of(dataset) == [int(str(stamp)) for stamp in stamps]
    assert "not times since 1970 in one unit; kept as they are" in report_text(dataset)


MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.lists(st.tuples(MOMENTS, st.none() | ZONES, st.sampled_from("T "), st.booleans()), min_size=1, max_size=8))
def test_iso_text_is_what_the_standard_library_reads(
    moments: list[tuple[datetime, timezone | None, str, bool]],
) -> None:
    texts, expected = [], []
    for moment, zone, separator, without_fraction in moments:
        moment = moment.replace(microsecond=0) if without_fraction else moment
        texts.append(moment.replace(tzinfo=zone).isoformat(separator))
        utc = moment.replace(tzinfo=zone or UTC)
        expected.append((utc.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1))
    assert read_moments(pl.Series(texts), None).seconds.to_list() == expected


@pytest.mark.parametrize(
    ("format", "stamps"),
    [
        ("%d.%m.%Y %H:%M", ["01.10.2019 00:00", " 02.10.2019 00:00"]),
        ("%m/%d/%Y", ["10/01/2019", "10/02/2019"]),
        ("%d/%b/%Y:%H:%M:%S %z", ["01/Oct/2019:02:00:00 +0200", "01/Oct/2019:20:00:00 -0400"]),
    ],
)
def test_a_given_format_is_used(format: str, stamps: list[object]) -> None:
    assert stamps_of(read(stamps, timestamp_format=format)) == [1569888000, 1569974400]


UNREADABLE = [
    (["5", "soon"], "'soon' in row 2; "),
    (["01/02/2020", "2020-01-01"], "'01/02/2020' in row 1; "),
    (["2020-13-45", "2020-02-30"], "'2020-13-45' in row 1, one of 2 such rows; "),
    (["2020-01-01 25:00", "2020-01-01"], "'2020-01-01 25:00' in row 1; "),
    ([1e300, 1.0], r"1e\+300 in row 1; "),
    ([True, False], "True in row 1, one of 2 such rows; "),
    ([time(10, 31), time(10, 32)], "datetime.time"),
]


@pytest.mark.parametrize(("stamps", "value"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_values_that_are_no_times_are_an_error_only_if_the_column_was_named(
    stamps: list[object], value: str, caplog: pytest.LogCaptureFixture
) -> None:
    message = rf"d: timestamps \(column 'timestamp'\) must be times.*, got {value}"
    with pytest.raises(ValueError, match=message + ".*`timestamp_format`" if value[-1] == " " else message):
        read(stamps, timestamp_column="timestamp")
    dataset = read(stamps)
    assert stamps_of(dataset) is None
    assert dataset.report is not None
    assert "timestamp" in dataset.report.unused
    assert "column 'timestamp', named like a timestamp, is not used" in caplog.text
    caplog.clear()
    assert stamps_of(read(stamps, timestamp_column="")) is None
    assert not caplog.text


def test_a_value_that_does_not_match_the_given_format_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"got '2020-01-01' in row 1.*timestamp_format"):
        read(["2020-01-01"], timestamp_column="timestamp", timestamp_format="%d.%m.%Y")


@pytest.mark.parametrize("gap", [None, "", "NA", r"\N"])
def test_few_rows_without_a_timestamp_are_dropped(gap: str | None) -> None:
    dataset = read(["2020-01-01", gap, "2020-01-02"])
    assert stamps_of(dataset) == [1577836800, 1577923200]
    assert "1 row dropped: no timestamp (first: row 2" in report_text(dataset)


def test_with_many_missing_timestamps_the_column_is_ignored_or_an_error_if_it_was_named() -> None:
    stamps: list[object] = ["2020-01-01", None, "2020-01-02", None]
    with pytest.raises(
        ValueError, match=r"must not be missing in more than 1 %.*got None in row 2.*2 rows without one"
    ):
        read(stamps, timestamp_column="timestamp")
    dataset = read(stamps)
    assert (stamps_of(dataset), len(dataset.interactions)) == (None, 4)


def test_up_to_one_percent_of_the_timestamps_may_be_missing() -> None:
    stamps: list[object] = [*["2020-01-01"] * 990, *[None] * 10]
    assert len(read(stamps).interactions) == 990
    assert len(read([*stamps, None]).interactions) == 1001


@pytest.mark.parametrize("hours", [["0.3", "120.5", "3.1"], [0.3, 120.5, 3.1]], ids=["text", "decimals"])
def test_a_column_of_durations_is_no_timestamp_unless_it_was_named(hours: list[object]) -> None:
    guessed = read(hours, "time")
    assert stamps_of(guessed) is None
    assert "columns not used: 'time'" in report_text(guessed)
    assert "decimals from 0.3 to 120.5 are not times since 1970" in report_text(guessed)
    assert stamps_of(read(hours, "time", timestamp_column="time")) == [0, 120, 3]


@pytest.mark.parametrize("column", ["time", "date", "when"])
def test_small_numbers_are_timestamps_only_in_a_column_named_timestamp_or_given(column: str) -> None:
    assert stamps_of(read([2015, 2020], column)) is None
    assert stamps_of(read(["2015", "2020"], column, timestamp_column=column)) == [2015, 2020]
    assert stamps_of(read([1_569_888_000, 1_569_974_400], column)) == [1569888000, 1569974400]
    assert stamps_of(read([2015, 2020], "timestamp")) == [2015, 2020]


def test_a_date_and_a_time_of_day_in_two_columns_are_joined() -> None:
    rows = pl.DataFrame({"user": ["a", "b"], "item": ["x", "y"], "date": ["2024-05-01", "2024-05-01"]})
    joined = dataset_from_frame(rows.with_columns(time=pl.Series(["10:31", "10:30:05"])), "d", from_text=True)
    assert stamps_of(joined) == [1714559460, 1714559405]
    assert "time of day: 'time' (beside 'date')" in report_text(joined)
    alone = dataset_from_frame(rows.with_columns(time=pl.Series(["10:31", "soon"])), "d", from_text=True)
    assert stamps_of(alone) == [1714521600, 1714521600]
    assert "column 'time' is left out" in report_text(alone)
    assert "columns not used: 'time'" in report_text(alone)
    typed = rows.with_columns(pl.col("date").str.to_date(), time=pl.Series([time(10, 31), time(0, 0, 1)]))
    assert stamps_of(dataset_from_frame(typed, "d")) == [1714559460, 1714521601]


@pytest.mark.parametrize("column", ["event_time", "ts", "when", "purchased_at", "Order-Date", "InvoiceDate", "t_dat"])
def test_usual_column_names_are_recognised(column: str) -> None:
    assert stamps_of(read(["2019-10-01"], column)) == [1569888000]


def test_since_and_until_limit_the_rows() -> None:
    stamps: list[object] = ["2024-05-01", "2024-05-02", "2024-05-03", "2024-05-03T00:00:01"]
    dataset = read(stamps, since="2024-05-02", until="2024-05-03T02:00+02:00")
    assert dataset.user_ids.ids.to_list() == ["u1"]
    assert "1 row dropped: before `since` = 2024-05-02 (first: row 1" in report_text(dataset)
    assert "2 rows dropped: not before `until` = 2024-05-03T02:00+02:00 (first: row 3" in report_text(dataset)
    with pytest.raises(ValueError, match=r"at least one row must be left, got none: .*since"):
        read(stamps, since="2025-01-01")
    with pytest.raises(ValueError, match=r"`until` must be a moment like 2024-05-01 .*, got 'noon'"):
        read(stamps, until="noon")
    with pytest.raises(ValueError, match="`since` needs timestamps; pass `timestamp_column`"):
        read(stamps, timestamp_column="", since="2025-01-01")


def test_the_moment_of_an_option_becomes_seconds() -> None:
    assert seconds_of("2019-10-01 00:00:00 UTC", "since") == 1569888000
