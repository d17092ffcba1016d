"""Everything that the package reads: valid contents of each kind, and the function that reads it."""

from __future__ import annotations

import gzip
import io
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import torch
from jaxtyping import TypeCheckError

import ltocf
from ltocf.data import load_dataset
from ltocf.data.ids import IdMap
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS
from ltocf.runs.config import Config
from ltocf.runs.folder import RunFolder
from ltocf.serving import TrainedModel
from ltocf.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from model_samples import OPTIONS, resealed
from samples import random_interactions

OWN = (ValueError, OSError, ArithmeticError, ImportError)
"""Errors that the command line prints as one line, except MemoryError, which a bad file must not cause."""

HEADER = ("user_id", "item_id", "rating", "timestamp", "title")
ROWS = [(f"u{u}", 100 + i, (u + i) % 5 + 1, 1_300_000_000 + 977 * u * i, f"Film {i}") for u in range(6) for i in (u, 7)]


class Reader(NamedTuple):
    """Something that reads files.

    Args:
        seeds: valid contents, the first of each kind.
        read: puts a content into a folder and reads it there.
    """

    seeds: Callable[[], list[bytes]]
    read: Callable[[bytes, Path], object]


def refused(reader: Reader, content: bytes, folder: Path) -> str | None:
    """The message of the package's own error for a content, or None if it was read; any other error is raised."""
    try:
        reader.read(content, folder)
    except (*OWN, TypeCheckError) as error:  # hints are checked under pytest only, before the package itself would look
        return f"{type(error).__name__}: {error}"
    return None


def _lines(separator: str, header: bool = True, rows: list[tuple[Any, ...]] = ROWS) -> bytes:
    lines = [HEADER, *rows] if header else rows
    return "".join(separator.join(map(str, line)) + "\n" for line in lines).encode()


def _in_file(name: str, content: bytes, folder: Path, **options: Any) -> object:
    (folder / name).write_bytes(content)
    return load_dataset(folder / name, **options).report


def _text_folder(content: bytes, folder: Path) -> object:
    train, _, test = content.partition(b"===\n")
    (folder / "train.txt").write_bytes(train)
    (folder / "test.txt").write_bytes(test)
    return load_dataset(folder)


def _frame() -> pl.DataFrame:
    return pl.DataFrame(ROWS, schema=list(HEADER), orient="row")


def _written(kind: str) -> list[bytes]:
    buffer = io.BytesIO()
    getattr(_frame(), f"write_{kind}")(buffer)
    return [buffer.getvalue()]


def _inter() -> list[bytes]:
    names = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    return [names + _lines("\t", header=False, rows=[row[:4] for row in ROWS])]


def _dat() -> list[bytes]:
    return [b"".join(b"%d::%d::%d::%d\n" % (int(row[0][1:]), *row[1:4]) for row in ROWS)]


def _items(content: bytes, folder: Path) -> object:
    (folder / "items.csv").write_bytes(content)
    return load_dataset(_frame().drop("title"), items=folder / "items.csv").report


def _database() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.db"
        database = sqlite3.connect(path)
        database.executescript("CREATE TABLE visits (user, item); INSERT INTO visits VALUES ('ann', 7), ('bob', 8)")
        database.close()
        return [path.read_bytes()]


def _query(content: bytes, folder: Path) -> object:
    (folder / "shop.db").write_bytes(content)
    return load_dataset(f"sqlite:///{folder / 'shop.db'}", query="SELECT * FROM visits")


def _configurations() -> list[bytes]:
    chosen = [Config.from_toml("", "log.csv", {"model": name}).to_toml().encode() for name in ("ltocf", "blend")]
    return [*chosen, b'[data]\nsource = "log.csv"\n[model]\nname = "pinsage"\nn_walks = 3\n']


def _configuration(content: bytes, folder: Path) -> object:
    (folder / "a.toml").write_bytes(content)
    return Config.from_file(folder / "a.toml").to_toml()


@cache
def finished_run() -> Path:
    """The folder of a small finished run, which tests must not change."""
    folder = Path(tempfile.mkdtemp(prefix="ltocf-bad-input-"))
    log = [(f"u{user}", item) for user in range(12) for item in range(15) if (user * 7 + item * 3) % 4]
    settings: dict[str, Any] = {"model": "mf", "dim": 2, "epochs": 1, "select_by": "recall@5", "show_progress": False}
    ltocf.train(log, folder / "run", **settings)
    return folder / "run"


def _of_run(name: str) -> Reader:
    """A reader of a run in which one file has the content."""

    def read(content: bytes, folder: Path) -> object:
        for file in finished_run().iterdir():
            shutil.copy(file, folder)
        (folder / name).write_bytes(content)
        run = RunFolder(folder)
        run.metrics()
        return run.config(), run.history(), run.read_data(), ltocf.evaluate_run(folder, ks=[5])

    return Reader(lambda: [(finished_run() / name).read_bytes()], read)


def _checkpoint_parts() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    model = MODELS["mf"](BipartiteGraph.from_interactions(random_interactions(6, 8)), dim=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    return model, optimizer


def _checkpoint() -> list[bytes]:
    model, optimizer = _checkpoint_parts()
    sum(parameter.square().sum() for parameter in model.parameters()).backward()  # type: ignore[union-attr]
    optimizer.step()
    with tempfile.TemporaryDirectory() as folder:
        best = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        path = Path(folder) / "checkpoint.safetensors"
        save_checkpoint(path, model, optimizer, TrainingState(3, 2, 0.25, best_weights=best), "owner")
        return [path.read_bytes()]


def _load_checkpoint(content: bytes, folder: Path) -> object:
    (folder / "checkpoint.safetensors").write_bytes(content)
    return load_checkpoint(folder / "checkpoint.safetensors", *_checkpoint_parts(), "owner")


def _store() -> list[bytes]:
    return [b"".join(name.encode() + b"\n" + data + b"\n=====\n" for name, data in _files_of_store().items())]


@cache
def _files_of_store() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        (Path(folder) / "log.csv").write_bytes(_lines(","))
        from ltocf.scale.ingest import ingest

        ingest(Path(folder) / "log.csv", store, show_progress=False)
        return {str(file.relative_to(store)): file.read_bytes() for file in sorted(store.rglob("*")) if file.is_file()}


def _of_store(name: str) -> Reader:
    def read(content: bytes, folder: Path) -> object:
        for other, data in _files_of_store().items():
            (folder / other).parent.mkdir(exist_ok=True)
            (folder / other).write_bytes(data)
        (folder / name).write_bytes(content)
        dataset = load_dataset(folder)
        return int(dataset.interactions.keys.sum()), dataset.report, dataset.names.sizes

    return Reader(lambda: [_files_of_store()[name]], read)


@cache
def _model_file(name: str) -> bytes:
    log = random_interactions(6, 8)
    model = MODELS[name](BipartiteGraph.from_interactions(log), **OPTIONS[name])
    model.prepare()
    films = pl.DataFrame({"price": [1.5, None, *range(6)], "genre": ["Drama", None, *"abcdef"]})
    names = Names(IdMap([f"u{u}" for u in range(6)]), IdMap(range(10, 18)), tuple("abcdefgh"))
    names = names if name != "ltocf" else Names(names.user_ids, names.item_ids, names.titles, films)
    with tempfile.TemporaryDirectory() as folder:
        TrainedModel(name, OPTIONS[name], model, log, names, {"seed": "0"}).save(Path(folder) / "m")
        return (Path(folder) / "m").read_bytes()


def _load_model(content: bytes, folder: Path) -> object:
    """With the checksum corrected, as an attacker would do."""
    (folder / "model.safetensors").write_bytes(resealed(content))
    trained = TrainedModel.load(folder / "model.safetensors")
    users = trained.user_ids.decode([0]) if len(trained.user_ids) else ["x"]
    return trained.recommend(users, 3, unknown="popular")


READERS: dict[str, Reader] = {
    "text-folder": Reader(lambda: [b"0 1 2 3\n1 2 4\n2 0 5\n===\n0 4\n1 0\n"], _text_folder),
    "csv": Reader(lambda: [_lines(","), _lines(";"), b'user,item\nann,"x, y"\n"b""c",7\n'], partial(_in_file, "a.csv")),
    "tsv": Reader(lambda: [_lines("\t")], partial(_in_file, "a.tsv")),
    "inter": Reader(_inter, partial(_in_file, "a.inter")),
    "dat": Reader(_dat, partial(_in_file, "ratings.dat")),
    "utf-16": Reader(lambda: [_lines(",").decode().encode("utf-16")], partial(_in_file, "a.csv")),
    "jsonl": Reader(lambda: _written("ndjson"), partial(_in_file, "a.jsonl")),
    "json": Reader(lambda: _written("json"), partial(_in_file, "a.json")),
    "gzip": Reader(lambda: [gzip.compress(_lines(","), mtime=0)], partial(_in_file, "a.csv.gz")),
    "gzip-jsonl": Reader(lambda: [gzip.compress(_written("ndjson")[0], mtime=0)], partial(_in_file, "a.jsonl.gz")),
    "arrow": Reader(lambda: _written("ipc"), partial(_in_file, "a.arrow")),
    "parquet": Reader(lambda: _written("parquet"), partial(_in_file, "a.parquet")),
    "items": Reader(lambda: [b"item_id,title,price\n100,Ran,1.5\n101,,2\n107,Up,\n"], _items),
    "database": Reader(_database, _query),
    "configuration": Reader(_configurations, _configuration),
    "run-configuration": _of_run("config.toml"),
    "run-data": _of_run("data.safetensors"),
    "run-metrics": _of_run("metrics.json"),
    "run-history": _of_run("history.jsonl"),
    "checkpoint": Reader(_checkpoint, _load_checkpoint),
    "store-index": _of_store("store.json"),
    "store-ids": _of_store("items.parquet"),
    "store-pairs": _of_store("interactions/users.npy"),
    **{f"model-{name}": Reader(partial(lambda name: [_model_file(name)], name), _load_model) for name in OPTIONS},
}
"""By name."""
ABORTING = ("parquet", "store-ids", "model-ltocf")
"""Readers of Parquet, in which one wrong bit can end the process: polars asks for more memory than there is."""
