"""Text tables as they occur: separators, quotes, encodings, headers and compression."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltocf.data import ReadOptions
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.tables import read_file

# `user,item` and one row, compressed by the program zstd, which not every machine has.
ZSTANDARD = bytes.fromhex("28b52ffd04589100007573 65722c6974656d0d0a612c62c3a90d0a6858b992".replace(" ", ""))


def read(path: Path, content: str | bytes, **options: Any) -> RawTable:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_file(path, ReadOptions(**options))


def rows(table: RawTable) -> list[tuple[object, ...]]:
    frame = table.frame
    assert isinstance(frame, pl.DataFrame)
    return frame.rows()


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("a.csv", "user;item\nann;007\nbob;4,2\n", "CSV, separator ';', encoding UTF-8, header in line 1"),
        ("a.txt", "user|item\nann|007\nbob|4,2\n", "CSV, separator '|', encoding UTF-8, header in line 1"),
        ("a", "user\titem\nann\t007\nbob\t4,2\n", "TSV, separator '\\t', encoding UTF-8, header in line 1"),
        (
            "a.csv",
            "user\x01item\nann\x01007\nbob\x014,2\n",
            "text, separator '\\x01', encoding UTF-8, header in line 1",
        ),
        ("a.dat", "user::item\nann::007\nbob::4,2\n", "text, separator '::', encoding UTF-8, header in line 1"),
        ("a.txt", " user  item \nann  007\n bob 4,2\n", "text, separator ' ', encoding UTF-8, header in line 1"),
        ("a.csv", "sep=;\nuser;item\nann;007\nbob;4,2\n", "CSV, separator ';', encoding UTF-8, header in line 2"),
        (
            "a.csv",
            "#made by hand\n\n#user;item\nann;007\nbob;4,2\n",
            "CSV, separator ';', encoding UTF-8, header in line 3",
        ),
        ("a.csv", "user;item\rann;007\rbob;4,2\r", "CSV, separator ';', encoding UTF-8, header in line 1"),
        (
            "a.csv",
            '"user","item"\nann,007\nbob,"4,2"\n',
            "CSV, separator ',', encoding UTF-8, quoted, header in line 1",
        ),
        (
            "a.tsv",
            '"user"\t"item"\n"ann"\t"007"\n"bob"\t"4,2"\n',
            "TSV, separator '\\t', encoding UTF-8, quoted, header in line 1",
        ),
    ],
)
def test_separator_quotes_and_header_are_recognised(tmp_path: Path, name: str, content: str, format: str) -> None:
    table = read(tmp_path / name, content)
    assert (rows(table), table.format, table.from_text) == ([("ann", "007"), ("bob", "4,2")], format, True)
    assert table.frame.collect_schema().names() == ["user", "item"]
    assert not table.dropped


def test_lines_before_the_table_are_reported(tmp_path: Path) -> None:
    table = read(tmp_path / "out.konect", "% bip weighted\n% 2 2 2\n1 1 5\n2 1 4\n", columns=["user", "item", "rating"])
    assert rows(table) == [("1", "1", "5"), ("2", "1", "4")]
    assert (table.notes, table.place(1)) == (("lines ignored before the table: 2",), "line 4")


@pytest.mark.parametrize(
    ("encoding", "text", "name"),
    [
        ("utf-8-sig", "Zoë", "UTF-8"),
        ("utf-16", "Zoë", "UTF-16"),
        ("utf-16-le", "Zoë", "UTF-16-LE"),
        ("utf-16-be", "Zoë", "UTF-16-BE"),
        ("utf-32", "Zoë", "UTF-32"),
        ("latin-1", "Zoë", "latin-1"),
        ("cp1252", "“Zoë”", "cp1252"),
    ],
)
def test_the_encoding_is_recognised(tmp_path: Path, encoding: str, text: str, name: str) -> None:
    table = read(tmp_path / "a.csv", f'"user";"item"\n"{text}";"1"\n'.encode(encoding))
    assert (rows(table), table.format.split(", ")[2]) == ([(text, "1")], f"encoding {name}")


def test_a_given_encoding_is_used(tmp_path: Path) -> None:
    content = "user,item\nЖанна,1\n".encode("cp1251")
    assert rows(read(tmp_path / "a.csv", content, encoding="windows-1251")) == [("Жанна", "1")]
    with pytest.raises(ValueError, match=r"must be UTF-8 text, got byte 0xc6 at offset 10 \(line 2\)"):
        read(tmp_path / "a.csv", content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"`encoding` must be one that Python knows.*got 'klingon'"):
        read(tmp_path / "a.csv", content, encoding="klingon")


def test_a_first_line_may_be_longer_than_the_inspected_beginning(tmp_path: Path) -> None:
    names = ["user", "item", *(f"column_{number}" for number in range(30_000))]
    line = ",".join("7" for _ in names)
    assert read(tmp_path / "a.csv", f"{','.join(names)}\n{line}\n").frame.collect_schema().names() == names


def test_bytes_that_are_not_utf8_are_found_far_into_the_file(tmp_path: Path) -> None:
    plain = b"user,item\n" + b"ann,x\n" * 50_000
    table = read(tmp_path / "a.csv", plain + b"Zo\xeb,1\n")
    assert (rows(table)[-1], len(rows(table))) == (("Zoë", "1"), 50_001)
    assert "latin-1" in table.format
    mixed = b"user,item\n" + "zoë,x\n".encode() * 50_000 + b"Zo\xeb,1\n"
    with pytest.raises(ValueError, match=r"must be UTF-8 text, got byte 0xeb .*\(line 50002\)"):
        read(tmp_path / "b.csv", mixed)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", gzip.compress("user,item\na,bé\n".encode(), mtime=0)),
        ("a.csv", gzip.compress("user,item\na,bé\n".encode("latin-1"), mtime=0)),
        ("a.csv.bz2", bz2.compress("user,item\na,bé\n".encode("utf-16"))),
        ("a.csv.xz", lzma.compress("user,item\na,bé\n".encode())),
        ("a.csv.zst", ZSTANDARD),
        ("a", ZSTANDARD),
    ],
    ids=["gzip", "gzip by its content", "bzip2", "xz", "zstandard", "zstandard by its content"],
)
def test_compressed_files_are_read(tmp_path: Path, name: str, content: bytes) -> None:
    table = read(tmp_path / name, content)
    assert rows(table) == [("a", "bé")]
    assert table.format.split(", ")[-1] in ("gzip", "bzip2", "xz", "zstandard")


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("kunde,artikel\n1,x\n2,y\n", ["kunde", "artikel"]),
        ("kunde,artikel\nann,x\nbob,y\nann,y\n", ["kunde", "artikel"]),
        ("user1,item1\nann,x\nbob,y\n", ["user1", "item1"]),
        (",user,user\n0,ann,x\n", ["", "user", "user_2"]),
        (" user , item\nann,x\n", ["user", "item"]),
        ("1,2,5,978300760\n", None),
        ("u1,p5\nu2,p6\n", None),
        ("ann,x\nbob,y\nann,y\n", None),
        ("kunde,2024-05-01\nann,2024-05-02\n", None),
    ],
)
def test_a_header_is_recognised_and_a_missing_one_is_an_error(
    tmp_path: Path, content: str, names: list[str] | None
) -> None:
    if names is None:
        with pytest.raises(ValueError, match=r"has no header, its first line is .*; pass `columns`"):
            read(tmp_path / "a.csv", content)
    else:
        assert read(tmp_path / "a.csv", content).frame.collect_schema().names() == names


def test_given_columns_and_header_are_used(tmp_path: Path) -> None:
    names = ["user", "item"]
    assert rows(read(tmp_path / "a.csv", "1,2\n3,4\n", columns=names)) == [("1", "2"), ("3", "4")]
    assert rows(read(tmp_path / "a.csv", "1,2\n3,4\n", columns="user,item")) == [("1", "2"), ("3", "4")]
    assert rows(read(tmp_path / "a.csv", "user,item\n3,4\n", columns=names)) == [("3", "4")]
    assert rows(read(tmp_path / "a.csv", "x,y\n3,4\n", columns=names, header=True)) == [("3", "4")]
    assert rows(read(tmp_path / "a.csv", "x,y\n3,4\n", columns=names, header=False)) == [("x", "y"), ("3", "4")]
    assert read(tmp_path / "a.csv", "1,2\n3,4\n", header=True).frame.collect_schema().names() == ["1", "2"]
    assert read(tmp_path / "a.csv", "u1,p1\nu2,p2\n", user_column="u1").frame.collect_schema().names() == ["u1", "p1"]
    with pytest.raises(ValueError, match=r"`columns` must name its 2 columns, got \['user'\]"):
        read(tmp_path / "a.csv", "1,2\n", columns=["user"])
    with pytest.raises(ValueError, match=r"`columns` must be different names, got \['user', 'item', 'item'\]"):
        read(tmp_path / "a.csv", "1,2,3\n", columns=["user", "item", "item"])


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a.csv", "user,item,item,item_2"),
        ("a.inter", "user:token\titem:token\titem:float\titem_2:token"),
    ],
)
def test_names_that_repeat_get_numbers(name: str, header: str, tmp_path: Path) -> None:
    text = f"{header}\n" + ("1,2,3,4\n" if "," in header else "1\t2\t3\t4\n")
    assert read(tmp_path / name, text).frame.columns == ["user", "item", "item_2", "item_2_2"]


def test_a_movielens_file_needs_no_header(tmp_path: Path) -> None:
    table = read(tmp_path / "u.data", "196\t242\t3\t881250949\n186\t302\t3\t891717742\n")
    assert table.frame.collect_schema().names() == ["userId", "movieId", "rating", "timestamp"]
    assert "as in MovieLens's files" in table.notes[0]
    assert table.place(1) == "line 2"


@pytest.mark.parametrize(
    ("separator", "content"),
    [
        ("|", "user|it;em\nann|0;7\n"),
        (r"\t", "user\tit;em\nann\t0;7\n"),
        ("^A", "user\x01it;em\nann\x010;7\n"),
        ("||", "user||it;em\nann||0;7\n"),
        ("§", "user§it;em\nann§0;7\n"),
    ],
)
def test_a_given_separator_is_used(tmp_path: Path, separator: str, content: str) -> None:
    table = read(tmp_path / "a.csv", content, separator=separator)
    assert (table.frame.collect_schema().names(), rows(table)) == (["user", "it;em"], [("ann", "0;7")])


@pytest.mark.parametrize("separator", ["", "\n", '"'])
def test_impossible_separators_are_refused(tmp_path: Path, separator: str) -> None:
    with pytest.raises(ValueError, match="`separator` must be one or more characters without quotes"):
        read(tmp_path / "a.csv", "user,item\na,b\n", separator=separator)


def test_quoted_fields_may_contain_newlines_and_separators(tmp_path: Path) -> None:
    content = 'user,item,text\na,x,"one, ""two""\nthree"\nb,y,\n'
    assert rows(table := read(tmp_path / "a.csv", content)) == [("a", "x", 'one, "two"\nthree'), ("b", "y", None)]
    assert table.place(1) == "row 2"
    assert rows(read(tmp_path / "a.tsv", content.replace(",", "\t"))) == [
        ("a", "x", 'one\t "two"\nthree'),
        ("b", "y", None),
    ]


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_a_stray_quote_swallows_no_lines(tmp_path: Path, name: str) -> None:
    lines = 'user\titem\nann\t5" pipe\nbob\tx\neve\t3"\n'
    expected = [("ann", '5" pipe'), ("bob", "x"), ("eve", '3"')]
    assert rows(read(tmp_path / name, lines if name == "a.tsv" else lines.replace("\t", ","))) == expected
    if name == "a.tsv":
        assert rows(read(tmp_path / name, lines.replace('5" pipe', '"5 pipe')))[0] == ("ann", '"5 pipe')
        assert len(rows(read(tmp_path / name, '"user"\t"item"\n"a"\t"b"\n' + lines[10:]))) == 4


@given(
    st.lists(
        st.lists(st.text(st.characters(exclude_categories=["C"]), max_size=6), min_size=3, max_size=3), min_size=1
    ),
    st.sampled_from([",", ";", "|", "\t"]),
)
def test_a_written_table_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, written: list[list[str]], separator: str
) -> None:
    frame = pl.DataFrame(written, schema=["user", "item", "text"], orient="row").filter(
        pl.any_horizontal(pl.all() != "")
    )
    path = tmp_path_factory.mktemp("written") / "a.csv"
    frame.write_csv(path, separator=separator)
    found = read_file(path, ReadOptions(separator=separator)).frame.lazy().collect()
    assert found.fill_null("").rows() == frame.rows()
