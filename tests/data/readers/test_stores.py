"""Object stores, simulated by a local moto server."""

from __future__ import annotations

import gzip
import io
import logging
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

from ltocf.data import ReadOptions, load_dataset
from ltocf.data.readers import remote
from ltocf.data.readers.source import read_raw

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

TABLE = "user,item\nann,007\nbob,42\n"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server_module = pytest.importorskip("moto.server", reason="needs moto[server]")
    boto3: Any = pytest.importorskip("boto3")
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=address, **keys)
    client.create_bucket(Bucket="shop")
    parquet = io.BytesIO()
    pl.DataFrame({"user": ["ann"], "item": ["007"], "weight": [1]}).write_parquet(parquet)
    files = {
        "visits.parquet": parquet.getvalue(),
        "parts/1.parquet": parquet.getvalue(),
        "parts/2.parquet": parquet.getvalue(),
        "visits.csv": TABLE.encode(),
        "visits.csv.gz": gzip.compress(TABLE.replace(",", ";").encode()),
        "days/1.csv": TABLE.encode(),
        "days/2.csv": b"user,item\neve,7\n",
        "visits.jsonl": b'{"user": "ann", "item": 7}\n',
        "latin.csv": "user,item\nZoë,7\n".encode("latin-1"),
    }
    for key, body in files.items():
        client.put_object(Bucket="shop", Key=key, Body=body)
    client.close()
    yield address
    server.stop()


@pytest.fixture(autouse=True)
def environment(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"ACCESS_KEY_ID": "key", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1", "ENDPOINT_URL": address}
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.parametrize(
    ("key", "rows", "format"),
    [
        ("visits.parquet", [("ann", "007", 1)], "Parquet"),
        ("parts/*.parquet", [("ann", "007", 1)] * 2, "Parquet"),
        ("visits.csv", [("ann", "007"), ("bob", "42")], "CSV, separator ',', encoding UTF-8, header in line 1"),
        ("visits.csv.gz", [("ann", "007"), ("bob", "42")], "CSV, separator ';', encoding UTF-8, header in line 1"),
        ("visits.jsonl", [("ann", 7)], "JSON lines, encoding UTF-8"),
        (
            "days/*.csv",
            [("ann", "007"), ("bob", "42"), ("eve", "7")],
            "2 files, CSV, separator ',', encoding UTF-8, header in line 1",
        ),
    ],
)
def test_files_of_every_format_are_read_from_a_store(key: str, rows: list[tuple[object, ...]], format: str) -> None:
    table = read_raw(f"s3://shop/{key}", ReadOptions())
    assert (table.frame.lazy().collect().rows(), table.format, table.name) == (rows, format, f"s3://shop/{key}")


def test_a_dataset_is_loaded_from_a_store() -> None:
    assert load_dataset("s3://shop/visits.csv.gz").item_ids.decode([0, 1]) == ["007", "42"]
    assert load_dataset("s3://shop/visits.parquet").user_ids.decode([0]) == ["ann"]


def test_missing_and_unreadable_files_of_a_store_are_errors() -> None:
    for key in ("missing.parquet", "missing.csv"):
        with pytest.raises(FileNotFoundError, match=f"no such file: s3://shop/{key}"):
            load_dataset(f"s3://shop/{key}")
    with pytest.raises(ValueError, match=r"latin\.csv must be Parquet with that suffix, or UTF-8 text"):
        load_dataset("s3://shop/latin.csv")
    with pytest.raises(ValueError, match="separator: only text tables have these"):
        load_dataset("s3://shop/visits.parquet", separator=",")


def test_an_unreachable_store_is_a_connection_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    options = remote._store_options("s3://shop")
    monkeypatch.setattr(remote, "_store_options", lambda uri: options | {"max_retries": 0})
    with pytest.raises(ConnectionError, match=r"could not read s3://shop/visits\.parquet"):
        load_dataset("s3://shop/visits.parquet")
