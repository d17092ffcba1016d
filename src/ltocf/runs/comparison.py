"""Several runs on one split, measured alike, beside the most popular items."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ltocf.data.display import Shown
from ltocf.evaluation.significance import holm
from ltocf.runs.folder import RunFolder
from ltocf.runs.measuring import POPULARITY, Measured, Withheld, paired_test, refuse_other_splits
from ltocf.runs.protocol import depths_for

COMPARED = ("recall", "ndcg")
"""The metrics that are tested."""
BEST: dict[str, Callable[[Iterable[float]], float]] = {"recall": max, "ndcg": max, "coverage": max, "gini": min}
"""Which value is the best; of novelty and popularity neither much nor little is better by itself."""


@dataclass(frozen=True)
class ComparedRun:
    """One line of a comparison.

    Args:
        name: the name of its folder, its path if several have that name, or `POPULARITY`.
        model: what was trained.
        seconds: how long that took, None for popularity.
        measured: lists and values.
        significance: by metric and depth, "recall@20", the ``difference`` to the run it is tested against, ``p_value``
            and ``p_holm``; empty for that run itself.
        settings: the configuration as TOML.
        environment: where it was trained.
    """

    name: str
    model: str
    seconds: float | None
    measured: Measured
    significance: dict[str, dict[str, float]]
    settings: str
    environment: dict[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class RunComparison(Shown):
    """Runs on one split side by side, and the most popular items as the last line.

    Args:
        dataset: its name.
        split: the digest of the split.
        on: the set that was ranked.
        depths: lengths of the lists, ascending.
        against: the line that the others are tested against.
        lines: the runs in the order given, then popularity.
    """

    dataset: str
    split: str
    on: str
    depths: list[int]
    against: str
    lines: list[ComparedRun]

    def facts(self) -> dict[str, object]:
        return {"dataset": self.dataset, "on": self.on, "runs": ", ".join(line.name for line in self.lines)}

    def best(self, metric: str) -> set[str]:
        """The names of the lines with the best value of a metric such as "recall@20"; none if no value is the best."""
        choose = BEST.get(metric.partition("@")[0])
        if choose is None:
            return set()
        values = {line.name: line.measured.values[metric] for line in self.lines}
        best = choose(values.values())
        return {name for name, value in values.items() if value == best}

    def columns(self) -> list[str]:
        """The names of what is shown of each line: accuracy at every depth, the rest at the largest."""
        last = self.depths[-1]
        beyond = ("coverage", "gini", "novelty", "mean_popularity", "popularity_lift")
        return [f"{name}@{k}" for name in COMPARED for k in self.depths] + [f"{name}@{last}" for name in beyond]

    def tested(self) -> list[str]:
        """The names of what is tested, at the largest depth."""
        return [f"{name}@{self.depths[-1]}" for name in COMPARED]

    def table(self) -> pl.DataFrame:
        """One row of each line: run, model, `columns`, "p recall@20" and so on for what is `tested`, seconds."""
        rows = [
            {"run": line.name, "model": line.model}
            | {name: line.measured.values[name] for name in self.columns()}
            | {f"p {name}": line.significance.get(name, {}).get("p_holm") for name in self.tested()}
            | {"seconds": line.seconds}
            for line in self.lines
        ]
        decimals = {name: pl.Float64 for name in rows[0] if name not in ("run", "model")}
        return pl.DataFrame(rows, schema_overrides=decimals)

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON but for numbers that are not finite."""
        lines = [
            {"run": line.name, "model": line.model, "seconds": line.seconds}
            | line.measured.as_dict()
            | {"significance": line.significance}
            for line in self.lines
        ]
        about = {"dataset": self.dataset, "split": self.split, "on": self.on, "against": self.against}
        return about | {"users": len(self.lines[0].measured.per_user.users), "runs": lines}


def compare_runs(
    runs: Sequence[str | Path],
    *,
    on: str = "test",
    ks: Sequence[int] | None = None,
    against: str | Path | None = None,
    show_progress: bool = False,
) -> RunComparison:
    """Rank the same pairs with every run, one after the other; see `ltocf.compare`."""
    if isinstance(runs, str) or not runs:
        raise ValueError(f"`runs` must be a list of run folders, at least one, got {runs!r}")
    folders = [RunFolder(run) for run in runs]
    names = _names([folder.path for folder in folders])
    reference = _reference(folders, names, against)
    digests = {str(folder.path): folder.read_data().split.digest for folder in folders}
    refuse_other_splits(digests)
    first = folders[0].read_data()
    ks = sorted(set(depths_for(first.split.n_items) if ks is None else ks))
    measured = []
    for name, folder in zip(names, folders, strict=True):
        withheld = Withheld.of(folder, on)
        measured.append(withheld.measured(name, ks, show_progress=show_progress))
    measured.append(withheld.popular(ks))
    significance = _tested(measured, next(one for one in measured if one.name == reference))
    lines = [_line(folder, one, significance[one.name]) for folder, one in zip(folders, measured[:-1], strict=True)]
    lines.append(ComparedRun(POPULARITY, POPULARITY, None, measured[-1], significance[POPULARITY], "", {}))
    return RunComparison(first.name, digests[str(folders[0].path)], on, list(ks), reference, lines)


def _line(folder: RunFolder, measured: Measured, significance: dict[str, dict[str, float]]) -> ComparedRun:
    config, metrics = folder.config(), folder.metrics()
    seconds = metrics.get("seconds")
    environment = dict(metrics.get("environment", {}))
    return ComparedRun(measured.name, config.model, seconds, measured, significance, config.to_toml(), environment)


def _names(paths: Sequence[Path]) -> list[str]:
    """A name of each run, as short as they stay apart."""
    whole = [path.resolve() for path in paths]
    if len(set(whole)) < len(whole):
        twice = next(path for path, full in zip(paths, whole, strict=True) if whole.count(full) > 1)
        raise ValueError(f"each run must be given once, got {twice} twice")
    for names in ([path.name for path in whole], [path.as_posix() for path in paths]):
        if len(set(names)) == len(names) and POPULARITY not in names:
            return names
    return [path.as_posix() for path in whole]


def _reference(folders: Sequence[RunFolder], names: Sequence[str], against: str | Path | None) -> str:
    """The name of the line that the others are tested against."""
    if against is None:
        return names[0] if len(names) > 1 else POPULARITY
    if str(against) == POPULARITY:
        return POPULARITY
    for name, folder in zip(names, folders, strict=True):
        if str(against) == name or Path(against).resolve() == folder.path.resolve():
            return name
    raise ValueError(
        f"`against` must be one of the runs or {POPULARITY}, got {str(against)!r}; there are {', '.join(names)}"
    )


def _tested(measured: Sequence[Measured], reference: Measured) -> dict[str, dict[str, dict[str, float]]]:
    """By line and metric the paired t-test against the reference, adjusted for the number of lines."""
    others = [one for one in measured if one is not reference]
    found: dict[str, dict[str, dict[str, float]]] = {one.name: {} for one in measured}
    for metric in (f"{name}@{k}" for k in reference.per_user.depths for name in COMPARED):
        tests = [paired_test(one, reference, metric) for one in others]
        adjusted = holm([test.p_value for test in tests])
        for one, test, p_value in zip(others, tests, adjusted, strict=True):
            found[one.name][metric] = test._asdict() | {"p_holm": p_value}
    return found
