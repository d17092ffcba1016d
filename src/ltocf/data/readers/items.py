"""What is known of items: titles and attributes, from a table with a row for each item."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.ids import USUAL_INTEGER, IdMap
from ltocf.data.names import Names
from ltocf.data.readers.columns import USUAL_NAMES, USUAL_TITLES, find_column, usual_column
from ltocf.data.readers.identifiers import TRUTHS, identify
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.rows import BLANKS, is_missing
from ltocf.data.report import counted
from ltocf.shapes import PairIndices


@dataclass(frozen=True)
class Described:
    """Names with titles and attributes, and how the item table was read.

    Args:
        names: with one row of attributes for each item; null where an item is not in the table.
        in_table: for each item, whether the table has it.
        notes: sentences for the report.
        warnings: sentences for the report that deserve a look.
    """

    names: Names
    in_table: np.ndarray
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def describe_items(names: Names, table: RawTable, options: ReadOptions) -> Described:
    """Titles and attributes of items from their table: the first row of each id counts.

    Raises:
        ValueError: no column is named like item ids, or the title column is missing.
    """
    frame = table.rows()
    id_column, title_column, why = _columns(frame, table.name, options)
    found = identify(frame[id_column], f"item ids (column {id_column!r})", table.from_text, table.place)
    codes, first_rows = np.unique(found.codes, return_index=True)
    has_id = codes >= 0
    indices = indices_of(names.item_ids, found.ids)[codes[has_id]]
    row_of_item = np.full(len(names.item_ids), -1)
    row_of_item[indices[indices >= 0]] = first_rows[has_id][indices >= 0]
    rows = pl.Series(row_of_item).set(pl.Series(row_of_item < 0), None)
    others = [_typed(column, table.from_text).gather(rows) for column in frame.drop(id_column)]
    attributes = pl.DataFrame(others) if others else None
    titles = names.titles if title_column is None else _titles(names.item_ids, frame[title_column].gather(rows), table)

    n_known, n_ids = int((indices >= 0).sum()), len(indices)
    n_without = len(names.item_ids) - n_known
    n_missing = int((found.codes < 0).sum())
    n_repeated = len(frame) - n_missing - n_ids
    columns = f"ids: {id_column!r} ({why}){_title_note(title_column)}"
    notes = [f"item table {table.name}: attributes of {counted(n_known, 'item')}; {columns}"]
    notes += [f"item table {table.name}: {note}" for note in (*map(str, table.dropped), *table.notes, *found.notes)]
    for n_rows, reason in (
        (n_ids - n_known, "of items without interactions"),
        (n_repeated, "that repeat an id: the first of each counts"),
        (n_missing, "without an id"),
    ):
        notes += [f"item table {table.name}: {counted(n_rows, 'row')} {reason}"] if n_rows else []
    notes += [f"item table {table.name}: {counted(n_without, 'item')} not in it"] if n_without and n_known else []
    unrelated = () if n_known else ("none of its ids is the id of an item of the log",)
    warnings = tuple(f"item table {table.name}: {warning}" for warning in (*unrelated, *found.warnings))
    return Described(replace(names, titles=titles, attributes=attributes), row_of_item >= 0, tuple(notes), warnings)


def with_titles(dataset: Dataset, ids: pl.Series, titles: pl.Series) -> Dataset:
    """The dataset with a title for each item: its first one that is not empty, else its id as text."""
    table = pl.DataFrame({"item": indices_of(dataset.item_ids, ids), "title": titles.cast(pl.String)})
    known = table.filter((pl.col("item") >= 0) & ~is_missing(table["title"], False)).unique(
        "item", keep="first", maintain_order=True
    )
    all_items = pl.DataFrame({"item": np.arange(len(dataset.item_ids))})
    found = all_items.join(known, on="item", how="left", maintain_order="left")["title"]
    return replace(dataset, names=replace(dataset.names, titles=_titles(dataset.item_ids, found)))


def indices_of(known: IdMap, ids: pl.Series) -> PairIndices:
    """`IdMap.encode` of a column, which is converted as a whole: integers and their usual text are the same ids."""
    if known.ids.dtype == pl.String and ids.dtype == pl.Int64:
        ids = ids.cast(pl.String)
    elif known.ids.dtype == pl.Int64 and ids.dtype == pl.String:
        usual = ids.str.contains(USUAL_INTEGER)
        ids = ids.cast(pl.Int64, strict=False).zip_with(usual.fill_null(False), pl.Series([None], dtype=pl.Int64))
    return known.encode(ids)


def _columns(frame: pl.DataFrame, name: str, options: ReadOptions) -> tuple[str, str | None, str]:
    """The columns of ids and titles, and why the first was taken."""
    available = frame.columns
    if options.item_id_column:
        id_column, why = find_column(options.item_id_column, available, f"{name}: `item_id_column`"), "given"
    else:
        item_column = (options.item_column,) if options.item_column in available else ()
        found = usual_column(available, (*USUAL_NAMES["item"], "id"))
        if not item_column and found is None:
            raise ValueError(f"{name}: no column is named like item ids; pass `item_id_column` as one of {available}")
        id_column, why = (str(item_column[0]), "named as in the log") if item_column else found or ("", "")
    if options.title_column:
        return id_column, find_column(options.title_column, available, f"{name}: `title_column`"), why
    title = None if options.title_column == "" else usual_column([c for c in available if c != id_column], USUAL_TITLES)
    return id_column, None if title is None else title[0], why


def _title_note(title_column: str | None) -> str:
    return "" if title_column is None else f", titles: {title_column!r}"


def _typed(column: pl.Series, from_text: bool) -> pl.Series:
    """A column of text as truth values or numbers if every value is one; missing values are null."""
    if column.dtype != pl.String or not from_text:
        return column
    text = column.str.strip_chars(BLANKS)
    text = text.zip_with(~is_missing(text, from_text), pl.Series([None], dtype=pl.String))
    known = text.drop_nulls()
    if not len(known):
        return text
    if known.str.contains(USUAL_INTEGER).all() and known.cast(pl.Int64, strict=False).null_count() == 0:
        return text.cast(pl.Int64)
    if known.is_in(TRUTHS).all():
        return text.is_in(TRUTHS[::2])
    # "007" and 1e5 are codes rather than numbers.
    decimal = known.str.contains(r"^-?(0|[1-9]\d*)(\.\d+)?$").all()
    return text.cast(pl.Float64) if decimal else text


def _titles(item_ids: IdMap, titles: pl.Series, table: RawTable | None = None) -> tuple[str, ...]:
    """One title for each item: its id as text if it has none."""
    texts = titles.cast(pl.String)
    has_title = ~is_missing(texts, from_text=table is not None and table.from_text)
    return tuple(texts.zip_with(has_title, item_ids.ids.cast(pl.String)).to_list())
