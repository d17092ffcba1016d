"""``ltocf recommend``: lists of items from a finished run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ltocf.cli.ids import Ids, ids_in, ids_of, split
from ltocf.cli.output import Format, save, say, show

if TYPE_CHECKING:
    import polars as pl


def recommend(
    folder: Path,
    /,
    *,
    user: Annotated[list[str] | None, Parameter(negative="")] = None,
    users: Ids = None,
    all: Annotated[bool, Parameter(negative="")] = False,
    history: Ids = None,
    steps: int = 0,
    k: int = 10,
    only: Ids = None,
    exclude: Ids = None,
    where: str | None = None,
    unknown: Literal["error", "popular", "skip"] | None = None,
    include_seen: Annotated[bool, Parameter(negative="")] = False,
    format: Format = "table",
    out: Path | None = None,
) -> None:
    """Recommend items to users, named by the ids of your data.

    Parameters
    ----------
    folder
        A run, or a model file.
    user
        A user's id; may be repeated.
    users
        A file of users, one id per line or a table with a column of ids, or - for standard input.
    all
        All users of the training data.
    history
        The items of somebody who is not in the training data, separated by commas, or a file of them.
    steps
        With --history: gradient steps on this user's vector alone.
    k
        Items per user.
    only
        The only items that may be listed: ids separated by commas, or a file of them.
    exclude
        Items that may not be listed: ids separated by commas, or a file of them.
    where
        A condition on the attributes of items, as in SQL: "price < 20 AND genre = 'Drama'".
    unknown
        What a user without a history in the training data gets: an error (the default), the most popular items (the
        default with --all), or nothing.
    include_seen
        List also the items that the user touched in the training data.
    format
        Format of the output.
    out
        A .csv, .jsonl or .parquet file to write instead of printing; it is written whole or not at all.
    """
    from ltocf.runs import experiment
    from ltocf.serving.writing import writer_for

    requested_users = _requested_users(user, users, everybody=all, history=history)
    if steps and history is None:
        raise ValueError(f"`--steps` are for a new user: give `--history` too, got {steps} without one")
    if out is not None:
        writer_for(out)
    choice: dict[str, Any] = {
        "exclude_seen": not include_seen,
        "only": None if only is None else ids_of(only, "item"),
        "exclude": None if exclude is None else ids_of(exclude, "item"),
        "where": where,
        "unknown": unknown or ("popular" if all else "error"),
    }
    snapshot = experiment.load(folder).snapshot
    if history is not None:
        frames, n_users = iter([snapshot.fold_in(ids_of(history, "item"), k, steps=steps, **choice)]), 1
    else:
        frames = snapshot.recommend_all(k, users=requested_users, **choice)
        n_users = len(snapshot.names.user_ids if requested_users is None else set(requested_users))
        frames = _reporting_users_without_list(frames, n_users)
    if out is None:
        show(frames, format)
    else:
        save(frames, out, n_users)


def _reporting_users_without_list(frames: Iterator[pl.DataFrame], n_users: int) -> Iterator[pl.DataFrame]:
    """Yield the frames, then print how many users are in none of them, if any."""
    n_listed = 0
    for frame in frames:
        n_listed += frame["user"].n_unique()
        yield frame
    if n_listed < n_users:
        say(
            f"{n_users - n_listed} of {n_users} users have no list: they have touched every item that may be listed, "
            "or are left out as unknown",
            error=True,
        )


def _requested_users(
    user: list[str] | None, users: str | None, *, everybody: bool, history: str | None
) -> list[str | int] | None:
    """The ids of the users; None for all users, and with a history."""
    given = {"--user": user, "--users": users, "--all": everybody or None, "--history": history}
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        raise ValueError(f"give one of {', '.join(given)}, got {' and '.join(names) or 'none'}: who are the lists for?")
    if users is not None:
        return ids_in(users, "user")
    return None if user is None else list(split(user))
