"""Files that lie elsewhere: object stores, read by polars itself, and the web."""

from __future__ import annotations

import http.client
import os
import urllib.error
import urllib.request
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import polars as pl

from ltocf.data.readers.content import unpacked
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.several import concatenate
from ltocf.data.readers.sql import masked
from ltocf.data.readers.tables import TEXT_OPTIONS, read_content

_STORES = ("s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "adl")
_TIMEOUT_SECONDS = 30


def is_remote(source: str) -> bool:
    """Whether a source is the address of a file in an object store or on the web.

    Example:
        >>> is_remote("s3://shop/visits.parquet"), is_remote("https://example.org/a.csv"), is_remote("logs/a.csv")
        (True, True, False)
    """
    return urlsplit(source).scheme.lower() in (*_STORES, "http", "https") and "://" in source


def read_remote(uri: str, options: ReadOptions) -> RawTable:
    """Rows of a file in an object store (``s3://``, ``gs://``, ``az://``) or on the web (``http://``, ``https://``).

    From Parquet in a store only the columns in use are fetched, and the name may be a pattern. Credentials are taken
    from the environment, as the tools of the stores do: ``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL`` and so on.

    Raises:
        FileNotFoundError: the file is not there.
        ConnectionError: the store or the server cannot be reached or refuses.
        ValueError: what is there is no table, see `read_file`; text in a store that is not UTF-8.
    """
    return _read_web(uri, options) if uri.lower().startswith("http") else _read_store(uri, options)


def _read_web(url: str, options: ReadOptions) -> RawTable:
    name = masked(url)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
            data = response.read()
    except urllib.error.HTTPError as error:
        error.close()
        kind = FileNotFoundError if error.code in (404, 410) else ConnectionError
        raise kind(f"could not read {name}: {error}") from None
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(f"could not read {name}: {error}") from None
    return read_content(unpacked(data, name, file_name=urlsplit(url).path), options)


def _read_store(uri: str, options: ReadOptions) -> RawTable:
    try:
        if PurePosixPath(uri).suffix.lower() not in (".parquet", ".pq"):
            lines = pl.scan_lines(uri, include_file_paths="path", storage_options=_store_options(uri)).collect()
            parts = lines.partition_by("path", maintain_order=True)
            return concatenate([_table(part, options) for part in parts], uri)
        if refused := [name for name in (*TEXT_OPTIONS, "encoding") if name in options.given()]:
            raise ValueError(f"{uri}: {', '.join(refused)}: only text tables have these, and this is not one")
        frame = pl.scan_parquet(uri, storage_options=_store_options(uri))
        frame.collect_schema()
    except FileNotFoundError as error:
        raise FileNotFoundError(f"no such file: {uri}, or the bucket is not there") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = masked(" ".join(str(error).split()))[:300]
        if "utf8" in reason.replace("-", ""):
            raise ValueError(
                f"{uri} must be Parquet with that suffix, or UTF-8 text: copy it to a file here"
            ) from error
        raise ConnectionError(f"could not read {uri}: {reason}") from error
    return RawTable(uri, frame, format="Parquet")


def _table(lines: pl.DataFrame, options: ReadOptions) -> RawTable:
    """The table of one file, from its lines, which polars has unpacked."""
    name = str(lines["path"][0])
    suffix = PurePosixPath(name).suffix.lower()
    plain = name.removesuffix(suffix) if suffix in (".gz", ".zst") else name
    return read_content(unpacked("\n".join([*lines["line"], ""]).encode(), name, file_name=plain), options)


def _store_options(uri: str) -> Any:
    """The address of a private store, with permission to use it without encryption if it begins with ``http://``."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if not uri.lower().startswith("s3") or not endpoint:
        return None
    return {"aws_endpoint_url": endpoint, "aws_allow_http": str(endpoint.startswith("http://")).lower()}
