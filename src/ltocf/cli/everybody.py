"""``ltocf recommend-all``: lists for everybody, in files that several processes or machines write."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ltocf.cli.ids import Ids, ids_of
from ltocf.cli.output import say


def recommend_all(
    folder: Path,
    /,
    out: Path,
    *,
    k: int = 10,
    only: Ids = None,
    exclude: Ids = None,
    where: str | None = None,
    unknown: Literal["popular", "skip"] = "popular",
    include_seen: Annotated[bool, Parameter(negative="")] = False,
    engine: Literal["processes", "ray"] = "processes",
    workers: int = 0,
    users_per_part: int = 20_000,
) -> None:
    """Write the lists of all users to Parquet files, by several processes or a Ray cluster.

    Parameters
    ----------
    folder
        A run, or a model file.
    out
        The folder of the files; after an interruption the same command continues.
    k
        Items per user.
    only
        The only items that may be listed: ids separated by commas, or a file of them.
    exclude
        Items that may not be listed: ids separated by commas, or a file of them.
    where
        A condition on the attributes of items, as in SQL: "price < 20 AND genre = 'Drama'".
    unknown
        What a user without a history gets: the most popular items, or an empty list.
    include_seen
        List also the items that the user touched in the training data.
    engine
        processes on this machine, or the ray cluster that RAY_ADDRESS names (needs the `scale` extra).
    workers
        Number of processes, or of Ray actors; 0: one for each core.
    users_per_part
        Number of users in a file.
    """
    from ltocf.runs.folder import RunFolder
    from ltocf.scale.recommend_all import recommend_all
    from ltocf.training.processes import DiedError

    choice: dict[str, Any] = {
        "exclude_seen": not include_seen,
        "only": None if only is None else ids_of(only, "item"),
        "exclude": None if exclude is None else ids_of(exclude, "item"),
        "where": where,
        "unknown": unknown,
    }
    model = RunFolder(folder).finished_model_file if folder.is_dir() else folder
    try:
        n_users = recommend_all(model, out, k, engine=engine, workers=workers, users_per_part=users_per_part, **choice)
    except DiedError as error:
        raise ChildProcessError(str(error)) from error
    say(f"lists of {n_users:,} users in {out}/part-*.parquet")
