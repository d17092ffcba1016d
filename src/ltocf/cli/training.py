"""``ltocf train``, ``fit`` and ``update``: from data to a run folder, and from new events to the next one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from cyclopts import Parameter

from ltocf.cli.calling import command, torchrun
from ltocf.cli.output import draw, print_json, say, table
from ltocf.cli.reading import Reading
from ltocf.cli.settings import Settings
from ltocf.scale.torchrun import place

Exists: TypeAlias = Literal["error", "load", "replace"]
Replace: TypeAlias = Annotated[bool, Parameter(negative="")]


def train(
    source: str | None = None,
    /,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    select_on: Literal["validation", "test"] | None = None,
    exists: Exists = "error",
    replace: Replace = False,
    settings: Settings | None = None,
    reading: Reading | None = None,
    format: Literal["table", "json"] = "table",
) -> None:
    """Train a model on a data set, measure it on pairs held back, and leave everything about it in a folder.

    Parameters
    ----------
    source
        A catalog name (`ltocf data list`), a folder with train.txt and test.txt, a table file, a pattern of such
        files, or an address (s3://, https://); see also --uri.
    out
        A new folder for the run.
    resume
        The folder of an interrupted run to continue; without a source, settings and --out.
    select_on
        The set that chooses the epoch; test is the papers' protocol, and the run is marked as such.
    exists
        What to do if --out holds a run already. error: stop; load: show that run, if it is finished and has the same
        settings and data; replace: train a new run, which takes its place when it is finished.
    replace
        The same as --exists replace.
    format
        table, or json for programs: the content of metrics.json.
    """
    from ltocf.runs import experiment
    from ltocf.training.runtime import keep_freed_memory

    settings, reading = settings or Settings(), reading or Reading()
    more = {} if select_on is None else {"select_on": select_on}
    if_exists = _exists(exists, replace)
    if resume is not None:
        exists_option = {} if if_exists == "error" else {"replace" if replace else "exists": if_exists}
        _refuse_besides_resume(source, out, settings, {**reading.options(), **more, **exists_option})
        keep_freed_memory()
        with _saying_how_to_continue(resume):
            metrics = experiment.resume(resume)
        _show_metrics(metrics, resume, format)
        return
    folder = _folder(out, "train")
    values = settings.values(**reading.options(), **more)
    keep_freed_memory()
    with _saying_how_to_continue(folder):
        metrics = experiment.train(
            _source(source, reading, settings), folder, config=settings.config, exists=if_exists, **values
        )
    next_command = command("fit", "--like", folder, "--out", "DIR")
    _show_metrics(metrics, folder, format, f"for a model to use, trained on everything: {next_command}")


def fit(
    source: str | None = None,
    /,
    *,
    out: Path | None = None,
    like: Path | None = None,
    exists: Exists = "error",
    replace: Replace = False,
    settings: Settings | None = None,
    reading: Reading | None = None,
    format: Literal["table", "json"] = "table",
) -> None:
    """Train a model to use: a validation set chooses, then the model is trained on all pairs, none held back.

    Parameters
    ----------
    source
        As for `ltocf train`; may be left out with --like.
    out
        A new folder for the run.
    like
        A run whose settings are taken and, without SOURCE, its data too.
    exists
        As for `ltocf train`.
    replace
        The same as --exists replace.
    format
        table, or json for programs: the content of metrics.json.
    """
    from ltocf.runs.folder import RunFolder
    from ltocf.runs.production import fit as fit_everything
    from ltocf.training.runtime import keep_freed_memory

    settings, reading = settings or Settings(), reading or Reading()
    folder = _folder(out, "fit")
    values = settings.values(**reading.options())
    data = None if like is not None and not _names_source(source, reading) else _source(source, reading, settings)
    keep_freed_memory()
    with _saying_how_to_continue(folder):
        fit_everything(data, folder, config=settings.config, like=like, exists=_exists(exists, replace), **values)
    next_command = command("recommend", folder, "--user", "ID")
    _show_metrics(RunFolder(folder).metrics(), folder, format, f"answers: {next_command}")


def update(
    run: Path,
    events: str | None = None,
    /,
    *,
    out: Path | None = None,
    epochs: int = 0,
    learning_rate: float | None = None,
    reading: Reading | None = None,
    format: Literal["table", "json"] = "table",
) -> None:
    """Bring a run up to date with new events, in a new folder: parameters kept, graph and histories made again.

    Parameters
    ----------
    run
        The folder of a finished run, which is not touched.
    events
        New events: a source as for `ltocf train`, read with the options that the run's data were read with.
    out
        A new folder; by default RUN-2, or the next number that is free.
    epochs
        Number of epochs of training on all pairs, which start from the run's parameters.
    learning_rate
        The learning rate of these epochs; by default the run's.
    format
        table, or json for programs: the content of metrics.json.
    """
    from ltocf.data.report import counted
    from ltocf.runs.folder import RunFolder
    from ltocf.runs.update import next_generation
    from ltocf.runs.update import update as update_run

    reading = reading or Reading()
    source = reading.source(events)
    if source is None:
        raise ValueError("give the new events: `ltocf update RUN EVENTS`")
    target = next_generation(run) if out is None else out
    update_run(run, source, target, epochs=epochs, learning_rate=learning_rate, **reading.options())
    metrics = RunFolder(target).metrics()
    if format == "json":
        print_json(metrics)
        return
    say(", ".join(counted(n, name.replace("_", " ").removesuffix("s")) for name, n in metrics["update"].items()))
    say(f"run folder: {target}")


def _exists(exists: Exists, replace: bool) -> Exists:
    if replace and exists == "load":
        raise ValueError("give one of `--replace` and `--exists load`: the old run is kept or it is not")
    return "replace" if replace else exists


def _source(source: str | None, reading: Reading, settings: Settings) -> str | None:
    """The source to read; None: that of the --config file."""
    location = reading.source(source)
    if location is None and settings.config is None:
        raise ValueError("give the data: a file, a folder, a catalog name, or `--sql` and `--uri`")
    return location


def _names_source(source: str | None, reading: Reading) -> bool:
    return source is not None or reading.uri is not None or reading.sql is not None


def _folder(out: Path | None, command: str) -> Path:
    if out is None or out == Path():
        raise ValueError(f"give a folder for the run: `ltocf {command} DATASET --out DIR`")
    return out


def _refuse_besides_resume(source: str | None, out: Path | None, settings: Settings, more: dict[str, Any]) -> None:
    given = {"a data set": source, "--out": out, "--config": settings.config, "--set": settings.set}
    besides = [name for name, value in given.items() if value is not None]
    besides += [f"--{name.replace('_', '-')}" for name in (*settings.named(), *more)]
    if besides:
        raise ValueError(
            f"`--resume DIR` continues a run as it was configured: leave out {', '.join(besides)}, "
            "or start a new run with --out"
        )


@contextmanager
def _saying_how_to_continue(folder: Path) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, ConnectionError):  # the latter: another process of torchrun has ended
        rank, world, _ = place()
        unfinished = (folder / "config.toml").exists() and not (folder / "metrics.json").exists()
        if unfinished and rank < 2:  # the second process prints it too: the first may be the one that ended
            say(f"interrupted; continue with: {command('train', '--resume', folder)}", error=True)
            if world > 1:
                say(f"or with any number of processes: {torchrun('train', '--resume', folder)}", error=True)
        raise


def _show_metrics(metrics: dict[str, Any], folder: Path, format: str, next_step: str = "") -> None:
    if format == "json":
        print_json(metrics)
        return
    rows = [(name, f"{value:.4f}") for name, value in metrics.items() if "@" in name]
    rows += [
        (f"{name} on validation", f"{value:.4f}")
        for name, value in metrics.get("selected", {}).items()  # an update selects nothing
        if not rows and "@" in name and value is not None
    ]
    title = f"{metrics['model']} on {metrics['dataset']}"
    draw(table(("metric", "value"), rows, title, metrics["protocol"]))
    if "contest" in metrics:
        _show_contest(metrics["contest"], metrics["selected"])
    for phase, fit in metrics["fits"].items():
        if fit["stopped_by"] == "max_minutes" and "contest" not in metrics:
            n_planned = metrics["training"]["epochs"] if phase == "selection" else metrics["selected"]["epoch"]
            say(f"{phase} was stopped by `max_minutes` after {fit['epochs']} of {n_planned} epochs")
    say(f"run folder: {folder}")
    if next_step:
        say(next_step)


def _show_contest(rows: list[dict[str, Any]], selected: dict[str, float]) -> None:
    """Print the candidates, the validation metric of each alone, and its weight in the blend."""
    metric = next(name for name in selected if "@" in name)
    competed = [
        (row["name"], f"{row[metric]:.4f}", f"{row['weight']:.2f}" if row["weight"] else "", f"{row['seconds']:.0f} s")
        for row in rows
        if "weight" in row
    ]
    competed.append(("together", f"{selected[metric]:.4f}", "", ""))
    for key, verdict in (("set_aside", "set aside"), ("skipped", "not tried")):
        competed += [(row["name"], "", "", f"{verdict}: {row[key]}") for row in rows if key in row]
    draw(table(("candidate", f"{metric} on validation", "weight", "time"), competed, "auto"))
