"""``ltocf ingest``: event files of any size become a store that every command takes as a source."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ltocf.cli.calling import command
from ltocf.cli.output import say
from ltocf.cli.reading import Reading


def ingest(
    source: str,
    /,
    out: Path,
    *,
    memory: str = "2GiB",
    split: Literal["none", "leave-last-out", "time"] = "none",
    test_fraction: float = 0.2,
    threads: int = 0,
    replace: Annotated[bool, Parameter(negative="")] = False,
    reading: Reading | None = None,
) -> None:
    """Turn event files of any size into a store on disk, within a limit of memory.

    Parameters
    ----------
    source
        A file or a pattern like 'logs/*.csv.gz': CSV and similar text, JSON lines, Parquet.
    out
        The folder of the store; after an interruption the same command continues.
    memory
        Maximum memory, like 2GiB.
    split
        The test set: none leaves it to training, leave-last-out takes each user's latest item, time the latest pairs.
    test_fraction
        Share of the pairs that go to the test set, for --split time.
    threads
        Number of threads; 0: one for each core.
    replace
        If the folder is a store already, make a new one, which takes its place when it is finished.
    """
    from ltocf.scale.ingest import ingest

    options = (reading or Reading()).options()
    ingest(
        source,
        out,
        memory=memory,
        split=split,
        test_fraction=test_fraction,
        threads=threads,
        replace=replace,
        **options,
    )
    say(f"next: {command('train', out, '--out', Path('runs', out.name))}")
