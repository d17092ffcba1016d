"""`load_dataset` takes every source with its options, and reads several files as one table."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp

from dataset_views import id_pairs
from ltocf.data import ReadOptions, load_dataset
from ltocf.data.readers.remote import read_remote
from ltocf.data.readers.source import read_raw
from ltocf.data.readers.sql import masked

TABLE = "user,item\nann,007\nbob,42\n"


def write(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    "source",
    [
        pl.DataFrame({"user": ["ann", "bob"], "item": ["007", "42"]}),
        pl.LazyFrame({"user": ["ann", "bob"], "item": ["007", "42"]}),
        pd.DataFrame({"user": ["ann", "bob"], "item": ["007", "42"]}),
        pl.DataFrame({"user": ["ann", "bob"], "item": ["007", "42"]}).to_arrow(),
        [("ann", "007"), ("bob", "42")],
    ],
    ids=["polars", "lazy", "pandas", "arrow", "tuples"],
)
def test_objects_in_memory_are_sources_without_options_of_files(source: Any) -> None:
    assert id_pairs(load_dataset(source)) == [("ann", "007"), ("bob", "42")]
    assert read_raw(source, ReadOptions()).frame.lazy().collect().rows() == [("ann", "007"), ("bob", "42")]
    with pytest.raises(ValueError, match="separator, query: only files and databases have these"):
        load_dataset(source, separator=";", query="SELECT 1")


def test_a_matrix_is_a_source() -> None:
    matrix = sp.csr_array(np.eye(2))
    assert id_pairs(load_dataset(matrix)) == [(0, 0), (1, 1)]
    assert read_raw(matrix, ReadOptions()).frame.lazy().collect().rows() == [(0, 0), (1, 1)]


def test_raw_rows_of_text_folders_and_named_sets_are_their_pairs(tmp_path: Path) -> None:
    write(tmp_path / "train.txt", "0 1 0\n1 0\n")
    write(tmp_path / "test.txt", "1 1\n")
    table = read_raw(tmp_path, ReadOptions())
    assert table.frame.lazy().collect().rows() == [(0, 0), (0, 1), (1, 0)]
    assert table.notes == ("pairs of the given test set, left out here: 1",)
    named = read_raw("movielens-small", ReadOptions()).frame
    assert named.collect_schema().names() == ["user", "item", "timestamp"]


def test_a_pattern_reads_all_matching_files_in_order(tmp_path: Path) -> None:
    for day, row in (("b", "bob,42"), ("a", "ann,007")):
        (tmp_path / f"{day}.csv.gz").write_bytes(gzip.compress(f"user,item\n{row}\n".encode()))
    dataset = load_dataset(f"{tmp_path}/*.csv.gz")
    assert (id_pairs(dataset), dataset.name) == ([("ann", "007"), ("bob", "42")], "*.csv.gz")
    assert read_raw(tmp_path / "?.csv.gz", ReadOptions()).frame.lazy().collect().rows()[0] == ("ann", "007")
    with pytest.raises(FileNotFoundError, match=r"no file matches '.*c\*\.csv'"):
        load_dataset(f"{tmp_path}/c*.csv")


def test_dropped_rows_are_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load_dataset(write(tmp_path / "a.csv", f"{TABLE}user,item\neve,7\n"))
    assert "a.csv: 1 row dropped: repeats the header (first: line 4)" in caplog.text


def test_an_existing_file_with_brackets_in_its_name_is_no_pattern(tmp_path: Path) -> None:
    assert len(load_dataset(write(tmp_path / "log[1].csv", TABLE)).interactions) == 2


def test_several_files_must_have_the_same_columns_in_any_order(tmp_path: Path) -> None:
    write(tmp_path / "1.csv", TABLE)
    write(tmp_path / "2.csv", "item;user\n7;eve\n")
    assert id_pairs(load_dataset(f"{tmp_path}/*.csv")) == [("ann", "007"), ("bob", "42"), ("eve", "7")]
    write(tmp_path / "3.csv", "user,product\neve,7\n")
    with pytest.raises(
        ValueError, match=r"same columns, got \['item', 'user'\] in .*1\.csv and .*'user'\] in .*3\.csv"
    ):
        load_dataset(f"{tmp_path}/*.csv")


def test_several_typed_files_must_have_the_same_types(tmp_path: Path) -> None:
    pl.DataFrame({"user": ["ann"], "item": [1]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"item": [2], "user": ["ann"]}).write_parquet(tmp_path / "2.parquet")
    assert id_pairs(load_dataset(f"{tmp_path}/*.parquet")) == [("ann", 1), ("ann", 2)]
    pl.DataFrame({"user": ["ann"], "item": ["3"]}).write_parquet(tmp_path / "3.parquet")
    with pytest.raises(ValueError, match=r"same types, got 'item' as Int64 in .*1\.parquet and as String in .*3"):
        load_dataset(f"{tmp_path}/*.parquet")


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("a.csv", {"query": "SELECT 1"}, "query: only databases have this"),
        ("postgresql://db/shop", {}, "is a database: pass `query`"),
        (
            "postgresql://ann:pw@db/shop",
            {"query": "SELECT 1", "header": True},
            r"ann:\*\*\*@db/shop: header: only text",
        ),
        ("mysql://ann:pw@db/shop", {}, r"must begin with postgresql://.* got 'mysql://ann:\*\*\*@db/shop'"),
        ("gowalla", {"separator": ","}, "separator: only table files have columns"),
    ],
)
def test_options_that_do_not_apply_to_a_source_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, options: dict[str, Any], message: str
) -> None:
    write(tmp_path / "a.csv", TABLE)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        load_dataset(source, **options)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:p@ss:w/rd@db:5432/shop", "postgresql://ann:***@db:5432/shop"),
        ("postgresql://db/shop?user=ann&password=pw", "postgresql://db/shop?user=ann&password=***"),
        ("https://data.org/a.csv?X-Amz-Signature=abc&n=1", "https://data.org/a.csv?X-Amz-Signature=***&n=1"),
        (
            "could not connect to postgresql://ann:pw@db/shop now",
            "could not connect to postgresql://ann:***@db/shop now",
        ),
        ("s3://shop/visits.parquet", "s3://shop/visits.parquet"),
        ("logs/ann:x@home.csv", "logs/ann:x@home.csv"),
    ],
)
def test_passwords_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


class Pages(BaseHTTPRequestHandler):
    """Serves two files and answers 403 or 404 to everything else."""

    def do_GET(self) -> None:
        """Answer one request."""
        pages = {"/a.csv": TABLE.encode(), "/b.csv.gz": gzip.compress(TABLE.encode())}
        body = pages.get(self.path.partition("?")[0])
        if self.path == "/forbidden":
            self.send_error(403)
        elif body is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


def test_files_are_read_from_the_web_and_errors_mask_secrets(web: str) -> None:
    assert id_pairs(load_dataset(f"{web}/a.csv")) == [("ann", "007"), ("bob", "42")]
    table = read_remote(f"{web}/b.csv.gz?token=secret", ReadOptions())
    assert (table.name, table.format.split(", ")[-1]) == (f"{web}/b.csv.gz?token=***", "gzip")
    with pytest.raises(FileNotFoundError, match=r"could not read http://.*/c\.csv\?token=\*\*\*: HTTP Error 404"):
        load_dataset(f"{web}/c.csv?token=secret")
    with pytest.raises(ConnectionError, match="HTTP Error 403"):
        load_dataset(f"{web}/forbidden")
    with pytest.raises(ConnectionError, match="could not read"):
        load_dataset("http://127.0.0.1:9/a.csv")
