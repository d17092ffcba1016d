"""The folder of one run: its configuration, its history, and its results."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from ltocf.data import Split
from ltocf.evaluation import PerUserMetrics
from ltocf.files import (
    errors_of,
    locked_folder,
    make_folder,
    reach_disk,
    remove_leftovers,
    replacing,
    save_arrays,
    write_text,
)
from ltocf.runs.changes import refuse_changes
from ltocf.runs.config import Config
from ltocf.runs.data_file import RunData, configuration_of, read_data, write_data
from ltocf.runs.leftovers import (
    DIVERGED,
    RUN_FILES,
    has_diverged,
    remove_diverged,
    removing_if_empty,
    removing_if_not_begun,
)

_EPOCH_FIELDS: dict[str, tuple[type, ...]] = {"phase": (str,), "epoch": (int,), "seconds": (int, float)}
"""Fields of every record of the history, with their types."""


class RunFolder:
    """Paths and files of a run; every file is replaced as a whole, except that the history grows by lines.

    Files: ``config.toml``, ``data.safetensors`` (split and ids), ``reading.txt`` (how the source was read),
    ``history.jsonl``, ``metrics.json``, ``test-users.safetensors`` (the metrics of every test user),
    ``model.safetensors`` (trained on the whole training set), ``model-selection.safetensors`` (trained without the
    validation set), until the run is finished ``checkpoint-*.safetensors`` and, of several processes, folders with
    their shares, and in a run that diverged the batch at which it did, ``diverged.safetensors``.

    Raises:
        FileNotFoundError: the folder holds no run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.toml"
        self.data_file = self.path / "data.safetensors"
        self.history_file = self.path / "history.jsonl"
        self.metrics_file = self.path / "metrics.json"
        self.test_users_file = self.path / "test-users.safetensors"
        self.model_file = self.path / "model.safetensors"
        self.selection_model_file = self.path / "model-selection.safetensors"
        self.diverged_file = self.path / DIVERGED
        if not self.config_file.exists():
            raise FileNotFoundError(f"{self.path} holds no run (no config.toml); `ltocf train ... --out DIR` makes one")

    @classmethod
    def refuse_used(cls, path: str | Path) -> None:
        """Refuse a path at which no run can be started; one that diverged may be replaced.

        Raises:
            FileExistsError: the folder holds a run, which is never overwritten, or what is left of one.
            NotADirectoryError: the path is a file.
        """
        path = Path(path)
        if path.exists() and not path.is_dir():
            raise NotADirectoryError(f"{path} is a file; choose a folder for the run")
        if has_diverged(path):
            return
        if (path / "config.toml").exists():
            raise FileExistsError(
                f"{path} already holds a run; continue it with `ltocf train --resume {path}` or choose another `out`"
            )
        if left := sorted(file.name for file in path.glob("*.safetensors")):
            raise FileExistsError(
                f"{path} holds {left[0]} of a run without its config.toml; remove what is left or choose another `out`"
            )

    @classmethod
    @contextmanager
    def started(cls, path: str | Path, config: Config) -> Iterator[RunFolder]:
        """A new run in an empty or new folder, which is locked within the block.

        If the block ends in an error of settings or memory before the first epoch, all files of the run are removed.

        Raises:
            FileExistsError, NotADirectoryError: see `refuse_used`.
            BlockingIOError: another process is at work in the folder.
        """
        make_folder(Path(path))
        with removing_if_empty(Path(path)), locked_folder(Path(path)):
            cls.refuse_used(path)
            remove_leftovers(Path(path), *RUN_FILES)
            if has_diverged(Path(path)):
                remove_diverged(Path(path))
            write_text(Path(path) / "config.toml", config.to_toml())
            with removing_if_not_begun(Path(path)):
                yield cls(path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder within the block; the lock of a process that died is free.

        Raises:
            BlockingIOError: another process is at work in the folder.
        """
        with locked_folder(self.path):
            remove_leftovers(self.path, *RUN_FILES)
            yield

    @property
    def finished_model_file(self) -> Path:
        """The model trained on the whole training set.

        Raises:
            FileNotFoundError: the run is not finished.
        """
        if not self.model_file.exists():
            self.metrics()
        return self.model_file

    def config(self) -> Config:
        """The configuration of the run.

        Raises:
            ValueError: ``config.toml`` was edited after the run was started, in a setting that changes its result.
        """
        config = Config.from_file(self.config_file, complete=True)
        if self.data_file.exists() and (before := configuration_of(self.data_file)):
            refuse_changes(self.config_file, Config.from_toml(before, complete=True), config)
        return config

    def fingerprint(self, split: Split) -> str:
        """A digest of the settings and the split that determine the result; binds checkpoints to them."""
        content = [self.config().that_matters(), split.digest]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def checkpoint_file(self, phase: str) -> Path:
        return self.path / f"checkpoint-{phase.replace(' ', '-')}.safetensors"

    def write_data(self, data: RunData) -> None:
        self.ensure_present()
        if data.report is not None:
            write_text(self.path / "reading.txt", data.report.text() + "\n")
        write_data(self.data_file, data, self.config_file.read_text(encoding="utf-8"))

    def read_data(self) -> RunData:
        return read_data(self.data_file)

    def history(self) -> list[dict[str, Any]]:
        """One record per epoch; a last line that a crash left incomplete is ignored.

        Raises:
            ValueError: a line is no record of an epoch.
        """
        if not self.history_file.exists():
            return []
        try:
            text = self.history_file.read_text(encoding="utf-8")
            rows = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.history_file} is damaged: {error}") from error
        for number, row in enumerate(rows, start=1):
            if not isinstance(row, dict) or not all(
                isinstance(row.get(name, 0), kinds) for name, kinds in _EPOCH_FIELDS.items()
            ):
                raise ValueError(f"{self.history_file} is damaged: line {number} is no record of an epoch")
        return rows

    def ensure_present(self) -> RunFolder:
        """The folder itself, checked before a write that would make a removed folder again with a part of a run.

        Raises:
            FileNotFoundError: the folder was removed while the run was at work.
        """
        if not self.config_file.exists():
            raise FileNotFoundError(f"{self.path} was removed while a run was at work in it: No such file or directory")
        return self

    def add_history(self, record: dict[str, Any]) -> None:
        with errors_of(self.history_file), self.history_file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def cut_history(self, phase: str, epoch: int) -> None:
        """Drop ``epoch`` of ``phase`` and all records after it: a resumed run writes them again."""
        self.ensure_present()
        rows = self.history()
        dropped = [place for place, row in enumerate(rows) if row["phase"] == phase and row["epoch"] >= epoch]
        kept = rows[: dropped[0]] if dropped else rows
        write_text(self.history_file, "".join(json.dumps(row) + "\n" for row in kept))

    def flush_history(self) -> None:
        """Put the history onto the disk, before a file that must not be ahead of it."""
        self.ensure_present()
        if self.history_file.exists():
            reach_disk(self.history_file)

    def write_test_users(self, measured: PerUserMetrics) -> None:
        """Write what a significance test between two runs needs: user indices and, by metric, their values."""
        arrays = {name: values.numpy().astype(np.float32) for name, values in measured.values.items()}
        with replacing(self.test_users_file, makes_folder=False) as temporary:
            save_arrays(save_file, {"users": measured.users.numpy(), **arrays}, temporary)

    def metrics(self) -> dict[str, Any]:
        if not self.metrics_file.exists():
            raise FileNotFoundError(f"{self.path} is not finished; continue it with `ltocf train --resume {self.path}`")
        try:
            metrics: dict[str, Any] = dict(json.loads(self.metrics_file.read_text(encoding="utf-8")).items())
        except (ValueError, AttributeError, RecursionError) as error:
            raise ValueError(
                f"{self.metrics_file} is damaged: {error}; remove it and measure again by "
                f"`ltocf train --resume {self.path}`"
            ) from error
        return metrics

    def write_metrics(self, metrics: dict[str, Any]) -> None:
        self.flush_history()
        write_text(self.metrics_file, json.dumps(metrics, indent=2) + "\n")
