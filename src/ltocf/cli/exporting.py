"""``ltocf export``: vectors with ids for other programs, or the model as a folder for the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ltocf.cli.output import say

Target = Literal["parquet", "numpy", "faiss", "qdrant", "lancedb", "pgvector", "hub"]


def export(folder: Path, /, out: Path, *, to: Target, license: str | None = None) -> None:
    """Write the vectors of users and items for other programs and vector databases, or the model for the Hub.

    Parameters
    ----------
    folder
        A run, or a model file.
    out
        A new folder; for numpy an .npz file, for pgvector an .sql file.
    to
        Where to: faiss, qdrant and lancedb need the `export` extra. hub writes the whole model instead of its vectors,
        as a folder for the Hugging Face Hub with a card of what was measured; `ltocf recommend DIR` reads it too.
    license
        For --to hub: the licence that the card names, by an identifier of the Hub such as apache-2.0; default: none.
    """
    from ltocf.runs import experiment

    if to == "hub":
        written = experiment.export_to_hub(folder, out, license=license)
        say(f"wrote {', '.join(sorted(file.name for file in written.iterdir()))} to {written}")
        say("the model file holds the training pairs with all ids: share it only if you may share these")
        return
    if license is not None:
        raise ValueError(f"`license` is for the card of a folder for the Hub, got {license!r} for {to}; leave it out")
    done = experiment.load(folder).export(out, to)
    say(f"wrote {done.n_users:,} users and {done.n_items:,} items of {done.dim} numbers to {done.path}")
    say(f"its search finds {done.recall:.2%} of the exact lists for {done.measured} users, seen items left out")
