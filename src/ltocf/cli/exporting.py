"""``ltocf export``: vectors with ids for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ltocf.cli.output import say

Target = Literal["parquet", "numpy", "faiss", "qdrant", "lancedb", "pgvector"]


def export(folder: Path, /, *, to: Target, out: Path) -> None:
    """Write the vectors of users and items for other programs and vector databases.

    Parameters
    ----------
    folder
        A run, or a model file.
    to
        Where to: all but parquet, numpy and pgvector need the `export` extra.
    out
        A new folder; for numpy an .npz file, for pgvector an .sql file.
    """
    from ltocf.runs import experiment

    done = experiment.load(folder).export(out, to)
    say(f"wrote {done.n_users:,} users and {done.n_items:,} items of {done.dim} numbers to {done.path}")
    say(f"its search finds {done.recall:.2%} of the exact lists of {done.measured} users, seen items left out")
