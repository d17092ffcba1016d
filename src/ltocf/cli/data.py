"""``ltocf data``: what is known by name, and figures of any data set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from ltocf.cli.output import table

DataDir = Annotated[Path | None, Parameter(name="--data-dir", help="Where named sets are; default: LTOCF_DATA.")]


def list_data() -> None:
    """The data sets known by name."""
    from ltocf.data import CATALOG

    rows = [
        (name, *(f"{n:,}" for n in (entry.n_users, entry.n_items, entry.n_train, entry.n_test)), entry.url or "shipped")
        for name, entry in CATALOG.items()
    ]
    Console().print(table(("name", "users", "items", "train", "test", "source"), rows))


def stats(source: str, /, *, data_dir: DataDir = None) -> None:
    """Figures of a data set.

    Parameters
    ----------
    source
        A catalog name, a folder with train.txt and test.txt, or a table file.
    """
    from ltocf.data import load_dataset, statistics

    found = statistics(load_dataset(source, data_dir=data_dir))
    rows = [(name, f"{value:,}" if isinstance(value, int) else f"{value:,.4g}") for name, value in found.items()]
    Console().print(table(("figure", "value"), rows, source))
