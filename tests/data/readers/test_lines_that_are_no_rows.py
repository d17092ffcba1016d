"""Lines of text tables that are no rows: repeated headers, too many or too few fields, empty and truncated lines."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ltocf.data import ReadOptions
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.source import read_raw
from ltocf.data.readers.tables import read_file

GOOD_ROWS = "x,y,1\n" * 200


def read(path: Path, content: str | bytes) -> RawTable:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_file(path, ReadOptions())


def rows(table: RawTable) -> list[tuple[object, ...]]:
    return table.frame.lazy().collect().rows()


def test_a_repeated_header_is_dropped_and_later_rows_keep_their_line_numbers(tmp_path: Path) -> None:
    table = read(tmp_path / "log.csv", "user_id,item_id\n1,10\n2,11\nuser_id,item_id\n3,10\n4,12\n")
    assert rows(table) == [("1", "10"), ("2", "11"), ("3", "10"), ("4", "12")]
    assert [str(dropped) for dropped in table.dropped] == ["1 row dropped: repeats the header (first: line 4)"]
    assert (table.n_rows, table.place(1), table.place(2)) == (5, "line 3", "line 5")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", "user_id\titem_id\n1\t10\nuser_id\titem_id\n2\t11\n"),
        ("a.csv", '"user_id";"item_id"\r\n1;10\r\n"user_id";"item_id"\r\n2;11\r\n'),
        ("a.csv", "\ufeffuser_id,item_id\n1,10\n\ufeffuser_id,item_id\n2,11\n"),
        ("a.csv", '\ufeff"user_id","item_id"\n1,10\n\ufeff"user_id","item_id"\n2,11\n'),
        ("a.csv", "user_id, item_id\n1,10\nuser_id, item_id\n2,11\n"),
        ("a.dat", "user_id::item_id\n1::10\nuser_id::item_id\n2::11\n"),
        ("a.inter", "user_id:token\titem_id:token\n1\t10\nuser_id:token\titem_id:token\n2\t11\n"),
        ("a.csv.gz", gzip.compress(b"user_id,item_id\n1,10\nuser_id,item_id\n2,11\n", mtime=0)),
        ("a.csv", "user_id,item_id\n1,10\nuser_id,item_id\n2,11\n".encode("utf-16")),
    ],
    ids=["tab", "quoted, windows", "two BOMs", "two BOMs, quoted", "blanks", "colons", "recbole", "gzip", "utf-16"],
)
def test_a_repeated_header_is_recognised_in_every_format(tmp_path: Path, name: str, content: str | bytes) -> None:
    table = read(tmp_path / name, content)
    assert rows(table) == [("1", "10"), ("2", "11")]
    assert [(dropped.reason, dropped.n_rows, dropped.first) for dropped in table.dropped] == [
        ("repeats the header", 1, "line 3")
    ]


def test_repeated_headers_of_two_files_are_dropped_in_each(tmp_path: Path) -> None:
    for day in ("1", "2"):
        (tmp_path / f"{day}.csv").write_text(f"user_id,item_id\n{day},10\nuser_id,item_id\n{day},11\n")
    table = read_raw(f"{tmp_path}/*.csv", ReadOptions())
    assert rows(table) == [("1", "10"), ("1", "11"), ("2", "10"), ("2", "11")]
    assert [dropped.first for dropped in table.dropped] == [f"{tmp_path}/{day}.csv, line 3" for day in (1, 2)]
    assert (table.place(1), table.place(2)) == (f"{tmp_path}/1.csv, line 4", f"{tmp_path}/2.csv, line 2")
    assert (table.n_rows, table.format) == (6, "2 files, CSV, separator ',', encoding UTF-8, header in line 1")


def test_a_row_with_the_name_of_one_column_is_not_a_repeated_header(tmp_path: Path) -> None:
    assert len(rows(read(tmp_path / "a.csv", "user,item\nuser,7\nbob,item\n"))) == 2


def test_few_lines_with_too_many_fields_are_dropped_and_many_are_an_error(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", f"user,item,t\nc,d,1,2\n{GOOD_ROWS}a,b,1\ne,f,1,2,3\n")
    assert len(rows(table)) == 201
    assert [str(dropped) for dropped in table.dropped] == [
        "2 rows dropped: more fields than columns (first: line 2: 4 fields)"
    ]
    assert (table.n_rows, table.place(0), table.place(200)) == (203, "line 3", "line 203")
    with pytest.raises(ValueError, match=r"a\.csv: line 3 has 4 fields and the header 3, one of 3 such lines of 204"):
        read(tmp_path / "a.csv", "user,item,t\na,b,1\n" + "c,d,1,2\n" * 3 + GOOD_ROWS)


def test_separators_at_the_end_of_a_line_add_no_fields(tmp_path: Path) -> None:
    assert rows(read(tmp_path / "a.csv", "user,item\na,b,\nc,d,,\n")) == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        ("user,item,t\na,b,1\nc,d\ne,f,\n", "line 3"),
        ('user,item,t\n"a",b,1\n"c,d",e\n"e",f,\n', "line 3"),
        ("user\titem\tt\na\tb\t1\nc\td\ne\tf\t\n", "line 3"),
        ("user,item,t\n\na,b,\nc\n", "line 4"),
    ],
    ids=["comma", "quoted", "tab", "after an empty line"],
)
def test_lines_with_too_few_fields_are_kept_and_reported(tmp_path: Path, content: str, missing: str) -> None:
    table = read(tmp_path / "a.txt", content)
    assert table.notes == (
        f"lines with fewer fields than columns: 1 (first: {missing}); what is not there counts as missing",
    )
    assert rows(table)[-1][-1] is None


def test_empty_fields_are_not_missing_fields(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", 'user,item,t\na,b,\n"c,d",e,\n')
    assert (rows(table), table.notes) == ([("a", "b", None), ("c,d", "e", None)], ())


def test_a_truncated_last_line_is_dropped(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "user,item,t\nann,007,1\nbob,4")
    assert rows(table) == [("ann", "007", "1")]
    assert [str(dropped) for dropped in table.dropped] == [
        "1 row dropped: the file ends in the middle of it (first: line 3: 'bob,4')"
    ]
    table = read(tmp_path / "a.csv", 'user,item,t\n"ann",007,1\n"bo')
    assert (rows(table), table.dropped[0].first) == ([("ann", "007", "1")], "line 3")


def test_empty_lines_are_dropped_and_counted(tmp_path: Path) -> None:
    table = read(tmp_path / "a.csv", "user,item,t\na,b,1\n\n,,\n\nc,d,\n\n\n")
    assert rows(table) == [("a", "b", "1"), ("c", "d", None)]
    assert [(dropped.reason, dropped.n_rows, dropped.first) for dropped in table.dropped] == [
        ("empty line", 3, "line 3")
    ]
    assert table.place(1) == "line 6"
    assert not read(tmp_path / "a.csv", "user,item\r\na,b\r\n\r\n\r\n").dropped
