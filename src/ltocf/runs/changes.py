"""Settings of a run that differ from those that it was started with."""

from __future__ import annotations

from pathlib import Path

from ltocf.runs.config import Config


def changes(before: Config, now: Config) -> list[str]:
    """The settings that change a result and differ, each as ``name old -> new``."""
    then, today = before.that_matters(), now.that_matters()
    return [
        f"{name} {value!r} -> {today[table].get(name)!r}"
        for table, values in then.items()
        for name, value in values.items()
        if today[table].get(name) != value
    ]


def refuse_changes(file: Path, before: Config, now: Config) -> None:
    if changed := changes(before, now):
        raise ValueError(
            f"{file} was changed after the run was started: {', '.join(changed)}; restore it, or start a new run"
        )
