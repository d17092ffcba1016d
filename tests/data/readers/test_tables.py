"""Table files of every format, and the errors of those that cannot be read."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset_views import id_pairs
from ltocf.cli.data import inspect
from ltocf.data import read_table


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'user,item\nann,007\n"bob",42\n'),
        ("a.CSV", "\ufeffuser,item\r\nann,007\r\nbob,42\r\n\r\n"),
        ("a.csv.gz", gzip.compress(b"user,item\nann,007\nbob,42\n", mtime=0)),
        ("a.tsv", "user\titem\nann\t007\nbob\t42"),
        ("a.jsonl", '{"user": "ann", "item": "007"}\n{"item": "42", "user": "bob"}\n'),
        ("a.ndjson", '{"user": "ann", "item": "007"}\n\n{"item": "42", "user": "bob"}\n'),
        ("a.inter", "user:token\titem:token\trating:float\nann\t007\t1.0\nbob\t42\t2.0\n"),
        ("a.dat", "ann::007::5::10\nbob::42::4::20\n"),
        ("a.json", '[{"user": "ann", "item": "007"},\n {"user": "bob", "item": "42"}]'),
        ("events.log", '\n{"user": "ann", "item": "007"}\n{"user": "bob", "item": "42"}\n'),
    ],
)
def test_every_format_gives_the_same_pairs(tmp_path: Path, name: str, content: str | bytes) -> None:
    dataset = read_table(write(tmp_path / name, content))
    assert id_pairs(dataset) == [("ann", "007"), ("bob", "42")]
    assert dataset.name == name


@given(st.lists(st.tuples(st.text("aB7é.-", min_size=1), st.integers()), min_size=1, unique=True))
def test_parquet_keeps_its_types(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, int]]) -> None:
    pairs = [(user, item % 2**40) for user, item in pairs]
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    pl.DataFrame(pairs, schema={"user": pl.String, "item": pl.Int64}, orient="row").write_parquet(path)
    assert sorted(id_pairs(read_table(path))) == sorted(set(pairs))


def test_parquet_strings_of_digits_stay_strings(tmp_path: Path) -> None:
    pl.DataFrame({"user": ["1"], "item": ["2"]}).write_parquet(tmp_path / "a.parquet")
    assert id_pairs(read_table(tmp_path / "a.parquet")) == [("1", "2")]


@pytest.mark.parametrize("kind", ["parquet", "ipc", "ipc_stream"])
def test_columnar_formats_are_recognised_by_their_first_bytes(tmp_path: Path, kind: str) -> None:
    frame = pl.DataFrame({"user": ["1"], "item": [2]})
    getattr(frame, f"write_{kind}")(tmp_path / "table.txt")
    assert id_pairs(read_table(tmp_path / "table.txt")) == [("1", 2)]


def test_json_numbers_stay_numbers(tmp_path: Path) -> None:
    assert id_pairs(read_table(write(tmp_path / "a.jsonl", '{"user": 1, "item": "2"}\n'))) == [(1, "2")]


def test_movielens_csv_takes_titles_from_the_file_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "movies.csv", 'movieId,title,genres\n1,"Toy Story (1995)",X\n9,Heat (1995),Y\n5,,Z\n')
    path = write(tmp_path / "ratings.csv", "userId,movieId,rating,timestamp\n1,9,4.0,20\n1,1,5.0,10\n2,5,3.0,5\n")
    dataset = read_table(path)
    assert id_pairs(dataset) == [(1, 1), (1, 9), (2, 5)]
    assert dataset.titles == ("Toy Story (1995)", "5", "Heat (1995)")
    assert dataset.interactions.timestamps is not None
    assert dataset.interactions.timestamps.tolist() == [10, 20, 5]
    assert id_pairs(read_table(path, min_rating=4.5)) == [(1, 1)]


def test_movielens_dat_titles_are_latin_1(tmp_path: Path) -> None:
    write(tmp_path / "movies.dat", '1::Misérables, Les (1995)::Drama\n2::"Quoted"::X\n'.encode("latin-1"))
    dataset = read_table(write(tmp_path / "ratings.dat", "1::1::5::978300760\n1::2::3::978302109\n"))
    assert dataset.titles == ("Misérables, Les (1995)", '"Quoted"')


def test_a_movies_file_without_titles_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "movies.csv", "id,name\n1,Heat\n")
    assert read_table(write(tmp_path / "ratings.csv", "user,item\n1,1\n")).titles is None
    assert "no titles, its columns are ['id', 'name']" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "must hold a table, got an empty file"),
        ("a.csv", " \n\n", "must hold a table, got an empty file"),
        ("a.jsonl", "", "must hold a table, got an empty file"),
        ("a.csv", "user,item\n", "must hold at least one row besides the header"),
        ("a.csv", "1,2\n3,4\n", r"a\.csv has no header, its first line is '1,2'; pass `columns`"),
        ("a.csv", "user,item\na,b\nc,d,e\n", "line 3 has 3 fields and the header 2"),
        ("a.csv", 'user,item\na,b\n"c,d\ne,f\n', "line 3: a quote that opens a field must close it"),
        ("a.csv", 'user,item,t\na,"b,1\nc,d,2\ne,f,3"\n', "line 2: a quote that .* got one that ends 2 lines below"),
        ("a.csv", 'user,item\na,b\n"c" d,e\n', "line 3: a quote that opens a field must close it"),
        ("a.csv", "user_id,item_id\n1,2\nitem_id,user_id\n2,1\n", "line 3: has the names of the header in another"),
        ("a.csv", b"\x00\x01user,item", "got bytes that are not text"),
        ("a.csv.gz", b"user,item\na,b\n", "must be a whole gzip file"),
        ("a.csv.gz", gzip.compress(b"user,item\na,b\n" * 100, mtime=0)[:-20], "must be a whole gzip file"),
        ("a.jsonl", '{"user": 1, "item": 2}\n{"user": 1,\n', "not a readable .jsonl file: line 2, column \\d+: "),
        ("a.jsonl", '{"user": 1, "item": 2}\n[1, 2]\n', "not a readable .jsonl file: line 2 is not an object"),
        ("a.inter", "user\titem\na\tb\n", "headers must be `name:type`"),
        ("a.jsonl", '{"user": ' + "[" * 100_000, "not a readable .jsonl file: line 1: maximum recursion depth"),
        ("a.json", '[{"user": 1}', "not a readable .json file: line 1, column \\d+: Expecting ',' delimiter"),
        ("a.json", '[{"user": 1},\n {"user": }]', "not a readable .json file: line 2, column \\d+: Expecting value"),
        ("a.json", "[]", "must hold at least one row"),
        ("a.inter.gz", gzip.compress(b"user\titem\na\tb\n", mtime=0), "headers must be `name:type`"),
        ("a.dat", "1::2::3\n", r"has no header, its first line is '1::2::3'"),
        ("a.parquet", "hello", "not a readable .parquet file"),
        ("a.csv", b"PAR1" + bytes(20), "not a readable .csv file"),
        ("a.arrow", b"ARROW1" + bytes(20), "not a readable .arrow file"),
        ("a.csv", b"PK\x03\x04", "a zip archive or a spreadsheet; unpack it"),
        ("a.csv", b"SQLite format 3\x00", "a SQLite database; pass `sqlite:///`"),
        ("a.csv.zst", b"\x28\xb5\x2f\xfd" + bytes(20), "must be a whole zstandard file"),
        ("a.xlsx", "hello", "must have at least two columns, got no separator in 'hello'"),
    ],
)
def test_unreadable_files_are_refused_by_name(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read_table(write(tmp_path / name, content))
    assert name in str(caught.value)


def test_a_gzip_file_with_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(bytes(range(256)) * 20, mtime=0))
    packed[30] ^= 0xFF
    with pytest.raises(ValueError, match=r"a\.csv\.gz must be a whole gzip file"):
        read_table(write(tmp_path / "a.csv.gz", bytes(packed)))


@pytest.mark.parametrize(
    ("name", "option"),
    [("a.parquet", {"separator": ","}), ("a.parquet", {"encoding": "utf-8"}), ("a.jsonl", {"header": True})],
    ids=["separator", "encoding", "header"],
)
def test_options_of_text_tables_are_refused_for_other_formats(
    tmp_path: Path, name: str, option: dict[str, object]
) -> None:
    table = pl.DataFrame({"user": ["a"], "item": ["b"]})
    write_table = table.write_parquet if name == "a.parquet" else table.write_ndjson
    write_table(tmp_path / name)
    with pytest.raises(ValueError, match=f"{name}: {next(iter(option))}: only text tables have these"):
        read_table(tmp_path / name, **option)


def test_a_damaged_page_of_parquet_is_an_error(tmp_path: Path) -> None:
    frame = pl.DataFrame({"user": [str(row) for row in range(1000)], "item": range(1000)})
    frame.write_parquet(tmp_path / "a.parquet", compression="zstd")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[8:200] = bytes(192)
    write(tmp_path / "a.parquet", bytes(content))
    with pytest.raises(ValueError, match=r"a\.parquet is not a readable Parquet file"):
        read_table(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet is not a readable Parquet file"):
        inspect(str(tmp_path / "a.parquet"))


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such table file: .*a\.csv"):
        read_table(tmp_path / "a.csv")
