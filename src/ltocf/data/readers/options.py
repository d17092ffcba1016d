"""How a source is read: every option of every reader, each under one name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How rows become interactions; options that are not given are recognised, and the report says how.

    Columns are recognised by the usual names; ``""`` ignores an optional one.

    Args:
        user_column: the column of users' ids.
        item_column: the column of items' ids.
        timestamp_column: the column of times: when the user touched the item.
        rating_column: the column of ratings: how much the user liked the item.
        weight_column: the column of weights > 0: how much a row counts; never recognised by its name.
        title_column: the column of items' titles, in the item table if there is one; never recognised by its name in a
            log: in review data ``title`` is that of the review.
        min_rating: lowest rating of an interaction; lower ratings count as seen. Without it every row is one.
        only: column -> value, or list of values: the rows to read.
        drop: column -> value, or list of values: the rows to leave out.
        event_weights: column -> {value: weight}: how much a row counts by the value of a column.
        partial: the source is part of a log, such as a day: users and items that are only seen in it keep their
            ids, and what ``only``, ``drop`` and ``event_weights`` name need not occur in it.
        timestamp_format: how timestamps are written, like ``%d.%m.%Y %H:%M``.
        since: the rows from this moment on are read, ISO 8601.
        until: the rows before this moment are read, ISO 8601.
        min_user_interactions: users with fewer interactions with the remaining items are left out.
        min_item_interactions: items with fewer interactions with the remaining users are left out.
        separator: what separates the fields of a text file.
        encoding: the encoding of a text file.
        header: whether a text file begins with the names of its columns.
        columns: names of the columns of a text file without a header.
        query: the SQL query that makes the table, if the source is a database.
        items: table with a row for each item, its titles and attributes: a path, or a frame in memory.
        item_id_column: the column of items' ids in that table.
        lines_in_time: whether the items of each line of train.txt are in order of time, oldest first. This is known
            for the named data sets, whose files are recognised, and not assumed for other files.

    Raises:
        ValueError: a minimum number of interactions below 1, or filters that are not by column.

    Example:
        >>> ReadOptions(user_column="customer", min_rating=4).given()
        {'user_column': 'customer', 'min_rating': 4}
    """

    user_column: str | None = None
    item_column: str | None = None
    timestamp_column: str | None = None
    rating_column: str | None = None
    weight_column: str | None = None
    title_column: str | None = None
    min_rating: float | int | None = None
    only: Mapping[str, Any] | None = None
    drop: Mapping[str, Any] | None = None
    event_weights: Mapping[str, Mapping[str, float | int]] | None = None
    partial: bool | None = None
    timestamp_format: str | None = None
    since: str | None = None
    until: str | None = None
    min_user_interactions: int | None = None
    min_item_interactions: int | None = None
    separator: str | None = None
    encoding: str | None = None
    header: bool | None = None
    columns: Sequence[str] | None = None
    query: str | None = None
    items: Any = None
    item_id_column: str | None = None
    lines_in_time: bool | None = None

    def __post_init__(self) -> None:
        for option in ("min_user_interactions", "min_item_interactions"):
            minimum = getattr(self, option)
            if minimum is not None and minimum < 1:
                raise ValueError(f"`{option}` must be at least 1, got {minimum}")
        for option in ("only", "drop", "event_weights"):
            by_column = getattr(self, option)
            if by_column is not None and not isinstance(by_column, Mapping):
                example = "{'event': 'purchase'}" if option != "event_weights" else "{'event': {'view': 0.2}}"
                raise ValueError(f"`{option}` must be by column, like {example}, got {by_column!r}")

    def given(self) -> dict[str, Any]:
        """The options that were given, by name: as keywords of a reader."""
        values = {field.name: getattr(self, field.name) for field in fields(ReadOptions)}
        return {name: value for name, value in values.items() if value is not None}
