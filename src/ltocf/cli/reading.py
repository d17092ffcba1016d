"""The options of every command that reads a source: those of `ReadOptions`, as they are typed in a shell."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Group, Parameter

GROUP = Group("Reading", sort_key=1)

_Value = TypeVar("_Value")


def _option(help: str, *, name: str | None = None) -> Parameter:
    return Parameter(name=name, help=help, group=GROUP, negative="")


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a source is read; see `ltocf.data.ReadOptions`.

    Example:
        >>> reading = Reading(only=["event=purchase,cart", "country=DE"], event_weights=["event=cart:.5,purchase:1"])
        >>> reading.options()["only"], reading.options()["event_weights"]
        ({'event': ['purchase', 'cart'], 'country': ['DE']}, {'event': {'cart': 0.5, 'purchase': 1.0}})
    """

    user_column: Annotated[str | None, _option("The column of users' ids.")] = None
    item_column: Annotated[str | None, _option("The column of items' ids.")] = None
    timestamp_column: Annotated[str | None, _option('The column of times; "" reads no times.')] = None
    rating_column: Annotated[str | None, _option("The column of ratings: how much a user liked an item.")] = None
    weight_column: Annotated[str | None, _option("The column of weights: how much a row counts.")] = None
    title_column: Annotated[str | None, _option("The column of items' titles, in the item table if there is one.")] = (
        None
    )
    min_rating: Annotated[float | None, _option("Lowest rating of an interaction; lower ratings count as seen.")] = None
    only: Annotated[list[str] | None, _option("column=value[,value]: the rows to read; may be repeated.")] = None
    drop: Annotated[list[str] | None, _option("column=value[,value]: rows to leave out; may be repeated.")] = None
    event_weights: Annotated[
        list[str] | None,
        _option("column=value:weight[,value:weight]: how much a row counts, by its value in a column."),
    ] = None
    partial: Annotated[
        bool | None,
        _option("The source is part of a log: values of --only, --drop and --event-weights need not occur in it."),
    ] = None
    timestamp_format: Annotated[str | None, _option("How times are written, like %d.%m.%Y.")] = None
    since: Annotated[str | None, _option("Read the rows from this moment on, like 2024-05-01.")] = None
    until: Annotated[str | None, _option("Read the rows before this moment.")] = None
    min_user_interactions: Annotated[int | None, _option("Leave out users with fewer interactions.")] = None
    min_item_interactions: Annotated[int | None, _option("Leave out items with fewer interactions.")] = None
    separator: Annotated[str | None, _option("What separates the fields of a text file.")] = None
    encoding: Annotated[str | None, _option("Encoding of a text file, like latin-1.")] = None
    header: Annotated[
        bool | None, Parameter(help="Whether a text file begins with the names of its columns.", group=GROUP)
    ] = None
    columns: Annotated[str | None, _option("Names of the columns of a file without a header: a,b,c.")] = None
    sql: Annotated[str | None, _option("The query that makes the table; needs --uri.")] = None
    uri: Annotated[str | None, _option("The database, postgresql://... or sqlite:///...; needs --sql.")] = None
    items: Annotated[Path | None, _option("A table with a row for each item: titles and attributes.")] = None
    item_id_column: Annotated[str | None, _option("The column of ids in the item table.")] = None
    lines_in_time: Annotated[
        bool | None, Parameter(help="Whether the items of each line of train.txt are in order of time.", group=GROUP)
    ] = None

    def options(self) -> dict[str, Any]:
        """The options that were given, as keywords of `ReadOptions`.

        Raises:
            ValueError: an option that is not written as its help says.
        """
        names = ("user", "item", "timestamp", "rating", "weight", "title", "item_id")
        values: dict[str, Any] = {f"{name}_column": getattr(self, f"{name}_column") for name in names}
        plain = ("min_rating", "timestamp_format", "since", "until", "min_user_interactions", "min_item_interactions")
        values |= {name: getattr(self, name) for name in (*plain, "partial", "separator", "encoding", "header")}
        values["lines_in_time"] = self.lines_in_time
        values |= {"only": _by_column("only", self.only), "drop": _by_column("drop", self.drop)}
        values["event_weights"] = _weights(self.event_weights)
        values["columns"] = None if self.columns is None else [name.strip() for name in self.columns.split(",")]
        values["items"] = None if self.items is None else str(self.items)
        values["query"] = self.sql
        return {name: value for name, value in values.items() if value is not None}

    def source(self, source: str | None) -> str | None:
        """The source to read: the argument, or the database of ``--uri``.

        Raises:
            ValueError: one of ``--sql`` and ``--uri`` without the other, or with another source.

        Example:
            >>> Reading(sql="select * from log", uri="sqlite:///shop.db").source(None)
            'sqlite:///shop.db'
        """
        if self.uri is None and self.sql is None:
            return source
        if self.uri is None or self.sql is None:
            one, other = ("--sql", "--uri") if self.uri is None else ("--uri", "--sql")
            raise ValueError(f"`{one}` needs `{other}`: a query and the database that it asks")
        if source is not None:
            raise ValueError(f"`--uri` is the source: leave out {source!r}")
        return self.uri


def _by_column(option: str, texts: list[str] | None) -> dict[str, list[str]] | None:
    """``column=value,value`` as values by column; a column may be repeated."""
    return _collected(option, "column=value", texts, lambda values: values)


def _weights(texts: list[str] | None) -> dict[str, dict[str, float]] | None:
    """``column=value:weight,value:weight`` as weights by value and column."""

    def weight(text: str) -> tuple[str, float]:
        value, colon, number = text.rpartition(":")
        try:
            return value.strip(), float(number) if colon else float("nan")
        except ValueError:
            return value, float("nan")

    form = "column=value:weight"
    found = _collected("event-weights", form, texts, lambda values: [weight(value) for value in values])
    if found is None:
        return None
    for pairs in found.values():
        if wrong := [value for value, number in pairs if math.isnan(number)]:
            raise ValueError(f"`--event-weights` takes {form},value:weight, got no number for {wrong[0]!r}")
    return {column: dict(pairs) for column, pairs in found.items()}


def _collected(
    option: str, form: str, texts: list[str] | None, read: Callable[[list[str]], Iterable[_Value]]
) -> dict[str, list[_Value]] | None:
    if texts is None:
        return None
    found: dict[str, list[_Value]] = {}
    for text in texts:
        column, equals, values = text.partition("=")
        if not (column and equals):
            raise ValueError(f"`--{option}` takes {form}, got {text!r}")
        found.setdefault(column, []).extend(read([value.strip() for value in values.split(",")]))
    return found
