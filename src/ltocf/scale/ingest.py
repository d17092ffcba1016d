"""Event files of any size become a store that training maps, within a limit of memory."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ltocf.data.readers.options import ReadOptions
from ltocf.data.report import ReadingReport
from ltocf.data.store import INDEX, PARTS, VERSION, WORK
from ltocf.files import (
    errors_of,
    exchange,
    locked_name,
    make_folder,
    names_beside,
    put_back,
    reach_disk,
    remove_leftovers,
    write_text,
)
from ltocf.progress import harmless, log_line, progress_bar
from ltocf.scale.merge import SPLITS, Merge, Merged
from ltocf.scale.parts import Part, kinds_of, one_report, packed, refuse_absent_values, unpacked, write_part
from ltocf.scale.pieces import find_files, pieces

logger = logging.getLogger(__name__)

LEAST_MEMORY = 512 * 1024**2
OWN_MEMORY = 256 * 1024**2
"""Memory of Python and its libraries before a row is read."""
PIECE_SHARE = 1 / 32
"""Share of the memory for the text of a piece, whose columns, ids and codes take about ten times that when read."""
MERGE_SHARE = 0.6
"""Share of the memory for DuckDB's own limit: DuckDB takes somewhat more than that."""
_REFUSED = ("items", "item_id_column", "title_column", "query", "lines_in_time", "partial")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def ingest(
    source: str | Path,
    out: str | Path,
    *,
    memory: str = "2GiB",
    split: str = "none",
    test_fraction: float = 0.2,
    threads: int = 0,
    replace: bool = False,
    show_progress: bool = True,
    **options: Any,
) -> ReadingReport:
    """Turn event files of any size into a store: a folder that every command takes as a source.

    The files are read piece by piece, each as `load_dataset` reads a table; DuckDB puts the pieces together. After an
    interruption the same call continues.

    Args:
        source: a file or a pattern like ``logs/*.csv.gz``: CSV and similar text, JSON lines, Parquet.
        out: the folder of the store, see `ltocf.data.store.open_store`.
        memory: maximum memory, like ``2GiB``; what does not fit is kept in ``out`` meanwhile.
        split: the test set. ``none``: it is made when a model is trained; ``leave-last-out``: each user's latest item;
            ``time``: the latest pairs.
        test_fraction: share of the pairs that go to the test set, for ``time``.
        threads: number of threads; 0: one for each core.
        replace: if ``out`` is a store already, make the new one in a folder beside it, which takes its place when it is
            finished; until then, or if that fails, the old one stays whole.
        show_progress: show a progress bar, or lines without a terminal.
        options: those of `ReadOptions`, except the table of items, which is given when the store is used.

    Returns:
        How the source was read.

    Raises:
        FileNotFoundError: no file matches.
        FileExistsError: ``out`` is a store that is not to be replaced, or a folder with other content; or another
            process writes it, which may be a BlockingIOError too.
        ValueError: what the readers raise, or an option out of range.
        MemoryError: ``memory`` is too little for so many threads.
        ImportError: DuckDB is not installed (extra ``scale``).

    Example:
        >>> import tempfile
        >>> from ltocf.data import load_dataset
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "log.csv").write_text("user,item\\nbob,7\\nann,7\\nbob,7\\n")
        >>> report = ingest(folder / "log.csv", folder / "store", show_progress=False)
        >>> report.n_pairs, report.n_merged
        (2, 1)
        >>> load_dataset(folder / "store").user_ids.decode([0, 1])
        ['ann', 'bob']
    """
    if replace:
        put_back(Path(out).resolve())
    if replace and (Path(out) / INDEX).exists():
        with _in_place_of(Path(out).resolve()) as new:
            return ingest(
                source,
                new,
                memory=memory,
                split=split,
                test_fraction=test_fraction,
                threads=threads,
                show_progress=show_progress,
                **options,
            )
    read_options, limit, out = _checked_options(options, split, test_fraction, threads), bytes_of(memory), Path(out)
    files = find_files(str(source))
    work = _working_folder(out)
    lock = FileLock(work / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise FileExistsError(f"another process writes {out}; wait for it, or give another folder") from error
    try:
        _refuse_store(out)  # another process may have finished it meanwhile, or been killed after its last step
        remove_leftovers(out, INDEX)
        remove_leftovers(work, "*")
        parts = _read(files, read_options, int(limit * PIECE_SHARE), work, show_progress)
        report = one_report(parts, str(source))
        refuse_absent_values(parts, read_options)
        least = (read_options.min_user_interactions or 1, read_options.min_item_interactions or 1)
        if show_progress:
            log_line(f"ingest: putting {len(parts)} parts together")
        merge = Merge(work, int((limit - OWN_MEMORY) * MERGE_SHARE), threads or os.cpu_count() or 1)
        try:
            merged = merge.run(parts, kinds_of(parts), least, split, test_fraction)
        finally:
            merge.close()
        report = _completed(report, merged, files)
        _publish(work, out, report, merged)
    finally:
        lock.release()
    shutil.rmtree(work, ignore_errors=True)  # another call may remove it at the same time
    logger.info(report.text())
    return report


def bytes_of(memory: str) -> int:
    """A size in bytes.

    Raises:
        ValueError: a text that is not a size, or less than 512 MiB.

    Example:
        >>> bytes_of("2GiB"), bytes_of("600 MB")
        (2147483648, 600000000)
    """
    found = re.fullmatch(r"(?i)\s*(\d+(?:\.\d+)?)\s*([kmg]?i?)b?\s*", memory)
    if found is None or found[2].lower() not in _UNITS:
        raise ValueError(f"`memory` must be a size like 2GiB or 600MB, got {memory!r}")
    size = int(float(found[1]) * _UNITS[found[2].lower()])
    if size < LEAST_MEMORY:
        raise ValueError(f"`memory` must be at least 512MiB, got {memory!r}")
    return size


def _checked_options(options: dict[str, Any], split: str, test_fraction: float, threads: int) -> ReadOptions:
    read_options = ReadOptions(**options)
    if threads < 0:
        raise ValueError(f"`threads` must be >= 0, got {threads}")
    if split not in SPLITS:
        raise ValueError(f"`split` must be one of {', '.join(SPLITS)}, got {split!r}; `train` makes others")
    if not 0 < test_fraction < 1:
        raise ValueError(f"`test_fraction` must be between 0 and 1, both excluded, got {test_fraction}")
    if refused := [name for name in _REFUSED if name in read_options.given()]:
        remedy = "give it when the store is used" if refused[0] in _REFUSED[:3] else "leave it out"
        raise ValueError(f"`{refused[0]}` is not an option of ingest; {remedy}")
    return read_options


@contextmanager
def _in_place_of(out: Path) -> Iterator[Path]:
    """A folder beside ``out`` that takes its place when the block ends well; its name is the same when called again."""
    foreign = {file.name for file in out.iterdir()} - {INDEX, WORK, "users.parquet", "items.parquet", *PARTS}
    if foreign:
        raise FileExistsError(f"{out} is not replaced: {min(foreign)} in it is no file of a store; move it away first")
    new, _ = names_beside(out)
    with locked_name(out):
        if (new / INDEX).exists():  # finished, perhaps with other arguments, by a call that was then killed
            shutil.rmtree(new)
        yield new
        exchange(out)


def _working_folder(out: Path) -> Path:
    """A hidden folder in ``out`` for unfinished files."""
    work = out / WORK
    if not work.exists():
        _refuse_store(out)
    if out.exists() and not work.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} exists and is not empty; give a new folder")
    make_folder(work)
    return work


def _refuse_store(out: Path) -> None:
    if (out / INDEX).exists():
        shutil.rmtree(out / WORK, ignore_errors=True)
        raise FileExistsError(f"{out} is already a store; give another folder, or `replace` it")


def _read(files: list[Path], options: ReadOptions, n_bytes: int, work: Path, show_progress: bool) -> list[Part]:
    """A part for each piece; parts that an interrupted call had written are used again."""
    arguments: dict[str, Any] = {"version": VERSION, "n_bytes": n_bytes, "options": repr(options)}
    arguments["files"] = [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    state = work / "progress.jsonl"
    parts = _earlier_parts(state, arguments)
    n_bytes_of = {file: file.stat().st_size for file in files}
    n_total = max(1, sum(n_bytes_of.values()))
    n_before = dict(zip(files, accumulate(n_bytes_of.values(), initial=0), strict=False))
    with state.open("a", encoding="utf-8") as journal, progress_bar(enabled=show_progress) as bar:
        task, tenths = bar.add_task("ingest", total=n_total, note=""), 0
        every_piece = (piece for file in files for piece in pieces(file, options, n_bytes))
        for number, piece in enumerate(every_piece):
            if number >= len(parts):
                part = write_part(piece, options, work / f"part-{number:06}.parquet")
                parts.append(part)
                with errors_of(state):
                    journal.write(json.dumps(packed(part)) + "\n")
                    journal.flush()
            n_read = n_before[piece.path] + int(piece.done * n_bytes_of[piece.path])
            bar.update(task, completed=n_read, note=harmless(piece.path.name))
            if show_progress and n_read * 10 // n_total > tenths:
                tenths = n_read * 10 // n_total
                log_line(f"ingest: {tenths * 10} % of the files read")
    return parts


def _earlier_parts(state: Path, arguments: dict[str, Any]) -> list[Part]:
    """The parts of an earlier call with the same arguments; the parts of any other call are removed.

    The first line of ``state`` holds the arguments, each further line a part; a call that was killed may have left half
    of the last line.
    """
    lines = state.read_text(encoding="utf-8").splitlines() if state.exists() else []
    parts: list[Part] = []
    if lines and _record(lines[0]) == arguments:
        for record in map(_record, lines[1:]):
            part = None if record is None else _part(record)
            if part is None or (part.file and not (state.parent / part.file).exists()):
                break
            parts.append(part)
    if parts:
        logger.info("continues after %d parts that exist already", len(parts))
    # First the list, then the parts: the list must never name parts that do not exist.
    write_text(state, "".join(f"{json.dumps(record)}\n" for record in (arguments, *map(packed, parts))))
    for file in {path.name for path in state.parent.glob("part-*.parquet")} - {part.file for part in parts}:
        (state.parent / file).unlink()
    return parts


def _part(record: dict[str, Any]) -> Part | None:
    """The part that a line of the list describes; None if it describes none or names a file elsewhere."""
    try:
        part = unpacked(record)
    except (KeyError, TypeError, ValueError):
        return None
    return part if re.fullmatch(r"(part-\d+\.parquet)?", str(part.file)) else None


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _completed(report: ReadingReport, merged: Merged, files: list[Path]) -> ReadingReport:
    return replace(
        report,
        format=report.format if len(files) == 1 else f"{len(files)} files, {report.format}",
        n_pairs=merged.sizes["interactions"] + merged.sizes.get("test", 0),
        # A pair that several pieces share was counted once in each.
        n_merged=report.n_merged + report.n_pairs - merged.n_positive,
        n_also_seen=merged.sizes.get("also_seen", 0),
        notes=(*report.notes, *merged.notes),
    )


def _publish(work: Path, out: Path, report: ReadingReport, merged: Merged) -> None:
    """Move the finished files to their places, the index last, so that a store is whole or absent."""
    for name in ("users.parquet", "items.parquet", *merged.sizes):
        target = out / name
        reach_disk(work / name)
        if target.is_dir():
            shutil.rmtree(target)
        (work / name).replace(target)
    reach_disk(out)  # the names of the files, before the index that refers to them
    index = {"version": VERSION, "sizes": merged.sizes, "report": report.record()}
    write_text(out / INDEX, json.dumps(index, indent=1) + "\n", makes_folder=False)
