"""Several runs on one split, measured in the same way, together with the most popular items."""

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
"""Which value of a metric is the best; for novelty and popularity neither high nor low is better by itself."""


@dataclass(frozen=True)
class ComparedRun:
    """One line of a comparison.

    Args:
        name: the name of its folder, its path if several have that name, or `POPULARITY`.
        model: the name of the model.
        seconds: how long its training took, None for popularity.
        measured: its lists and values.
        significance: by metric and depth, "recall@20", the ``difference`` to the run it is tested against, ``p_value``
            and ``p_holm``; empty for that run itself.
        settings: the configuration as TOML.
        environment: where it was trained, see `ltocf.training.environment`.
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
        dataset: the name of the data set.
        split: the digest of the split.
        on: the set that was ranked, test or validation.
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
        """The names of the lines with the best value of a metric such as "recall@20"; none if it is not in `BEST`."""
        choose = BEST.get(metric.partition("@")[0])
        if choose is None:
            return set()
        values = {line.name: line.measured.values[metric] for line in self.lines}
        best = choose(values.values())
        return {name for name, value in values.items() if value == best}

    def columns(self) -> list[str]:
        """The metrics that are shown for each line: accuracy at every depth, the rest at the largest."""
        last = self.depths[-1]
        beyond = ("coverage", "gini", "novelty", "mean_popularity", "popularity_lift")
        return [f"{name}@{k}" for name in COMPARED for k in self.depths] + [f"{name}@{last}" for name in beyond]

    def tested(self) -> list[str]:
        """The metrics that are tested, at the largest depth."""
        return [f"{name}@{self.depths[-1]}" for name in COMPARED]

    def table(self) -> pl.DataFrame:
        """One row for each line: run, model, `columns`, the p-values of `tested` as "p recall@20" ..., and seconds."""
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
        """Everything, ready for JSON except for numbers that are not finite."""
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
    significance = _significance(measured, next(each for each in measured if each.name == reference))
    lines = [_line(folder, each, significance[each.name]) for folder, each in zip(folders, measured[:-1], strict=True)]
    lines.append(ComparedRun(POPULARITY, POPULARITY, None, measured[-1], significance[POPULARITY], "", {}))
    return RunComparison(first.name, digests[str(folders[0].path)], on, list(ks), reference, lines)


def _line(folder: RunFolder, measured: Measured, significance: dict[str, dict[str, float]]) -> ComparedRun:
    config, metrics = folder.config(), folder.metrics()
    seconds = metrics.get("seconds")
    environment = dict(metrics.get("environment", {}))
    return ComparedRun(measured.name, config.model, seconds, measured, significance, config.to_toml(), environment)


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest names that tell the runs apart: of their folders, the given paths, or whole paths."""
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(resolved):
        twice = next(path for path, full in zip(paths, resolved, strict=True) if resolved.count(full) > 1)
        raise ValueError(f"each run must be given once, got {twice} twice")
    for names in ([path.name for path in resolved], [path.as_posix() for path in paths]):
        if len(set(names)) == len(names) and POPULARITY not in names:
            return names
    return [path.as_posix() for path in resolved]


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


def _significance(measured: Sequence[Measured], reference: Measured) -> dict[str, dict[str, dict[str, float]]]:
    """By line and metric, the paired t-test against the reference, adjusted for the number of lines."""
    others = [each for each in measured if each is not reference]
    significance: dict[str, dict[str, dict[str, float]]] = {each.name: {} for each in measured}
    for metric in (f"{name}@{k}" for k in reference.per_user.depths for name in COMPARED):
        tests = [paired_test(other, reference, metric) for other in others]
        adjusted = holm([test.p_value for test in tests])
        for other, test, p_value in zip(others, tests, adjusted, strict=True):
            significance[other.name][metric] = test._asdict() | {"p_holm": p_value}
    return significance
