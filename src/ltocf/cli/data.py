"""``ltocf data`` and ``ltocf inspect``: the data sets that have a name, and the content of a source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ltocf.cli.calling import command
from ltocf.cli.output import Format, draw, print_json, say, show_rows, table
from ltocf.cli.reading import Reading

if TYPE_CHECKING:
    from ltocf.data import Dataset

N_PREVIEWED = 5

DataDir = Annotated[
    Path | None, Parameter(name="--data-dir", help="Folder of the data sets that have a name; default: LTOCF_DATA.")
]


def list_data(*, format: Format = "table") -> None:
    """The data sets that have a name.

    Parameters
    ----------
    format
        Format of the output.
    """
    from ltocf.data import CATALOG

    rows = [
        (name, entry.n_users, entry.n_items, entry.n_train, entry.n_test, entry.url or "shipped")
        for name, entry in CATALOG.items()
    ]
    show_rows(("name", "users", "items", "train", "test", "source"), rows, format)


def stats(
    source: str | None = None,
    /,
    *,
    reading: Reading | None = None,
    data_dir: DataDir = None,
    format: Literal["table", "json"] = "table",
) -> None:
    """Statistics of a data set: users, items, pairs, density and more.

    Parameters
    ----------
    source
        A catalog name, a folder with train.txt and test.txt, or a table file.
    format
        table, or json for programs.
    """
    from ltocf.data import load_dataset, statistics

    location, options = _location_and_options(source, reading)
    figures = statistics(load_dataset(location, data_dir=data_dir, **options))
    if format == "json":
        print_json(figures)
        return
    draw(table(("figure", "value"), _formatted(figures), location))


def inspect(
    source: str | None = None,
    /,
    *,
    reading: Reading | None = None,
    data_dir: DataDir = None,
    format: Literal["table", "json"] = "table",
) -> None:
    """Show how a source is read: columns, rows left out, statistics, first rows; and what training on it costs.

    Parameters
    ----------
    source
        A catalog name, a folder with train.txt and test.txt, or a table file.
    format
        table, or json for programs.
    """
    from ltocf.data import statistics, time_range
    from ltocf.data.report import reports_not_logged

    location, options = _location_and_options(source, reading)
    with reports_not_logged():
        dataset, preview = _read(location, options, data_dir)
    figures, span = statistics(dataset), time_range(dataset)
    cost = _cost(dataset)
    if format == "json":
        report = None if dataset.report is None else dataset.report.record()
        print_json({"report": report, "figures": figures, "time_range": span, "preview": preview, "estimate": cost})
        return
    for line in () if dataset.report is None else dataset.report.lines():
        say(line)
    draw(table(("figure", "value"), _formatted(figures), dataset.name))
    if span is not None:
        say(f"from {span[0]} to {span[1]}")
    if preview:
        rows = [[str(value) for value in row.values()] for row in preview]
        draw(table(preview[0], rows, "first rows"))
    minutes = "less than a minute" if cost["minutes"] < 1 else f"about {cost['minutes']:,.0f} minutes"
    say(
        f"`{command('train')}`: several models compete for {cost['contest_minutes']:.0f} min (`--max-minutes`); "
        f"`--model ltocf`: {minutes} on two CPU cores, {cost['bytes'] / 1e9:.1f} GB of memory"
    )


def _cost(dataset: Dataset) -> dict[str, float]:
    """Cost of training with default settings: the contest's time limit, and minutes and memory of LT-OCF alone."""
    from ltocf.runs.candidates import default_minutes
    from ltocf.runs.config import Config
    from ltocf.runs.estimate import training_minutes
    from ltocf.runs.memory import TrainingSizes, stated_memory
    from ltocf.runs.settings import DataSettings

    pairs, test = dataset.interactions, dataset.test
    memory = stated_memory(Config(DataSettings("")).with_values({"model": "ltocf"}), TrainingSizes.of(pairs, 0))
    assert memory is not None  # LT-OCF states its memory
    return {
        "minutes": training_minutes(pairs.n_items, len(pairs)),
        "bytes": memory.total,
        "contest_minutes": default_minutes(len(pairs) + (0 if test is None else len(test))),
    }


def _location_and_options(source: str | None, reading: Reading | None) -> tuple[str, dict[str, Any]]:
    """Where the data are, a name, a path or a database, and the options for reading them."""
    reading = reading or Reading()
    location = reading.source(source)
    if location is None:
        raise ValueError("give a source: a name, a path, or a database by `--sql` and `--uri`")
    return location, reading.options()


def _read(source: str, options: dict[str, Any], data_dir: Path | None) -> tuple[Dataset, list[dict[str, Any]]]:
    """The dataset and, if the source is a table, its first rows."""
    from ltocf.data import CATALOG, ReadOptions, dataset_from_table, load_dataset
    from ltocf.data.readers.source import read_raw

    if source in CATALOG or Path(source).is_dir():
        return load_dataset(source, data_dir=data_dir, **options), []
    read_options = ReadOptions(**options)
    raw = read_raw(source, read_options)
    return dataset_from_table(raw, read_options), raw.rows(first=N_PREVIEWED).to_dicts()


def _formatted(figures: dict[str, int | float]) -> Iterable[tuple[str, str]]:
    for name, value in figures.items():
        yield name, f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
