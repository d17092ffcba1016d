"""How a text table is laid out: separator, quotes and header, given or recognised from its first lines."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ltocf.data.readers.frame import USUAL_NAMES
from ltocf.data.readers.options import ReadOptions

# If several divide lines equally well, the first is taken; blanks only if nothing else divides them.
_SEPARATORS = ("::", "\t", "\x01", ";", "|", ",")
_BLANK = " "
_BY_SUFFIX = {".csv": ",", ".tsv": "\t", ".inter": "\t"}

_TYPED = {r"\t": "\t", "tab": "\t", "^A": "\x01", r"\x01": "\x01", r"\001": "\x01"}

MOVIELENS = ("userId", "movieId", "rating", "timestamp")
"""The columns of MovieLens's files without a header, https://files.grouplens.org/datasets/movielens/ml-100k-README.txt."""

_USUAL = {name for names in USUAL_NAMES.values() for name in names}


@dataclass(frozen=True)
class Layout:
    """How the lines of a text table are to be read.

    Args:
        separator: between fields.
        quoted: whether fields may be in quotes, so that separators and line ends in them are text.
        names: names of the columns.
        header: the header as it is written, one text for each column; None without one.
        n_before: lines before the first row, the header's among them.
        line_end: the last byte of a line.
        note: what was assumed, for the report; or "".
    """

    separator: str
    quoted: bool
    names: tuple[str, ...]
    header: tuple[str, ...] | None
    n_before: int
    line_end: str = "\n"
    note: str = ""

    def describe(self, encoding: str) -> str:
        """The layout for the report."""
        kind = {"\t": "TSV", ",": "CSV", ";": "CSV", "|": "CSV"}.get(self.separator, "text")
        quotes = ["quoted"] if self.quoted else []
        header = "no header" if self.header is None else f"header in line {self.n_before}"
        shown = [kind, f"separator {self.separator!r}", f"encoding {encoding}", *quotes, header]
        return ", ".join(shown)


def typed_separator(separator: str) -> str:
    r"""The separator that was typed in a shell: ``\t``, ``tab`` or ``^A`` are one character.

    Raises:
        ValueError: no separator at all, or one with a quote or a line end.

    Example:
        >>> typed_separator(r"\t"), typed_separator("::")
        ('\t', '::')
    """
    separator = _TYPED.get(separator, separator)
    if not separator or set(separator) & set('"\r\n'):
        raise ValueError(f"`separator` must be one or more characters without quotes and line ends, got {separator!r}")
    return separator


def recognise(sample: str, suffix: str, options: ReadOptions, around_quote: str = "") -> Layout:
    """The layout of a text table, recognised from its first lines.

    Args:
        sample: the first whole lines.
        suffix: suffix of the file's name; decides between separators that all fit.
        options: may give ``separator``, ``header`` and ``columns``.
        around_quote: lines around the first quote of the file, wherever it is.

    Raises:
        ValueError: nothing to read, no separator, or neither a header nor names of columns.

    Example:
        >>> layout = recognise("user;item\\nann;007\\n", ".csv", ReadOptions())
        >>> layout.separator, layout.names, layout.describe("UTF-8")
        (';', ('user', 'item'), "CSV, separator ';', encoding UTF-8, header in line 1")
    """
    line_end = "\r" if "\r" in sample and "\n" not in sample else "\n"
    lines = sample.split(line_end)
    n_before, declared = _before_table(lines)
    rest = [line.rstrip("\r") for line in lines[n_before:] if line.strip()][:1000]
    if not rest:
        raise ValueError("must hold a table, got an empty file")
    if "\x00" in sample:
        raise ValueError("must be a text table, Parquet, Arrow or JSON, got bytes that are not text")
    if options.separator is not None:
        separator = typed_separator(options.separator)
    else:
        separator = declared or _recognised_separator(rest, suffix)
    quoted = _has_quotes(rest, separator) or _has_quotes(around_quote.splitlines(), separator)
    rows = fields(rest, separator, quoted or '"' in rest[0])
    note = f"lines ignored before the table: {n_before}" if n_before else ""
    comment = lines[n_before - 1].lstrip("#% ") if n_before else ""
    if (commented := _header_in_comment(comment, rows, separator, options)) is not None:
        return Layout(separator, quoted, distinct_names(commented), tuple(commented), n_before, line_end)
    names, header, assumption = _names(rows, separator, options)
    n_before += int(header is not None)
    return Layout(separator, quoted, names, header, n_before, line_end, assumption or note)


def fields(lines: Sequence[str], separator: str, quoted: bool) -> list[list[str]]:
    """The fields of whole lines."""
    if separator == _BLANK:
        return [line.split() for line in lines]
    if len(separator) > 1 or not quoted:
        return [line.split(separator) for line in lines]
    try:
        return [row for row in csv.reader((f"{line}\n" for line in lines), delimiter=separator) if row]
    except csv.Error:
        return [line.split(separator) for line in lines]


def _before_table(lines: list[str]) -> tuple[int, str | None]:
    """Number of lines before the table: blank, comments, Excel's ``sep=;``; and the separator that this declares."""
    for number, line in enumerate(lines):
        if declared := re.fullmatch(r'"?sep=(.)"?\r?', line):
            return number + 1, declared[1]
        if line.strip() and not line.startswith(("#", "%")):
            return number, None
    return 0, None


def _recognised_separator(lines: list[str], suffix: str) -> str:
    usual = _BY_SUFFIX.get(suffix)
    best, best_score = "", (0.0, 0, False)
    for separator in _SEPARATORS:
        score = _fit(fields(lines, separator, separator not in "\t\x01"), separator == usual)
        if score > best_score:
            best, best_score = separator, score
    if best_score[0] >= 0.5:
        return best
    share, _, _ = _fit(fields(lines, _BLANK, False), False)
    if share > max(best_score[0], 0.9):
        return _BLANK
    if best:
        return best
    raise ValueError(
        f"must have at least two columns, got no separator in {lines[0][:80]!r}; pass `separator` if there is one"
    )


def _fit(rows: list[list[str]], is_usual: bool) -> tuple[float, int, bool]:
    """How well rows agree with the first one in their number of fields; zero if that has one field."""
    n_fields = len(rows[0])
    if n_fields < 2:
        return 0.0, 0, False
    share = sum(len(row) == n_fields for row in rows) / len(rows)
    return round(share, 1), n_fields, is_usual


def _has_quotes(lines: Sequence[str], separator: str) -> bool:
    """Whether some field begins with a quote; between blanks and separators of several characters quotes are text.

    If tabs separate fields, quotes must be closed in each line: a stray one is more usual there than a line end in a
    field.
    """
    if separator == _BLANK or len(separator) > 1:
        return False
    opened = [field for line in lines for field in line.split(separator) if field.lstrip().startswith('"')]
    if separator not in "\t\x01":
        return bool(opened)
    return bool(opened) and all(re.fullmatch(r'"(?:[^"]|"")*"', field.strip()) for field in opened)


def _names(
    rows: list[list[str]], separator: str, options: ReadOptions
) -> tuple[tuple[str, ...], tuple[str, ...] | None, str]:
    """Names of the columns, the header if there is one, and what was assumed."""
    first = [field.removeprefix("\ufeff") for field in rows[0]]
    has_header = _has_header(first, rows[1:], options) if options.header is None else options.header
    if options.columns is not None:
        names = tuple(options.columns.split(",") if isinstance(options.columns, str) else options.columns)
        if len(names) != len(first):
            raise ValueError(f"`columns` must name its {len(first)} columns, got {list(names)} for {first}")
        if len(set(names)) < len(names):
            raise ValueError(f"`columns` must be different names, got {list(names)}")
        # Given names mean that there is no header, unless the first line is one, or is declared to be one.
        is_header = has_header if options.header is not None else has_header and _is_named(first, options)
        return names, tuple(first) if is_header else None, ""
    if has_header:
        return distinct_names(first), tuple(first), ""
    if _is_movielens(rows, separator):
        return MOVIELENS, None, f"no header: columns taken to be {', '.join(MOVIELENS)}, as in MovieLens's files"
    raise ValueError(
        f"has no header, its first line is {separator.join(first)!r}; pass `columns` with a name for each of the "
        f"{len(first)} columns, such as user, item, or `header=True` if these are names"
    )


def _header_in_comment(comment: str, rows: list[list[str]], separator: str, options: ReadOptions) -> list[str] | None:
    """The names in a last line of comments like ``#user,item``, if the table itself begins without names."""
    names = fields([comment], separator, False)[0] if comment.strip() else []
    fitting = len(names) == len(rows[0]) and options.columns is None and options.header is None
    return names if fitting and _is_named(names, options) and not _is_named(rows[0], options) else None


def distinct_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names without blanks around them, and with a number if they repeat.

    Example:
        >>> distinct_names(["item", " item", "item_2"])
        ('item', 'item_2', 'item_2_2')
    """
    repeats: Counter[str] = Counter()
    distinct: dict[str, None] = {}
    for name in (name.strip() for name in names):
        candidate = name
        while candidate in distinct:
            repeats[name] += 1
            candidate = f"{name}_{repeats[name] + 1}"
        distinct[candidate] = None
    return tuple(distinct)


def _is_named(first: Sequence[str], options: ReadOptions) -> bool:
    """Whether any field is a usual or a requested name of a column."""
    requested = {value for role, value in options.given().items() if role.endswith("_column")}
    plain = {field.strip().rpartition(":")[0] or field.strip() for field in first} | set(first)
    return any(name in requested or re.sub("[_ -]", "", name).lower() in _USUAL for name in plain)


def _has_header(first: Sequence[str], rest: Sequence[Sequence[str]], options: ReadOptions) -> bool:
    """Whether the first row holds names: usual ones, or texts of another kind than the fields below them."""
    if _is_named(first, options):
        return True
    if any(_is_number(field) for field in first):
        return False
    below = [row for row in rest if list(row) != list(first) and len(row) == len(first)]
    if not below:
        return True
    columns = list(zip(*below, strict=True))
    if any(_is_number(field) for column in columns for field in column[:20]):
        return not any(name in column for name, column in zip(first, columns, strict=True) if name)
    # All fields are text: a name does not recur below itself, and is not written like an id.
    alike = [_shape(name) in {_shape(field) for field in column} for name, column in zip(first, columns, strict=True)]
    with_digits = any(any(map(str.isdigit, name)) for name in first)
    recurs = any(name in column for name, column in zip(first, columns, strict=True) if name)
    return not (recurs or (with_digits and all(alike)))


def _shape(field: str) -> str:
    """The pattern of letters and digits of a field, whatever their number: ``u12-ab`` has that of ``u7-c``."""
    return re.sub(r"\d+", "0", re.sub(r"[^\W\d_]+", "a", field.strip()))


def _is_number(field: str) -> bool:
    return re.fullmatch(r"[-+]?\d[\d.,:/ TZ-]*(?:[eE][-+]?\d+)?", field.strip()) is not None


def _is_movielens(rows: list[list[str]], separator: str) -> bool:
    """Whether there are four columns, the last two of them ratings and times in seconds."""
    if separator not in ("::", "\t") or any(len(row) != 4 for row in rows):
        return False
    whole = separator == "::" or all(row[0].isdigit() and row[1].isdigit() for row in rows)
    return whole and all(re.fullmatch(r"\d(?:\.\d)?", row[2]) and row[3].isdigit() for row in rows)
