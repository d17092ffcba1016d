"""A file that is read in pieces has the rows and the line numbers of the whole file."""

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
from ltocf.scale import lines
from ltocf.scale.pieces import find_files, pieces


def _joined(path: Path, n_bytes: int, options: ReadOptions) -> pl.DataFrame:
    return pl.concat([piece.read().frame.lazy().collect() for piece in pieces(path, options, n_bytes)])


@given(
    rows=st.lists(st.tuples(st.text("ab7é", min_size=1), st.text('xy,"\n', max_size=6)), min_size=2, max_size=30),
    n_bytes=st.integers(40, 200),
)
def test_pieces_of_any_size_have_the_rows_of_the_whole_file(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], n_bytes: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "log.csv"
    pl.DataFrame({"user": [user for user, _ in rows], "item": [f"i{item}" for _, item in rows]}).write_csv(
        path, quote_style="always"
    )
    whole = read_file(path, ReadOptions(separator=",")).frame.lazy().collect()
    assert _joined(path, n_bytes, ReadOptions(separator=",")).equals(whole)


@pytest.mark.parametrize(("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_compressed_text_is_read_in_pieces(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"log.tsv.{suffix}"
    text = "user\titem\n" + "".join(f"u{number}\t{number % 7}\n" for number in range(100))
    path.write_bytes(pack(text.encode()))
    found = list(pieces(path, ReadOptions(), 200))
    assert len(found) > 2
    assert _joined(path, 200, ReadOptions()).rows() == [(f"u{number}", f"{number % 7}") for number in range(100)]
    assert found[-1].done == 1


def test_a_file_without_a_header_keeps_the_columns_of_its_first_lines(tmp_path: Path) -> None:
    path = tmp_path / "u.data"
    path.write_text("".join(f"{user}\t{user + 1}\t4\t{881250949 + user}\n" for user in range(50)))
    assert _joined(path, 100, ReadOptions()).equals(read_file(path, ReadOptions()).frame.lazy().collect())


def test_json_lines_and_parquet_are_read_in_pieces(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": [f"u{n % 9}" for n in range(60)], "item": list(range(60))})
    frame.write_ndjson(tmp_path / "log.jsonl")
    frame.write_parquet(tmp_path / "log.parquet")
    for name in ("log.jsonl", "log.parquet"):
        assert len(list(pieces(tmp_path / name, ReadOptions(), 640))) > 2, name
        assert _joined(tmp_path / name, 640, ReadOptions()).rows() == frame.rows(), name


def test_line_numbers_are_those_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [f"u{number},{number}\n" for number in range(40)]
    path.write_text("".join(["user,item\n", *rows[:30], "user,item\n", *rows[30:]]))
    dropped = [drop for piece in pieces(path, ReadOptions(), 60) for drop in piece.read().dropped]
    assert [(drop.reason, drop.first) for drop in dropped] == [("repeats the header", "line 32")]
    last = list(pieces(path, ReadOptions(), 60))[-1].read()
    assert last.place(len(last.frame.lazy().collect()) - 1) == "line 42"


def test_a_file_that_cannot_be_read_in_pieces_is_refused(tmp_path: Path) -> None:
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
    with pytest.raises(ValueError, match="whole compressed file"):
        list(pieces(packed, ReadOptions(), 100))
    content = bytearray(gzip.compress("".join(f"{n * 7919 % 1000}\n" for n in range(2000)).encode()))
    content[40:60] = bytes(255 - byte for byte in content[40:60])
    packed.write_bytes(content)
    with pytest.raises(ValueError, match="whole compressed file"):
        list(pieces(packed, ReadOptions(), 100))
    packed.write_bytes(gzip.compress("user,item\nann,7\n".encode("utf-16") * 9))
    with pytest.raises(ValueError, match="write it as UTF-8"):
        list(pieces(packed, ReadOptions(), 100))
    arrow = tmp_path / "log.arrow"
    pl.DataFrame({"user": range(90), "item": range(90)}).write_ipc(arrow)
    with pytest.raises(ValueError, match="write it as Parquet"):
        list(pieces(arrow, ReadOptions(), 100))
    long = tmp_path / "long.csv"
    long.write_bytes(b"user,item," + b"x" * (lines.LONGEST_FIELD + 1000))
    with pytest.raises(ValueError, match="lines shorter than"):
        list(pieces(long, ReadOptions(), 100))


def test_a_compressed_file_that_fits_in_one_piece_is_read_at_once(tmp_path: Path) -> None:
    texts = {"log.json.gz": b'[{"user": "a", "item": 1}]', "log.csv.gz": "user,item\na,1\n".encode("utf-16")}
    for name, text in texts.items():
        (tmp_path / name).write_bytes(gzip.compress(text))
        assert _joined(tmp_path / name, 200, ReadOptions()).select(pl.all().cast(pl.String)).rows() == [("a", "1")]
    (tmp_path / "empty.csv.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(ValueError, match="empty file"):
        _joined(tmp_path / "empty.csv.gz", 200, ReadOptions())


@pytest.mark.parametrize("suffix", ["tsv", "csv", "jsonl"])
def test_an_unpaired_quote_does_not_join_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    r"""An inch sign or JSON's ``\"`` would join all lines after it, and every line end would be searched again."""
    monkeypatch.setattr(lines, "LONGEST_FIELD", 100)
    frame = pl.DataFrame(
        {"user": [f"u{n}" for n in range(200)], "title": ['5"' if n == 3 else "5" for n in range(200)]}
    )
    path = tmp_path / f"log.{suffix}"
    if suffix == "jsonl":
        frame.write_ndjson(path)
    else:
        frame.write_csv(path, separator="\t" if suffix == "tsv" else ",", quote_style="never")
    assert len(list(pieces(path, ReadOptions(), 200))) > 6
    assert _joined(path, 200, ReadOptions()).equals(frame)


def test_rows_that_look_like_comments_or_json_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    rows = [("x", "1"), *((f"{'#%{'[n % 3]}{n}", str(n % 7)) for n in range(60))]
    path.write_text("".join(f"{user},{item}\n" for user, item in rows))
    for n_bytes in range(30, 60):
        assert _joined(path, n_bytes, ReadOptions(columns=("user", "item"))).rows() == rows


def test_empty_lines_are_counted_as_in_the_whole_file(tmp_path: Path) -> None:
    for name, header in (("log.csv", "user,item\n"), ("u.data", "")):
        path = tmp_path / name
        row = "1\t2\t3\t881250949\n" if not header else "ann,7\n"
        path.write_text(header + row * 20 + "\n" * 500 + row * 20 + "\n" * 300)
        tables = [piece.read() for piece in pieces(path, ReadOptions(), 60)]
        assert sum(drop.n_rows for table in tables for drop in table.dropped) == 500, name
        assert sum(len(table.frame.lazy().collect()) for table in tables) == 40, name


def test_a_key_that_a_piece_of_json_lacks_is_a_missing_value(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(
        '{"user": "a", "item": 1}\n' * 9 + '{"user": "a"}\n' * 20 + '{"user": null, "item": 1}\n' * 9 + "\n" * 300
    )
    tables = [piece.read().frame.lazy().collect() for piece in pieces(path, ReadOptions(), 100)]
    assert {tuple(table.schema.items()) for table in tables} == {(("user", pl.String()), ("item", pl.Int64()))}
    assert sum(table["item"].null_count() for table in tables) == 20


def test_two_encodings_in_one_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"user,item\n" + "zo\xeb,7\n".encode() * 30 + "zo\xe9,7\n".encode("latin-1") * 2)
    with pytest.raises(ValueError, match="one encoding"):
        list(pieces(path, ReadOptions(), 100))
    assert len(list(pieces(path, ReadOptions(encoding="latin-1"), 100))) > 1


def test_a_header_in_brackets_is_not_json(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("[user],[item]\n" + "ann,7\n" * 30)
    assert len(_joined(path, 60, ReadOptions(user_column="[user]", item_column="[item]"))) == 30


def test_a_piece_of_parquet_is_read_lazily(tmp_path: Path) -> None:
    pl.DataFrame({"user": range(90), "item": range(90), "text": ["long"] * 90}).write_parquet(tmp_path / "log.parquet")
    assert all(
        isinstance(piece.read().frame, pl.LazyFrame) for piece in pieces(tmp_path / "log.parquet", ReadOptions(), 960)
    )


def test_files_of_a_pattern_are_sorted_by_name(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).write_text("user,item\n1,2\n")
    assert [file.name for file in find_files(str(tmp_path / "*.csv"))] == ["a.csv", "b.csv"]
    with pytest.raises(FileNotFoundError, match="pattern"):
        find_files(str(tmp_path / "*.tsv"))
