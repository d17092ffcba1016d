"""Rows from a database: PostgreSQL or SQLite, through ADBC."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from urllib.parse import unquote

import polars as pl
from polars import selectors

from ltocf.data.readers.raw import RawTable
from ltocf.installation import needs_extra

_DRIVERS = {
    "sqlite": "adbc_driver_sqlite",
    "postgresql": "adbc_driver_postgresql",
    "postgres": "adbc_driver_postgresql",
}

# Other libraries write the name of a driver between the database and `://`.
_SCHEME = re.compile(r"^(?P<kind>[a-z]+)(?:\+[a-z0-9_]+)?://", re.IGNORECASE)


def is_database(source: str) -> bool:
    """Whether a source is the address of a database that can be read.

    Example:
        >>> is_database("postgresql://localhost/shop"), is_database("s3://shop/visits.parquet")
        (True, False)
    """
    found = _SCHEME.match(source)
    return found is not None and found["kind"].lower() in _DRIVERS


def masked(text: str) -> str:
    """Text without the passwords and signatures of the addresses in it, so that it may be printed and kept.

    Example:
        >>> masked("postgresql://ann:secret@db/shop?sslpassword=more"), masked("logs/may.csv")
        ('postgresql://ann:***@db/shop?sslpassword=***', 'logs/may.csv')
    """
    text = re.sub(r"(?<=://)([^/@:\s]*):[^\s]*@(?=[^@\s]*$|[^@\s]*\s)", r"\1:***@", text)
    secret = (
        r"(?i)\b((?:ssl)?password|passwd|pwd|token|sig|signature|x-amz-[a-z-]+|[a-z_]*(?:key|secret))=('[^']*'|[^&\s]+)"
    )
    return re.sub(secret, r"\1=***", text)


def read_query(uri: str, query: str) -> RawTable:
    """The rows of a query, with the types of the database.

    Args:
        uri: ``postgresql://user:password@host:5432/database``, or ``sqlite:///`` and the path of the file.
        query: one SELECT.

    Raises:
        ImportError: the extra `sql` is not installed.
        FileNotFoundError: no such SQLite file; connecting would make an empty one.
        ConnectionError: the server does not answer or refuses.
        ValueError: the query is not understood, or gives no columns, or text that is not UTF-8.

    Example:
        >>> import sqlite3, tempfile
        >>> path = Path(tempfile.mkdtemp()) / "shop.db"
        >>> with sqlite3.connect(path) as database:
        ...     _ = database.executescript("CREATE TABLE visits (user, item); INSERT INTO visits VALUES ('ann', 7)")
        >>> database.close()
        >>> read_query(f"sqlite:///{path}", "SELECT * FROM visits").frame.rows()
        [('ann', 7)]
    """
    found = _SCHEME.match(uri)
    kind = found["kind"].lower() if found is not None else ""
    if found is None or kind not in _DRIVERS:
        raise ValueError(f"the address of a database must begin with postgresql:// or sqlite://, got {masked(uri)!r}")
    if any(importlib.util.find_spec(module) is None for module in ("adbc_driver_manager", _DRIVERS[kind], "pyarrow")):
        raise needs_extra("databases need", "sql")
    rest = uri[found.end() :]
    if kind == "sqlite":
        _check_file(rest, uri)
    name = masked(uri)
    try:
        frame = pl.read_database_uri(query, f"{'postgresql' if kind == 'postgres' else kind}://{rest}", engine="adbc")
    except (Exception, pl.exceptions.PanicException) as error:  # each driver has exceptions of its own
        raise _one_line(error, name, uri, query) from None
    if not frame.width:
        raise ValueError(f"{name}: the query must give a table, got no columns from {query!r}")
    _check_text(frame, name)
    return RawTable(name, frame, format=f"{'SQLite' if kind == 'sqlite' else 'PostgreSQL'}, {len(frame):,} rows")


def _check_file(rest: str, uri: str) -> None:
    path = Path(unquote(rest.partition("?")[0]).removeprefix("/"))
    if rest.startswith("//"):
        path = Path("/") / path
    if not path.is_file() and not rest.startswith("/:memory:"):
        raise FileNotFoundError(
            f"no such SQLite database: {path}, from {masked(uri)!r}; an absolute path has four slashes"
        )


def _check_text(frame: pl.DataFrame, name: str) -> None:
    """Raise ValueError at text that is not UTF-8: polars relies on it, and SQLite stores any bytes as text."""
    for column in frame.select(selectors.string() | selectors.nested()).iter_columns():
        try:
            column.to_arrow(compat_level=pl.CompatLevel.newest()).validate(full=True)
        except ValueError:
            found = "text" if column.dtype.is_nested() else repr(_first_not_utf8(column))
            raise ValueError(
                f"{name}: text must be UTF-8, got {found} in column {column.name!r}; convert it in the database, or "
                "select its bytes, in SQLite with hex(column)"
            ) from None


def _first_not_utf8(column: pl.Series) -> bytes:
    texts: list[bytes] = column.drop_nulls().cast(pl.Binary).to_list()
    return next(text[:100] for text in texts if text.decode(errors="ignore").encode() != text)


def _one_line(error: Exception, name: str, uri: str, query: str) -> Exception:
    """The driver's error in one line and without the password."""
    text = " ".join(str(error).split())
    if password := re.search(r"://[^/@:\s]*:(.*)@", uri):
        for secret in {password[1], unquote(password[1])}:
            text = text.replace(secret, "***") if secret else text
    text = masked(text)
    if re.search(r"connect|authenticat|resolve|translate host|timeout", text, re.IGNORECASE):
        return ConnectionError(f"{name}: {text}")
    return ValueError(
        f"{name}: the query {' '.join(query.split())!r} must be one that the database answers, got: {text}"
    )
