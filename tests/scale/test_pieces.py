"""A file read piece by piece has the rows of the whole, and its lines."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.tables import read_file
from ltocf.scale.pieces import find_files, pieces


def _together(path: Path, n_bytes: int, options: ReadOptions) -> pl.DataFrame:
    return pl.concat([piece.read().frame.lazy().collect() for piece in pieces(path, options, n_bytes)])


@given(
    rows=st.lists(st.tuples(st.text("ab7é", min_size=1), st.text('xy,"\n', max_size=6)), min_size=2, max_size=30),
    n_bytes=st.integers(40, 200),
)
def test_any_cut_gives_the_rows_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], n_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.csv"
    pl.DataFrame({"user": [user for user, _ in rows], "item": [f"i{item}" for _, item in rows]}).write_csv(
        path, quote_style="always"
    )
    whole = read_file(path, ReadOptions(separator=",")).frame.lazy().collect()
    assert _together(path, n_bytes, ReadOptions(separator=",")).equals(whole)


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_packed_text(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"log.tsv.{suffix}"
    text = "user\titem\n" + "".join(f"u{number}\t{number % 7}\n" for number in range(100))
    path.write_bytes(pack(text.encode()))
    found = list(pieces(path, ReadOptions(), 200))
    assert len(found) > 2
    assert _together(path, 200, ReadOptions()).rows() == [(f"u{number}", f"{number % 7}") for number in range(100)]
    assert found[-1].done == 1


def test_a_file_without_a_header_keeps_the_columns_of_its_first_lines(tmp_path: Path) -> None:
    path = tmp_path / "u.data"
    path.write_text("".join(f"{user}\t{user + 1}\t4\t{881250949 + user}\n" for user in range(50)))
    assert _together(path, 100, ReadOptions()).equals(read_file(path, ReadOptions()).frame.lazy().collect())


def test_json_lines_and_parquet(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": [f"u{n % 9}" for n in range(60)], "item": list(range(60))})
    frame.write_ndjson(tmp_path / "log.jsonl")
    frame.write_parquet(tmp_path / "log.parquet")
    for name in ("log.jsonl", "log.parquet"):
        assert len(list(pieces(tmp_path / name, ReadOptions(), 640))) > 2, name
        assert _together(tmp_path / name, 640, ReadOptions()).rows() == frame.rows(), name


def test_lines_are_counted_through(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [f"u{number},{number}\n" for number in range(40)]
    path.write_text("".join(["user,item\n", *rows[:30], "user,item\n", *rows[30:]]))
    dropped = [one for piece in pieces(path, ReadOptions(), 60) for one in piece.read().dropped]
    assert [(one.reason, one.first) for one in dropped] == [("repeats the header", "line 32")]
    last = list(pieces(path, ReadOptions(), 60))[-1].read()
    assert last.place(len(last.frame.lazy().collect()) - 1) == "line 42"


def test_what_cannot_be_cut_is_refused(tmp_path: Path) -> None:
    array = tmp_path / "log.json"
    array.write_text("[" + ",\n".join('{"user": "a", "item": 1}' for _ in range(20)) + "]")
    with pytest.raises(ValueError, match="one object on each line"):
        list(pieces(array, ReadOptions(), 100))
    wide = tmp_path / "log.csv"
    wide.write_bytes("user,item\nann,7\n".encode("utf-16") * 9)
    with pytest.raises(ValueError, match="write it as UTF-8"):
        list(pieces(wide, ReadOptions(), 100))
    packed = tmp_path / "log.csv.gz"
    packed.write_bytes(gzip.compress(b"user,item\n" + b"ann,7\n" * 1000)[:-10])
    with pytest.raises(ValueError, match="whole packed file"):
        list(pieces(packed, ReadOptions(), 100))


def test_files_of_a_pattern_come_by_name(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).write_text("user,item\n1,2\n")
    assert [file.name for file in find_files(str(tmp_path / "*.csv"))] == ["a.csv", "b.csv"]
    with pytest.raises(FileNotFoundError, match="pattern"):
        find_files(str(tmp_path / "*.tsv"))
