"""``ltocf train``: from a data set to a run folder."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from ltocf.cli.output import say, table

DataDir = Annotated[Path | None, Parameter(name="--data-dir", help="Where named sets are; default: LTOCF_DATA.")]


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
        ltocf (default), spectral, lightgcn, lr-gccf, ngcf, gc-mc, pinsage, hop-rec, grmf, grmf-norm, mult-vae, cmn,
        neumf, mf, or a model of another installed package.
    config
        A TOML file to start from.
    set
        key=value, any setting by its name; may be repeated.
    seed
        Seed for initialisation and sampling.
    device
        auto, cpu or cuda.
    threads
        CPU threads; 0: PyTorch's choice.
    epochs
        Maximum number of epochs.
    max_minutes
        Time limit for the whole run, in minutes.
    select_on
        What chooses the epoch; test is the papers' protocol and marks the run.
    preset
        The recipe that settings start from: fast (default), the best one found, or paper.
    """
    named: dict[str, Any] = {
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
    named = {name: value for name, value in named.items() if value is not None}
    from ltocf.runs import experiment
    from ltocf.runs.config import Config
    from ltocf.training.runtime import keep_freed_memory

    if resume is not None:
        _refuse_besides_resume(source, out, config, set, named)
        keep_freed_memory()
        with _saying_how_to_go_on(resume):
            metrics = experiment.resume(resume)
        _show_metrics(metrics, resume)
        return
    if out is None or out == Path():
        raise ValueError("give a folder for the run: `ltocf train DATASET --out DIR`")
    values = _assignments(set or [])
    if twice := sorted(values.keys() & named.keys()):
        raise ValueError(f"`{twice[0]}` was given twice, by `--set` and by an option of its own; give it once")
    values |= named
    chosen = Config.from_toml("", source, values) if config is None else Config.from_file(config, source, values)
    keep_freed_memory()
    with _saying_how_to_go_on(out):
        metrics = experiment.train_config(chosen, out)
    _show_metrics(metrics, out)


def _refuse_besides_resume(
    source: str | None, out: Path | None, config: Path | None, assignments: list[str] | None, named: dict[str, Any]
) -> None:
    given = {"a data set": source, "--out": out, "--config": config, "--set": assignments}
    besides = [name for name, value in given.items() if value is not None]
    besides += [f"--{name.replace('_', '-')}" for name in named]
    if besides:
        raise ValueError(
            f"`--resume DIR` continues a run as it was configured: leave out {', '.join(besides)}, "
            "or start a new run with --out"
        )


@contextmanager
def _saying_how_to_go_on(folder: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if (folder / "config.toml").exists():
            say(f"interrupted; continue with: ltocf train --resume {folder}", error=True)
        raise


def _assignments(texts: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise ValueError(f"`--set` takes key=value, got {text!r}")
        if name in values:
            raise ValueError(f"`{name}` was given twice with `--set`; give it once")
        try:
            values[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            values[name] = value
    return values


def _show_metrics(metrics: dict[str, Any], folder: Path) -> None:
    rows = [(name, f"{value:.4f}") for name, value in metrics.items() if "@" in name]
    title = f"{metrics['model']} on {metrics['dataset']}"
    Console().print(table(("metric", "value"), rows, title, metrics["protocol"]))
    for phase, fit in metrics["fits"].items():
        if fit["stopped_by"] == "max_minutes":
            asked = metrics["training"]["epochs"] if phase == "selection" else metrics["selected"]["epoch"]
            say(f"{phase} was stopped by `max_minutes` after {fit['epochs']} of {asked} epochs")
    say(f"run folder: {folder}")
