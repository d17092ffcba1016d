"""The command line: each command is one call of the Python interface."""

from __future__ import annotations

import json
import logging
import os
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from cyclopts import App, Parameter
from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from ltocf.cli.bench import bench
from ltocf.cli.demo import run_demo
from ltocf.cli.reproduce import reproduce
from ltocf.data import CATALOG, load_dataset, statistics
from ltocf.runs import experiment
from ltocf.runs.config import Config

app = App(name="ltocf", help="Learnable-Time ODE-based Collaborative Filtering: train, evaluate, recommend.")
data_app = App(name="data", help="The data sets known by name, and figures of any data set.")
app.command(data_app)
app.command(bench)
app.command(reproduce)
console = Console()

DataDir = Annotated[Path | None, Parameter(name="--data-dir", help="Where named sets are; default: LTOCF_DATA.")]


@app.command
def train(
    source: str | None = None,
    /,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    model: str | None = None,
    config: Path | None = None,
    set: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    data_dir: DataDir = None,
    seed: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    epochs: int | None = None,
    max_minutes: float | None = None,
    select_on: Literal["validation", "test"] | None = None,
    preset: Literal["fast", "paper"] | None = None,
) -> None:
    """Train a model on a data set and leave everything about it in a folder.

    Parameters
    ----------
    source
        A catalog name (`ltocf data list`), a folder with train.txt and test.txt, or a table file.
    out
        A new folder for the run.
    resume
        The folder of an interrupted run to continue; nothing else is given then.
    model
        ltocf (default), lightgcn or mf.
    config
        A TOML file to start from.
    set
        key=value, any setting by its name; may be repeated.
    seed
        Of initialisation and sampling.
    device
        auto, cpu or cuda.
    threads
        CPU threads; 0: PyTorch's choice.
    epochs
        Most epochs.
    max_minutes
        Most minutes of the whole run.
    select_on
        What chooses the epoch; test is the papers' protocol and marks the run.
    preset
        The recipe that settings start from: fast (default), the best one found, or paper.
    """
    if resume is not None:
        if source is not None or out is not None:
            raise ValueError("`--resume DIR` continues a run as it was configured: give no data set and no --out")
        _show_metrics(experiment.resume(resume, show_progress=True), resume)
        return
    if out is None:
        raise ValueError("give a folder for the run: `ltocf train DATASET --out DIR`")
    values = _assignments(set or [])
    named = {
        "model": model,
        "data_dir": None if data_dir is None else str(data_dir),
        "seed": seed,
        "device": device,
        "threads": threads,
        "epochs": epochs,
        "max_minutes": max_minutes,
        "select_on": select_on,
        "preset": preset,
    }
    values |= {name: value for name, value in named.items() if value is not None}
    toml = "" if config is None else config.read_text(encoding="utf-8")
    chosen = Config.from_toml(toml, source, values)
    try:
        metrics = experiment.train_config(chosen, out, show_progress=True)
    except KeyboardInterrupt:
        if (out / "config.toml").exists():
            Console(stderr=True).print(f"interrupted; continue with: ltocf train --resume {out}", soft_wrap=True)
        raise
    _show_metrics(metrics, out)


@app.command
def evaluate(
    folder: Path,
    /,
    *,
    on: Literal["test", "validation"] = "test",
    k: str = "5,10,20",
    format: Literal["table", "json"] = "table",
) -> None:
    """Measure a finished run at any depths.

    Parameters
    ----------
    folder
        The run.
    on
        The part that is ranked.
    k
        Depths, separated by commas.
    format
        How to print them.
    """
    depths = [_depth(part) for part in k.split(",")]
    measured = experiment.evaluate_run(folder, on=on, ks=depths, show_progress=True)
    if format == "json":
        sys.stdout.write(json.dumps(measured, indent=2) + "\n")
        return
    table = Table("metric", *(f"@{depth}" for depth in depths), title=f"{folder} on {on}")
    for name in dict.fromkeys(key.partition("@")[0] for key in measured):
        table.add_row(name, *(f"{measured[f'{name}@{depth}']:.4f}" for depth in depths))
    console.print(table)


@app.command
def recommend(
    folder: Path,
    /,
    *,
    user: Annotated[list[str], Parameter(negative="")],
    k: int = 10,
    format: Literal["table", "json", "csv"] = "table",
    include_seen: Annotated[bool, Parameter(negative="")] = False,
    unknown: Literal["error", "popular"] = "error",
) -> None:
    """Recommend items to users, by their own ids.

    Parameters
    ----------
    folder
        A run, or a model file.
    user
        A user's id; may be repeated.
    k
        Items per user.
    format
        How to print them.
    include_seen
        Keep items the user touched in training.
    unknown
        What a user who was not in training gets: an error, or the most popular items.
    """
    frame = experiment.load(folder).recommend(user, k, exclude_seen=not include_seen, unknown=unknown)
    if format == "json":
        sys.stdout.write(json.dumps(frame.to_dicts(), indent=2, ensure_ascii=False) + "\n")
    elif format == "csv":
        sys.stdout.write(frame.write_csv())
    else:
        console.print(_table(frame))


@app.command
def demo(*, out: Path = Path("runs/demo")) -> None:
    """Train LT-OCF and LightGCN on the shipped MovieLens set and show what they recommend.

    Parameters
    ----------
    out
        Where the runs go; finished ones are shown again, not trained again.
    """
    run_demo(out, console)


@app.command
def plot(folder: Path, /, *, out: Path) -> None:
    """Draw the learned response and the history of a run (needs the `plots` extra).

    Parameters
    ----------
    folder
        The run.
    out
        An .svg, .png or .pdf file.
    """
    from ltocf.report.run_figures import draw_run

    draw_run(folder, out)
    console.print(f"wrote {out}")


@data_app.command(name="list")
def list_data() -> None:
    """The data sets known by name."""
    table = Table("name", "users", "items", "train", "test", "source")
    for name, entry in CATALOG.items():
        counts = (entry.n_users, entry.n_items, entry.n_train, entry.n_test)
        table.add_row(name, *(f"{count:,}" for count in counts), entry.url or "in this package")
    console.print(table)


@data_app.command
def stats(source: str, /, *, data_dir: DataDir = None) -> None:
    """Figures of a data set.

    Parameters
    ----------
    source
        A catalog name, a folder with train.txt and test.txt, or a table file.
    """
    table = Table("figure", "value", title=source)
    for name, value in statistics(load_dataset(source, data_dir=data_dir)).items():
        table.add_row(name, f"{value:,}" if isinstance(value, int) else f"{value:,.4g}")
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what the user can mend is one line on standard error, exit status 2."""
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False, show_time=False)],
    )
    try:
        app(arguments, result_action="return_value")
    except KeyboardInterrupt:
        sys.exit(130)
    except (ValueError, OSError, ArithmeticError, ImportError) as error:
        if os.environ.get("LTOCF_DEBUG"):
            raise
        Console(stderr=True, highlight=False).print(f"[bold red]error:[/] {_escaped(str(error))}", soft_wrap=True)
        sys.exit(2)


def _assignments(texts: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ValueError(f"`--set` takes key=value, got {text!r}")
        try:
            values[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[name] = value
    return values


def _depth(text: str) -> int:
    if not text.strip().isdigit() or int(text) < 1:
        raise ValueError(f"`--k` takes depths >= 1 separated by commas, like 5,10,20; got {text!r}")
    return int(text)


def _show_metrics(metrics: dict[str, Any], folder: Path) -> None:
    measured = {name: value for name, value in metrics.items() if "@" in name}
    table = Table("metric", "value", title=f"{metrics['model']} on {metrics['dataset']}", caption=metrics["protocol"])
    for name, value in measured.items():
        table.add_row(name, f"{value:.4f}")
    console.print(table)
    console.print(f"run folder: {folder}", soft_wrap=True)


def _table(frame: pl.DataFrame) -> Table:
    table = Table(*frame.columns)
    for row in frame.iter_rows():
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else _escaped(str(value)) for value in row))
    return table


def _escaped(text: str) -> str:
    return text.replace("[", r"\[")
