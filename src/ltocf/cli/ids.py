"""Ids as a shell gives them: after flags, separated by commas, in a file, or on standard input."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

Ids: TypeAlias = Annotated[str | None, Parameter(allow_leading_hyphen=True)]
"""What `ids_of` reads: ids, a file or ``-`` for standard input; an id may begin with a hyphen."""
JOINT = "\0"
"""Separates the values of a repeated flag: no argument of a process can contain it."""


def joined(arguments: Sequence[str], flag: str) -> list[str]:
    """The arguments, with all values of a repeated flag joined in one: parsing thousands of flags takes minutes.

    Example:
        >>> joined(["recommend", "run", "--user", "a", "--k", "5", "--user=b"], "--user")
        ['recommend', 'run', '--k', '5', '--user=a\\x00b']
    """
    others: list[str] = []
    values: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            others += [argument, *remaining]
        elif argument.startswith(f"{flag}="):
            values.append(argument.removeprefix(f"{flag}="))
        elif argument == flag and (value := next(remaining, None)) is not None:
            values.append(value)
        else:
            others.append(argument)
    place = others.index("--") if "--" in others else len(others)
    return [*others[:place], *([f"{flag}={JOINT.join(values)}"] if values else []), *others[place:]]


def split(values: Sequence[str]) -> list[str]:
    """The ids that `joined` put together."""
    return [part for value in values for part in value.split(JOINT)]


def ids_of(text: str, role: Literal["user", "item"]) -> list[str | int]:
    """The ids in a file, on standard input (``-``), or in the text itself, separated by commas."""
    if text == "-" or Path(text).is_file():
        return ids_in(text, role)
    return [part for part in text.split(",") if part]


def ids_in(source: str, role: Literal["user", "item"]) -> list[str | int]:
    """The ids in a file or on standard input: one a line, or a column of a table.

    A table is a .parquet file, or text whose first line names several columns or one usual column of ids. They are in
    the column with a usual name for users or items (``user_id``, ``item``, ...), or in the only one.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a table without such a column, or no id at all.
    """
    if source.endswith(".parquet"):
        ids = _ids_in_parquet(Path(source), role)
    else:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8-sig")
        ids = _ids_in_text(text, source, role)
    if not ids:
        raise ValueError(f"{source} must hold {role} ids, got none")
    return ids


def _ids_in_parquet(path: Path, role: Literal["user", "item"]) -> list[str | int]:
    import polars as pl

    column = _id_column(list(pl.read_parquet_schema(path)), role, str(path))
    return pl.read_parquet(path, columns=[column]).to_series().drop_nulls().unique(maintain_order=True).to_list()


def _ids_in_text(text: str, source: str, role: Literal["user", "item"]) -> list[str | int]:
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        return []
    separator = next((mark for mark in "\t,;" if mark in lines[0]), None)
    header = next(csv.reader(lines[:1], delimiter=separator or ","))
    if separator is None and not _is_usual(header[0], role):
        return list(dict.fromkeys(line.strip() for line in lines))
    column = _id_column(header, role, source)
    rows = csv.DictReader(lines, delimiter=separator or ",")
    return list(dict.fromkeys(row[column].strip() for row in rows if row[column]))


def _id_column(columns: list[str], role: Literal["user", "item"], source: str) -> str:
    """The name of the column of ids."""
    usual = [column for column in columns if _is_usual(column, role)]
    if len(columns) == 1:
        return columns[0]
    if not usual:
        raise ValueError(f"{source} must have a column of {role} ids such as `{role}_id`, got {', '.join(columns)}")
    return usual[0]


def _is_usual(column: str, role: Literal["user", "item"]) -> bool:
    from ltocf.data.readers.frame import USUAL_NAMES

    return re.sub(r"[\s_-]", "", column).lower() in USUAL_NAMES[role]
