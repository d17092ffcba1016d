"""``ltocf similar``, ``popular`` and ``explain``: what is near, what many touched, and why something is listed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ltocf.cli.ids import Ids, ids_of
from ltocf.cli.output import Format, say, show, table
from ltocf.cli.output import draw as draw_tables


def similar(
    folder: Path,
    /,
    *,
    item: Ids = None,
    user: Ids = None,
    k: int = 10,
    by: Literal["cosine", "inner_product", "history"] = "cosine",
    format: Format = "table",
) -> None:
    """The items most similar to an item, or the users most similar to a user.

    Parameters
    ----------
    folder
        A run, or a model file.
    item
        An item's id.
    user
        A user's id.
    k
        Length of the list.
    by
        The measure of similarity: the cosine of two vectors, in [-1, 1]; their inner product, which favours popular
        items; or how much of their histories two items or users share, in [0, 1].
    format
        Format of the output.
    """
    from ltocf.runs import experiment

    snapshot = experiment.load(folder).snapshot
    if item is not None and user is None:
        show([snapshot.similar_items(item, k, by=by)], format)
    elif user is not None and item is None:
        show([snapshot.similar_users(user, k, by=by)], format)
    else:
        raise ValueError(f"give one of --item, --user, got {'none' if item is None else 'both'}")


def popular(
    folder: Path,
    /,
    *,
    k: int = 10,
    days: float | None = None,
    since: str | None = None,
    until: str | None = None,
    only: Ids = None,
    exclude: Ids = None,
    where: str | None = None,
    format: Format = "table",
) -> None:
    """The most popular items, those that the most users touched, of all time or of a window of time.

    Parameters
    ----------
    folder
        A run, or a model file.
    k
        Length of the list.
    days
        Count only this many days before --until, or before the end of the data.
    since
        The first moment that counts, such as 2024-05-01 or 2024-05-01T18:00+02:00; UTC without a zone.
    until
        The first moment that no longer counts.
    only
        The only items that may be listed: ids separated by commas, or a file of them.
    exclude
        Items that may not be listed: ids separated by commas, or a file of them.
    where
        A condition on the attributes of items, as in SQL.
    format
        Format of the output.
    """
    from ltocf.runs import experiment

    frame = experiment.load(folder).snapshot.popular(
        k,
        days=days,
        since=since,
        until=until,
        only=None if only is None else ids_of(only, "item"),
        exclude=None if exclude is None else ids_of(exclude, "item"),
        where=where,
    )
    show([frame], format)


def explain(
    folder: Path,
    /,
    *,
    user: Annotated[str, Parameter(allow_leading_hyphen=True)],
    item: Annotated[str, Parameter(allow_leading_hyphen=True)],
    n: int = 10,
    format: Format = "table",
    draw: Path | None = None,
) -> None:
    """Why an item has its score for a user: what each item of their history adds.

    Parameters
    ----------
    folder
        A run, or a model file.
    user
        The user's id.
    item
        The item's id.
    n
        How many items of the history to show, those that add the most first.
    format
        Format of the output; only the table has a sentence and the score beside the items.
    draw
        An .svg, .png or .pdf file for a bar chart (needs the `plots` extra).
    """
    from ltocf.runs import experiment

    why = experiment.load(folder).snapshot.explain(user, item)
    if draw is not None:
        why.draw(draw, n)
    history = why.history.rename(why.columns_of_parts())
    if format != "table":
        show([history.head(n)], format)
        return
    say(why.sentence())
    caption = f"score {why.score:.3f} = history {why.history['contribution'].sum():.3f}"
    caption += f" + the user's own {why.own:.3f} + popularity {why.popularity:.3f}"
    draw_tables(table(history.columns, history.head(n).iter_rows(), caption=caption))
