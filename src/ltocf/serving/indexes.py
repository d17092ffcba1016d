"""Vectors in files and vector databases, each written by its own library and searched by it."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import polars as pl
from jaxtyping import Float32

from ltocf.installation import needs_extra
from ltocf.serving.vectors import ItemVectors, Vectors

Query: TypeAlias = Float32[np.ndarray, " dim"]
Search: TypeAlias = Callable[[Query, int], list[Any]]
"""Finds, for a vector and a number, the ids of that many items with the largest inner products, best first."""

POINTS_PER_CALL = 1000


@contextmanager
def export_extra() -> Iterator[None]:
    """Name the extra to install where an import inside the block fails."""
    try:
        yield
    except ImportError as error:
        raise needs_extra("this export needs", "export") from error


def _faiss() -> Any:
    """The module, without its log lines about the processor."""
    logging.getLogger("faiss").setLevel(logging.WARNING)
    with export_extra():
        return importlib.import_module("faiss")


def write_parquet(vectors: Vectors, folder: Path) -> None:
    """``users.parquet`` and ``items.parquet``: columns id, title if there are any, vector."""
    for name, frame in vectors.frames().items():
        frame.write_parquet(folder / f"{name}.parquet")


def search_parquet(folder: Path) -> Search:
    items = pl.read_parquet(folder / "items.parquet")
    return _exact_search(items["vector"].to_numpy(), items["id"].to_list())


def write_numpy(vectors: Vectors, path: Path) -> None:
    """Arrays user_ids, users, item_ids, items."""
    ids = {"user_ids": vectors.user_ids, "item_ids": vectors.item_ids}
    # Texts as fixed-width characters, so that the file can be read without pickles.
    arrays = {name: np.array(series.to_list()) for name, series in ids.items()}
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays, users=vectors.users, items=vectors.items)


def search_numpy(path: Path) -> Search:
    with np.load(path) as arrays:
        return _exact_search(arrays["items"], arrays["item_ids"].tolist())


def write_faiss(vectors: Vectors, folder: Path) -> None:
    """``items.faiss``, an exact index of inner products whose numbers are rows of ``items.parquet``."""
    faiss = _faiss()
    index = faiss.IndexFlatIP(vectors.items.shape[1])
    index.add(np.ascontiguousarray(vectors.items))
    faiss.write_index(index, str(folder / "items.faiss"))
    frames = vectors.frames()
    frames["items"].drop("vector").write_parquet(folder / "items.parquet")
    frames["users"].write_parquet(folder / "users.parquet")


def search_faiss(folder: Path) -> Search:
    faiss = _faiss()
    index = faiss.read_index(str(folder / "items.faiss"))
    ids = pl.read_parquet(folder / "items.parquet")["id"].to_list()
    return lambda query, k: [ids[place] for place in index.search(query[None], k)[1][0].tolist()]


def write_qdrant(vectors: Vectors, folder: Path) -> None:
    """Collections ``users`` and ``items`` of a local Qdrant; the id is in the payload, as ``id``."""
    with export_extra():
        from qdrant_client import QdrantClient
        from qdrant_client.models import Distance, PointStruct, VectorParams
    client = QdrantClient(path=str(folder))
    try:
        for name, frame in vectors.frames().items():
            size = vectors.items.shape[1]
            client.create_collection(name, vectors_config=VectorParams(size=size, distance=Distance.DOT))
            for start in range(0, len(frame), POINTS_PER_CALL):
                rows = frame[start : start + POINTS_PER_CALL]
                points = [
                    PointStruct(id=start + place, vector=vector, payload=payload)
                    for place, (vector, payload) in enumerate(
                        zip(rows["vector"].to_list(), rows.drop("vector").to_dicts(), strict=True)
                    )
                ]
                client.upsert(name, points)
    finally:
        client.close()


def search_qdrant(folder: Path) -> Search:
    with export_extra():
        from qdrant_client import QdrantClient

    def search(query: Query, k: int) -> list[Any]:
        found = client.query_points("items", query=query.tolist(), limit=k).points
        return [point.payload["id"] for point in found if point.payload]

    client = QdrantClient(path=str(folder))
    return search


def write_lancedb(vectors: Vectors, folder: Path) -> None:
    """Tables ``users`` and ``items`` of a LanceDB: columns id, title if there are any, vector."""
    with export_extra():
        import lancedb
    database = lancedb.connect(folder)
    for name, frame in vectors.frames().items():
        database.create_table(name, frame.to_arrow())


def search_lancedb(folder: Path) -> Search:
    with export_extra():
        import lancedb
    table = lancedb.connect(folder).open_table("items")

    def search(query: Query, k: int) -> list[Any]:
        builder: Any = table.search(query)
        ids: list[Any] = builder.distance_type("dot").limit(k).to_arrow()["id"].to_pylist()
        return ids

    return search


def write_pgvector(vectors: Vectors, path: Path) -> None:
    """A script for ``psql`` that makes the tables ``users`` and ``items`` and fills them."""
    with path.open("w", encoding="utf-8") as file:
        file.write("-- Best items of a user (<#> is minus the inner product):\n")
        file.write("--   SELECT items.id FROM items, users WHERE users.id = ... ")
        file.write("ORDER BY items.vector <#> users.vector LIMIT 10;\n")
        file.write("CREATE EXTENSION IF NOT EXISTS vector;\n")
        for name, frame in vectors.frames().items():
            key = "bigint" if frame.schema["id"].is_integer() else "text"
            title = ", title text" if "title" in frame.columns else ""
            file.write(f"CREATE TABLE {name} (id {key} PRIMARY KEY{title}, vector vector({vectors.items.shape[1]}));\n")
            file.write(f"COPY {name} ({', '.join(frame.columns)}) FROM stdin;\n")
            numbers = vectors.users if name == "users" else vectors.items
            for texts, row in zip(frame.drop("vector").iter_rows(), numbers, strict=True):
                file.write("\t".join([*map(_escaped, texts), f"[{','.join(map(str, row.tolist()))}]"]) + "\n")
            file.write("\\.\n")


def search_pgvector(path: Path) -> Search:
    """An exact search over the script's numbers: pgvector's own would need a server."""
    script = path.read_text(encoding="utf-8")
    lines = script.partition("\nCOPY items ")[2].split("\n")[1:]
    rows = [line.split("\t") for line in lines if "\t" in line]
    vectors = np.array([row[-1].strip("[]").split(",") for row in rows], np.float32)
    has_integer_ids = "items (id bigint" in script
    return _exact_search(vectors, [int(row[0]) if has_integer_ids else _unescaped(row[0]) for row in rows])


_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


def _escaped(value: object) -> str:
    """A value as PostgreSQL's COPY reads it."""
    return "".join(_ESCAPES.get(letter, letter) for letter in str(value))


def _unescaped(text: str) -> str:
    letters = {escaped[1]: letter for letter, escaped in _ESCAPES.items()}
    parts = text.split("\\\\")
    return "\\".join(
        "".join(piece if not place else letters[piece[0]] + piece[1:] for place, piece in enumerate(part.split("\\")))
        for part in parts
    )


def _exact_search(items: ItemVectors, ids: list[Any]) -> Search:
    def search(query: Query, k: int) -> list[Any]:
        return [ids[place] for place in np.argsort(-(items @ query), kind="stable")[:k].tolist()]

    return search
