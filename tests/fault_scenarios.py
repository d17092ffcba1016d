"""Commands in which faults are planted: the folder each starts from, how it is continued, and what it must leave."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fault_server import FaultServer
from ltocf.files import read_arrays
from reproduce_fixtures import QUICK

SMALL = ("--epochs", "3", "--threads", "1", "--set", "validate_every=1")
OPTIONS: dict[str, tuple[str, ...]] = {
    "ltocf": ("--preset", "paper", "--set", "dim=4", *SMALL),
    "spectral": ("--set", "rank=4", "--threads", "1"),
    "ease": ("--threads", "1"),
    "item-knn": ("--threads", "1"),
    "history-regression": ("--set", "rank=4", "--threads", "1"),
    "sequence-knn": ("--threads", "1"),
    "als": ("--set", "dim=4", "--threads", "1"),
    "auto": ("--threads", "1"),
    "neumf": ("--set", "dim=4", *SMALL),
    "ngcf": ("--set", "dim=4", *SMALL),
    "mult-vae": SMALL,
    "cmn": ("--set", "dim=4", *SMALL),
    "pinsage": ("--set", "dim=4", *SMALL),
}
"""Models to train, at least one of every kind, with options that make them small."""
CELL = "--dataset log.csv --models mf"


@dataclass(frozen=True)
class Work:
    """A command, called in a folder that `Scenes.fresh` has filled.

    Args:
        name: what it is called in figures and messages.
        arguments: of the command line.
        run: the run folder that ``train --resume`` continues, or "".
        finished: the file that exists when nothing is left to do, or "" if the command may always be called again.
        litter: folders in which a killed process may leave a hidden file: nobody locks them.
        prints: whether what it prints is its result.
        every: one in this many of its changes of files is tested; above 1 where a call takes seconds.
    """

    name: str
    arguments: tuple[str, ...]
    run: str = ""
    finished: str = ""
    litter: tuple[str, ...] = ()
    prints: bool = False
    every: int = 1

    def again(self, folder: Path) -> tuple[str, ...] | None:
        """The arguments that continue it after an interruption; None if nothing is left to do."""
        if self.finished and (folder / self.finished).exists():
            return None
        if self.run and (folder / self.run / "config.toml").exists():
            return ("train", "--resume", self.run)
        return self.arguments


def _work(name: str, line: str, *more: str, **facts: Any) -> Work:
    return Work(name, (*line.split(), *more), **facts)


TRAININGS = [
    _work(f"train {name}", f"train log.csv --out run --model {name}", *options, run="run")
    for name, options in OPTIONS.items()
]
OTHERS = [
    _work("fit", "fit log.csv --out run --model lightgcn --set dim=4", *SMALL, run="run"),
    _work("evaluate", "evaluate base --k 5,10 --format json", prints=True),
    _work("search", f"reproduce search {CELL} --grid l2=0.1,0.01", litter=("configs/log",)),
    _work("table3", f"reproduce table3 {CELL} --run-long", litter=("results/reports",), every=5),
    _work("ingest", "ingest log.csv store --threads 1", finished="store/store.json"),
    _work("recommend-all", "recommend-all base lists --k 5 --workers 1 --users-per-part 8"),
    _work("update", "update base day.csv --out next --epochs 2", finished="next/metrics.json"),
    _work("export parquet", "export base out --to parquet", finished="out"),
    _work("export numpy", "export base out.npz --to numpy"),
    _work("export hub", "export base out --to hub", finished="out"),
    _work("train --replace", "train log.csv --out base --replace --model lightgcn --set dim=4 --seed 1", *SMALL),
]
BASE = ("train", "log.csv", "--out", "base", "--model", "lightgcn", "--set", "dim=4", *SMALL)
"""The command that makes the run from which other commands start."""
WORKS = {work.name: work for work in (*TRAININGS, *OTHERS)}


class Scenes:
    """Folders in which commands are disturbed, and what each command leaves undisturbed.

    Args:
        server: runs the commands.
        root: an empty folder.
    """

    def __init__(self, server: FaultServer, root: Path) -> None:
        self.server, self.root = server, root
        self.template = root / "template"
        self.template.mkdir()
        self._undisturbed: dict[str, tuple[dict[str, Any], float]] = {}
        draw = random.Random(0)
        visits = [(user, item) for user in range(24) for item in sorted(draw.sample(range(30), 8))]
        lines = [f"u{user},{item},{10**9 + draw.randrange(10**7)}" for user, item in visits]
        (self.template / "log.csv").write_text("\n".join(["user,item,timestamp", *lines, ""]))
        day = ("user,item,timestamp", "u3,4,1020000000", "new,7,1020000001", "u1,99,1020000002", "")
        (self.template / "day.csv").write_text("\n".join(day))
        cell = self.template / "configs" / "log" / "mf.toml"
        cell.parent.mkdir(parents=True)
        cell.write_text(QUICK.format(model="mf", options="", learning_rate=0.01))
        server.done(BASE, self.template)

    def fresh(self, work: Work, name: str = "") -> Path:
        """The folder from which a command starts. Results contain paths, so its name is the same every time."""
        folder = self.root / (name or work.name.replace(" ", "_"))
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.template, folder)
        return folder

    def undisturbed(self, work: Work) -> tuple[dict[str, Any], float]:
        """What the command leaves, and how many seconds it took."""
        if work.name not in self._undisturbed:
            folder = self.fresh(work)
            started = time.monotonic()
            said = self.server.done(work.arguments, folder)
            seconds = time.monotonic() - started
            found = contents(folder) | ({"printed": json.loads(said)} if work.prints else {})
            self._undisturbed[work.name] = found, seconds
        return self._undisturbed[work.name]

    def finish(self, work: Work, folder: Path) -> None:
        """Call the command again, and compare what it leaves with what an undisturbed call leaves."""
        read_everything(folder)
        expected, _ = self.undisturbed(work)
        if (again := work.again(folder)) is not None:
            said = self.server.done(again, folder)
        else:
            code, said = self.server.run(work.arguments, folder)
            assert code == 2, said
            assert "already" in said, said
        found = contents(folder) | ({"printed": json.loads(said)} if work.prints else {})
        left = {name for name in found if name.endswith(".part") and name.rpartition("/")[0] in work.litter}
        differences = [name for name in {*expected, *found} - left if expected.get(name) != found.get(name)]
        assert not differences, f"{work.name}: {sorted(differences)} differ from those of an undisturbed call"


def contents(folder: Path) -> dict[str, Any]:
    """Every file by its path: its bytes, or its JSON without seconds and peaks of memory."""
    found: dict[str, Any] = {}
    for file in sorted(folder.rglob("*")):
        if file.is_dir() or file.name.endswith(".lock"):
            continue
        name = str(file.relative_to(folder))
        if name.startswith("results/reports"):  # pages contain seconds
            found[name] = "there"
        elif file.suffix in (".json", ".jsonl"):
            found[name] = [_lasting(json.loads(text)) for text in _documents(file)]
        else:
            found[name] = file.read_bytes()
    return found


ASIDE = ("memory", "commit")
"""Peaks of memory; and the commit, for which git is started, which needs more open files."""


def _documents(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8")
    return text.splitlines() if file.suffix == ".jsonl" else [text]


def _lasting(content: Any) -> Any:
    """JSON without what differs from one call to the next."""
    if isinstance(content, dict):
        kept = {name: value for name, value in content.items() if "seconds" not in name and name not in ASIDE}
        return {name: _lasting(value) for name, value in kept.items()}
    return [_lasting(one) for one in content] if isinstance(content, list) else content


def read_everything(folder: Path) -> int:
    """Read every file that is not hidden, as another program might while it is written; return how many.

    Raises:
        ValueError and others: a file is incomplete.
    """
    n_read = 0
    # `os.walk` skips folders that are removed meanwhile.
    for file in sorted(Path(top) / name for top, _, names in os.walk(folder) for name in names):
        if any(part.startswith(".") for part in file.relative_to(folder).parts):
            continue
        if (reader := READERS.get(file.suffix)) is None:
            continue
        try:
            reader(file)
        except FileNotFoundError:  # removed meanwhile
            continue
        n_read += 1
    return n_read


def _lines(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    for line in text[: text.rfind("\n") + 1].splitlines():  # the last line is being written
        json.loads(line)


READERS: dict[str, Any] = {
    ".json": lambda file: json.loads(file.read_text(encoding="utf-8")),
    ".jsonl": _lines,
    ".toml": lambda file: tomllib.loads(file.read_text(encoding="utf-8")),
    ".safetensors": read_arrays,
    ".parquet": lambda file: pl.read_parquet(file, glob=False),
    ".npy": lambda file: np.load(file, allow_pickle=False),
    ".npz": lambda file: dict(np.load(file, allow_pickle=False)),
}
