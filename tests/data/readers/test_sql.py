"""Databases: SQLite files, and a local PostgreSQL server if Debian's package is installed."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import polars as pl
import pytest

from ltocf.data import ReadOptions, load_dataset
from ltocf.data.readers.source import read_raw
from ltocf.data.readers.sql import read_query

PASSWORD = "p@ss w:rd"
ENCODED = "p%40ss%20w%3Ard"
VISITS = """
CREATE TABLE visits (customer text, product text, at timestamp, stars integer);
INSERT INTO visits VALUES ('ann', '007', '2024-05-01 10:00:00', 5), ('bob', '42', '2024-05-02 10:00:00', 1);
"""


@pytest.fixture
def sqlite(tmp_path: Path) -> Path:
    path = tmp_path / "my shop.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(VISITS)
        database.commit()
    return path


def test_a_query_of_sqlite_is_read(sqlite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    query = "SELECT customer AS user, product AS item, stars FROM visits WHERE stars > 2"
    dataset = load_dataset(f"sqlite:///{sqlite}", query=query)
    assert (dataset.user_ids.decode([0]), dataset.item_ids.decode([0])) == (["ann"], ["007"])
    monkeypatch.chdir(sqlite.parent)
    table = read_raw(f"sqlite:///{sqlite.name}", ReadOptions(query=query))
    assert table.frame.lazy().collect().rows() == [("ann", "007", 5)]
    assert (table.format, table.from_text) == ("SQLite, 1 rows", False)


def test_a_missing_sqlite_file_is_an_error_and_not_created(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no such SQLite database: .*shop\.db"):
        load_dataset(f"sqlite:///{tmp_path}/shop.db", query="SELECT 1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("query", ["SELECT nothing FROM visits", "SELECT * FROM\nnowhere", "no SQL", ""])
def test_a_wrong_query_is_an_error_of_one_line(sqlite: Path, query: str) -> None:
    with pytest.raises(ValueError, match=r"the query '.*' must be one that the database answers, got: ") as caught:
        load_dataset(f"sqlite:///{sqlite}", query=query)
    assert "\n" not in str(caught.value)


def test_text_that_is_not_utf8_is_refused_and_its_bytes_can_be_selected(sqlite: Path) -> None:
    """SQLite stores any bytes as text. Strings of other bytes end a process inside polars."""
    source, latin = f"sqlite:///{sqlite}", "CAST(x'6D656CE96E' AS text)"
    query = f"SELECT customer AS user, product AS item FROM visits UNION ALL SELECT {latin}, '7'"
    with pytest.raises(ValueError, match=r"text must be UTF-8, got b'mel\\xe9n' in column 'user'; convert it .*hex"):
        load_dataset(source, query=query)
    hexadecimal = load_dataset(source, query=f"SELECT hex(user) AS user, item FROM ({query})")
    assert set(hexadecimal.user_ids.decode(range(3))) == {"616E6E", "626F62", "6D656CE96E"}


def test_lists_of_text_that_is_not_utf8_are_refused(sqlite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL has arrays, and databases without an encoding."""
    query = "SELECT CAST(x'E9' AS text) AS item"
    frame = pl.read_database_uri(query, f"sqlite:///{sqlite}", engine="adbc").select(pl.concat_list("item", "item"))
    monkeypatch.setattr(pl, "read_database_uri", lambda *_, **__: frame)
    with pytest.raises(ValueError, match="text must be UTF-8, got text in column 'item'"):
        read_query(f"sqlite:///{sqlite}", query)


@pytest.mark.parametrize("module", ["adbc_driver_sqlite", "adbc_driver_manager", "pyarrow"])
def test_without_its_packages_the_extra_is_advised(sqlite: Path, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else find(name))
    with pytest.raises(ImportError, match=r"pip install .*\[sql\]"):
        read_query(f"sqlite:///{sqlite}", "SELECT * FROM visits")


def test_an_address_of_an_unknown_database_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must begin with postgresql:// or sqlite://, got 'oracle://ann:\*\*\*@db/x'"):
        read_query("oracle://ann:pw@db/x", "SELECT 1")


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a server, without the user; the user `ann` has the password ``PASSWORD``."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="ltocf-postgres-"))
    try:
        with _server(programs[-1], folder) as port:
            psql = [
                programs[-1] / "psql",
                "-h",
                "127.0.0.1",
                "-p",
                str(port),
                "-U",
                "ann",
                "-q",
                "-c",
                VISITS,
                "postgres",
            ]
            subprocess.run(psql, check=True, capture_output=True, timeout=60, env=os.environ | {"PGPASSWORD": PASSWORD})
            yield f"127.0.0.1:{port}/postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _server(programs: Path, folder: Path) -> Iterator[int]:
    """A server with its data in the folder, on a free port; gives the port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    (folder / "password").write_text(PASSWORD)
    user = _unprivileged(folder)
    options = ["--auth=scram-sha-256", "--username=ann", f"--pwfile={folder}/password", "--no-sync", "--no-locale"]
    initdb = [*user, programs / "initdb", "-D", folder / "data", "-E", "UTF8", *options]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder, timeout=60)
    settings = ["listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}", "fsync=off"]
    start = [*user, programs / "postgres", "-D", folder / "data", *(f"--{setting}" for setting in settings)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(start, stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for(port, server, folder / "log")
        yield port
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(timeout=10)


def _unprivileged(folder: Path) -> list[str]:
    """The prefix that runs a command as another user than root, which the server refuses."""
    if os.getuid() != 0:
        return []
    names = {entry.pw_name for entry in pwd.getpwall()}
    owner = pwd.getpwnam("postgres" if "postgres" in names else "nobody")
    (folder / "log").touch()
    for path in (folder, folder / "password", folder / "log"):
        os.chown(path, owner.pw_uid, owner.pw_gid)
    return ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        if server.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"PostgreSQL did not start: {log.read_text()}")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_query_of_postgresql_is_read(postgres: str, scheme: str) -> None:
    uri = f"{scheme}://ann:{ENCODED}@{postgres}"
    query = 'SELECT customer AS "user", product AS item, at AS timestamp, stars FROM visits'
    dataset = load_dataset(uri, query=query)
    assert dataset.item_ids.decode([0, 1]) == ["007", "42"]
    assert dataset.interactions.timestamps is not None
    assert dataset.interactions.timestamps.tolist() == [1714557600, 1714644000]
    table = read_raw(uri, ReadOptions(query=query))
    assert (table.name, table.format) == (f"{scheme}://ann:***@{postgres}", "PostgreSQL, 2 rows")
    assert "p%40" not in dataset.name


@pytest.mark.parametrize(
    ("user", "query", "error"),
    [
        (f"ann:{ENCODED}", "SELECT nothing FROM visits", ValueError),
        (f"ann:{ENCODED}", "not SQL", ValueError),
        ("ann:no%20secret", "SELECT 1", ConnectionError),
    ],
    ids=["no such column", "no SQL", "another password"],
)
def test_errors_of_postgresql_reveal_no_password(postgres: str, user: str, query: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^postgresql://ann:\*\*\*@127") as caught:
        load_dataset(f"postgresql://{user}@{postgres}", query=query)
    for secret in (PASSWORD, ENCODED, "no secret", "no%20secret", "\n"):
        assert secret not in str(caught.value)


def test_an_unreachable_postgresql_server_is_a_connection_error() -> None:
    with pytest.raises(ConnectionError, match=r"^postgresql://ann:\*\*\*@127.0.0.1:9/shop: .*refused") as caught:
        load_dataset("postgresql://ann:secret@127.0.0.1:9/shop", query="SELECT 1")
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
