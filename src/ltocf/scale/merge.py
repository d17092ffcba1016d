"""Parts of a log put together by DuckDB within a limit of memory: distinct pairs, k-core, split, order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ltocf.data.report import counted
from ltocf.data.store import VALUES
from ltocf.files import errors_of
from ltocf.installation import needs_extra
from ltocf.scale.parts import SIDES, Part

if TYPE_CHECKING:
    import duckdb

SPLITS = ("none", "leave-last-out", "time")
ROWS_AT_A_TIME = 1 << 20
_TYPES = {"integers": "BIGINT", "strings": "VARCHAR"}


@dataclass(frozen=True)
class Merged:
    """The result of a merge.

    Args:
        sizes: number of pairs of each set in the store.
        n_positive: number of distinct interactions before users and items with too few were left out.
        notes: sentences for the report.
    """

    sizes: dict[str, int]
    n_positive: int
    notes: tuple[str, ...]


class Merge:
    """The steps of a merge, over tables in a DuckDB file.

    Args:
        folder: the folder of the file and of what does not fit into memory.
        memory: limit of DuckDB's own memory, in bytes.
        threads: number of threads.

    Raises:
        ImportError: DuckDB is not installed.
    """

    def __init__(self, folder: Path, memory: int, threads: int) -> None:
        try:
            import duckdb
        except ImportError as error:
            raise needs_extra("`ltocf ingest` needs", "scale") from error
        file = folder / "merge.duckdb"
        file.unlink(missing_ok=True)
        with errors_of(file):
            self.connection: duckdb.DuckDBPyConnection = duckdb.connect(str(file))
        for setting, value in (
            ("memory_limit", f"{memory}B"),
            ("temp_directory", str(folder / "spilled")),
            ("threads", threads),
            ("preserve_insertion_order", "false"),
            ("enable_progress_bar", "false"),
        ):
            self.connection.execute(f"SET {setting} = {_quoted(str(value))}")
        self.folder, self.notes, self.out_of_memory = folder, list[str](), duckdb.OutOfMemoryException

    def run(
        self, parts: Sequence[Part], kinds: Sequence[str], least: tuple[int, int], split: str, test_fraction: float
    ) -> Merged:
        """All steps, from the parts in the folder to sorted pairs in the same folder.

        Args:
            parts: see `write_part`.
            kinds: types of the ids of both sides.
            least: number of interactions that every user and every item must have.
            split: see `SPLITS`.
            test_fraction: share of the pairs that go to the test set, for ``time``.

        Raises:
            ValueError: nothing is left, or there are no timestamps for the split.
            MemoryError: DuckDB needs more memory.
        """
        self._collect(parts, kinds)
        n_positive = self._count("pairs WHERE positive")
        self._core(least, n_positive)
        self._number()
        self._split(split, test_fraction, any(part.timed for part in parts))
        sizes = {"interactions": self._write("interactions", "positive AND NOT is_test")}
        for part, rule in (("test", "positive AND is_test"), ("also_seen", "NOT positive")):
            if self._count(f"numbered WHERE {rule}"):
                sizes[part] = self._write(part, rule)
        return Merged(sizes, n_positive, tuple(self.notes))

    def close(self) -> None:
        """Close the file, so that the folder can be removed."""
        self.connection.close()

    def _collect(self, parts: Sequence[Part], kinds: Sequence[str]) -> None:
        """Distinct pairs of codes; the earliest time stays, weights add up, as in `Interactions.from_pairs`."""
        ids = [f"CAST({side} AS {_TYPES[kind]}) AS {side}" for side, kind in zip(SIDES, kinds, strict=True)]
        # One query for the files of each type: DuckDB takes the types of the first file.
        groups: dict[tuple[str, ...], list[str]] = {}
        for part in (part for part in parts if part.file):
            groups.setdefault(part.kinds, []).append(str(self.folder / part.file))
        selects = [
            f"SELECT {', '.join(ids)}, seconds, weight, positive"
            f" FROM read_parquet([{', '.join(map(_quoted, files))}], union_by_name = true)"
            for files in groups.values()
        ]
        self._do(f"CREATE VIEW events AS {' UNION ALL '.join(selects)}")
        for side in SIDES:
            self._do(
                f"CREATE TABLE {side}_codes AS SELECT id, (row_number() OVER () - 1)::INT AS code"
                f" FROM (SELECT DISTINCT {side} AS id FROM events)"
            )
        self._do(
            "CREATE TABLE pairs AS SELECT u.code AS user_code, i.code AS item_code,"
            " min(seconds) FILTER (positive) AS seconds, sum(weight) FILTER (positive) AS weight,"
            " bool_or(positive) AS positive"
            " FROM events JOIN user_codes u ON events.user = u.id JOIN item_codes i ON events.item = i.id"
            " GROUP BY ALL"
        )

    def _core(self, least: tuple[int, int], n_before: int) -> None:
        """Leave out users and items with too few interactions until there are none."""
        if max(least) <= 1:
            return
        n_left, n_previous = n_before, n_before + 1
        while n_left < n_previous:
            n_previous = n_left
            enough = " AND ".join(
                f"{side}_code IN (SELECT {side}_code FROM pairs WHERE positive GROUP BY {side}_code"
                f" HAVING count(*) >= {number})"
                for side, number in zip(SIDES, least, strict=True)
            )
            self._do(f"CREATE TABLE kept AS SELECT * FROM pairs WHERE NOT positive OR ({enough})")
            self._do("DROP TABLE pairs")
            self._do("ALTER TABLE kept RENAME TO pairs")
            n_left = self._count("pairs WHERE positive")
        rule = " and ".join(f"{number} of each {side}" for side, number in zip(SIDES, least, strict=True))
        if not n_left:
            raise ValueError(f"at least {rule} must leave an interaction, got none of {counted(n_before, 'pair')}")
        self.notes.append(f"at least {rule}: {counted(n_before - n_left, 'pair')} left out")

    def _number(self) -> None:
        """Number the users and items that have an interaction, in the order of their ids."""
        for side in SIDES:
            present = f"SELECT DISTINCT {side}_code AS code FROM pairs WHERE positive"
            self._do(
                f"CREATE TABLE {side}s AS SELECT id, code, (row_number() OVER (ORDER BY id) - 1)::INT AS place"
                f" FROM {side}_codes SEMI JOIN ({present}) USING (code)"
            )
            self._copy(f"SELECT id FROM {side}s ORDER BY place", f"{side}s.parquet")
        self._do(
            "CREATE TABLE numbered AS SELECT u.place AS user, i.place AS item, seconds, weight, positive,"
            " false AS is_test FROM pairs JOIN users u ON user_code = u.code JOIN items i ON item_code = i.code"
        )
        if lost := self._count("pairs WHERE NOT positive") - self._count("numbered WHERE NOT positive"):
            self.notes.append(f"{counted(lost, 'seen pair')} of users or items without an interaction left out")
        self._do("DROP TABLE pairs")

    def _split(self, split: str, fraction: float, timed: bool) -> None:
        """Mark the test set, as `leave_last_out` and `time_split` do."""
        if split == "none":
            return
        if not timed:
            raise ValueError(
                f"the split {split!r} needs timestamps; pass `timestamp_column`, or leave `split` at 'none'"
            )
        n_pairs = self._count("numbered WHERE positive")
        if split == "time":
            n_test = max(1, round(fraction * n_pairs))
            latest = f"SELECT seconds FROM numbered WHERE positive ORDER BY seconds DESC LIMIT {n_test}"
            cut = self._value(f"SELECT min(seconds) FROM ({latest})")
            self._do(f"UPDATE numbered SET is_test = true WHERE positive AND seconds >= {cut}")
        else:
            latest = (
                "SELECT user, max_by(item, (seconds, item)) AS item FROM numbered WHERE positive"
                " GROUP BY user HAVING count(*) > 1"
            )
            self._do(
                f"UPDATE numbered SET is_test = true FROM ({latest}) AS latest"
                " WHERE positive AND numbered.user = latest.user AND numbered.item = latest.item"
            )
        n_moved = self._count("numbered WHERE is_test")
        if n_moved in (0, n_pairs):
            raise ValueError(
                f"the split {split!r} must leave pairs on both sides, got {n_moved:,} of {n_pairs:,} in test"
            )
        self.notes.append(f"split {split}: {counted(n_moved, 'pair')} in the test set")

    def _write(self, part: str, rule: str) -> int:
        """Write sorted pairs as one array for each kind of value, in a folder of this name; the number of pairs."""
        columns = {"users": "user", "items": "item", "timestamps": "seconds", "weights": "weight"}
        sorted_file = self._copy(f"SELECT * FROM numbered WHERE {rule} ORDER BY user, item", f"{part}.parquet")
        rows = pl.scan_parquet(sorted_file, glob=False)
        n_rows = self._count(f"numbered WHERE {rule}")
        present = {"users", "items"}
        if part != "also_seen":
            counts = self.connection.execute(
                f"SELECT count(seconds), count(weight) FROM numbered WHERE {rule}"
            ).fetchone()
            present |= {name for name, n in zip(("timestamps", "weights"), counts or (), strict=True) if n == n_rows}
        (self.folder / part).mkdir(exist_ok=True)
        for name in sorted(present):
            write_array(self.folder / part / f"{name}.npy", rows.select(columns[name]), n_rows, VALUES[name])
        sorted_file.unlink()
        return n_rows

    def _copy(self, query: str, name: str) -> Path:
        file = self.folder / name
        self._do(f"COPY ({query}) TO {_quoted(str(file))} (FORMAT parquet)")
        return file

    def _do(self, statement: str) -> None:
        try:
            with errors_of(self.folder):
                self.connection.execute(statement)
        except self.out_of_memory as error:
            first_line = str(error).splitlines()[0]
            raise MemoryError(
                f"`memory` must be more, or `threads` fewer, to put the parts together: {first_line}; with fewer "
                "threads the same call continues after what is read"
            ) from error

    def _count(self, table_and_rule: str) -> int:
        return int(self._value(f"SELECT count(*) FROM {table_and_rule}"))

    def _value(self, query: str) -> Any:
        row = self.connection.execute(query).fetchone()
        assert row is not None
        return row[0]


def write_array(file: Path, column: pl.LazyFrame, n_rows: int, kind: type[np.int64 | np.float32]) -> None:
    """Write one column as an ``.npy`` file, some rows at a time.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "a.npy"
        >>> write_array(file, pl.LazyFrame({"a": [1, 2]}), 2, np.int64)
        >>> np.load(file).tolist()
        [1, 2]
    """
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(kind)), "fortran_order": False, "shape": (n_rows,)}
    with errors_of(file), file.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for first in range(0, n_rows, ROWS_AT_A_TIME):
            out.write(column.slice(first, ROWS_AT_A_TIME).collect().to_series().to_numpy().astype(kind).tobytes())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
