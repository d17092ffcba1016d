"""Runs side by side: a table, and a page with figures that show what a mean over users hides."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ltocf.evaluation import ItemGroup, UserGroup
from ltocf.report.content import Curve, Figure, Panel, Report, Table, p_text
from ltocf.report.html import write_report
from ltocf.runs.comparison import ComparedRun, RunComparison, compare_runs

MARK = "★"
LABELS = {
    "ndcg": "NDCG",
    "mrr": "MRR",
    "map": "MAP",
    "hit_rate": "hit rate",
    "gini": "Gini",
    "mean_popularity": "mean popularity",
    "popularity_lift": "popularity lift",
    "share": "share of the lists",
}
DECIMALS = {"novelty": 2, "mean_popularity": 1, "popularity_lift": 2}
"""Decimal places of metrics that are not shown with four."""


def compare(
    runs: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    on: str = "test",
    ks: Sequence[int] | None = None,
    against: str | Path | None = None,
    show_progress: bool = False,
) -> RunComparison:
    """Finished runs on one split side by side: accuracy, measures beyond it, seconds, and significance.

    The last line is the list of the most popular items, which needs no model.

    Args:
        runs: their folders.
        out: an .html file for a page with figures, which needs the ``plots`` extra; None: no page. Its numbers as JSON
            and its figures are written beside it.
        on: ``test`` or ``validation``.
        ks: depths; by default those of `DEPTHS` that the catalogue has items for.
        against: the run that the others are tested against, or ``popularity``; by default the first run, and popularity
            if there is only one.
        show_progress: show progress bars.

    Returns:
        The comparison; its `table` is a frame with a row for each run, `as_dict` has everything.

    Raises:
        ValueError: no run, a run given twice, an unknown ``against``, an ending other than .html, or runs on different
            splits; the error names them and their digests.
        FileNotFoundError: a run that does not exist or is not finished.
        ImportError: the ``plots`` extra is not installed.

    Example:
        >>> import ltocf, tempfile
        >>> visits = [(user, item) for user in range(20) for item in range(10) if (user + item) % 3]
        >>> folders = [f"{tempfile.mkdtemp()}/seed-{seed}" for seed in (0, 1)]
        >>> for seed, folder in enumerate(folders):
        ...     settings = {"model": "mf", "dim": 2, "epochs": 1, "n_negatives": 8, "seed": seed}
        ...     metrics = ltocf.train(visits, folder, show_progress=False, **settings)
        >>> compare(folders, ks=[2]).table()["run"].to_list()
        ['seed-0', 'seed-1', 'popularity']
    """
    page = None if out is None else Path(out)
    if page is not None and page.suffix != ".html":
        raise ValueError(f"`out` must end in .html, got {str(out)!r}")
    comparison = compare_runs(runs, on=on, ks=ks, against=against, show_progress=show_progress)
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        options = ["--k", ",".join(map(str, comparison.depths)), "--on", on, "--against", comparison.against]
        command = shlex.join(["ltocf", "compare", *map(str, runs), *options, "--out", str(page)])
        write_report(comparison_report(comparison, page.stem, command), page.parent)
    return comparison


def comparison_report(comparison: RunComparison, name: str, command: str) -> Report:
    """The page of a comparison.

    Args:
        comparison: the result of `compare`.
        name: the stem of its files.
        command: the command that makes it again.
    """
    runs = [line for line in comparison.lines if line.settings]
    n_users = len(comparison.lines[0].measured.per_user.users)
    groupings = _groupings(comparison)
    return Report(
        what="compare",
        title=f"{len(runs)} {'run' if len(runs) == 1 else 'runs'} on {comparison.dataset}",
        summary=[
            f"Lists for the {n_users:,} users with a pair in the {comparison.on} set; the split has the digest "
            f"{comparison.split[:12]}."
        ],
        tables=[comparison_table(comparison), *(_group_table(grouping) for grouping in groupings)],
        figures=[*(_group_figure(grouping, name) for grouping in groupings), _beyond_figure(comparison, name)],
        settings={line.name: line.settings for line in runs},
        numbers=comparison.as_dict(),
        command=command,
        environment={line.name: line.environment for line in runs},
        cells={line.name: comparison.split for line in runs},
        name=name,
    )


def comparison_table(comparison: RunComparison) -> Table:
    """A row for each line, with the best values marked."""
    columns = [label(name) for name in comparison.columns()] + [f"p of {label(name)}" for name in comparison.tested()]
    rows = []
    for line in comparison.lines:
        cells = [_marked(comparison, line, name) for name in comparison.columns()]
        cells += [_significance(line, name) for name in comparison.tested()]
        rows.append([line.name, line.model, *cells, "–" if line.seconds is None else f"{line.seconds:.1f}"])
    return Table("Side by side", ["run", "model", *columns, "seconds"], rows, _caption(comparison.against))


def label(name: str) -> str:
    """The displayed name of a metric.

    Example:
        >>> label("ndcg@20"), label("popularity_lift@5"), label("seconds")
        ('NDCG@20', 'popularity lift@5', 'seconds')
    """
    metric, at, depth = name.partition("@")
    return f"{LABELS.get(metric, metric)}{at}{depth}"


def shown(name: str, value: float) -> str:
    """A value with the decimal places of its metric.

    Example:
        >>> shown("recall@20", 0.12345), shown("mean_popularity@20", 101.26), shown("recall@5", math.nan)
        ('0.1235', '101.3', '–')
    """
    return "–" if math.isnan(value) else f"{value:.{DECIMALS.get(name.partition('@')[0], 4)}f}"


@dataclass(frozen=True)
class _Grouping:
    """Users or items in groups.

    Args:
        name: the end of the names of its files.
        title: the property by which the groups are made.
        metrics: the metrics that are shown for each group.
        groups: the groups of each line.
        columns: the names of the columns that describe a group.
        about: the texts of these columns for each group.
        caption: how the groups are made.
    """

    name: str
    title: str
    metrics: list[str]
    groups: dict[str, Sequence[UserGroup] | Sequence[ItemGroup]]
    columns: list[str]
    about: list[list[str]]
    caption: str


def _groupings(comparison: RunComparison) -> list[_Grouping]:
    first, last = comparison.lines[0].measured.beyond, comparison.depths[-1]
    users = _Grouping(
        "activity",
        "user activity",
        comparison.tested(),
        {line.name: line.measured.beyond.by_activity for line in comparison.lines},
        ["items in training", "users"],
        [[group.span, f"{group.n_users:,}"] for group in first.by_activity],
        "Users by the number of their training items, in quarters; users with equally many are in one group.",
    )
    items = _Grouping(
        "popularity",
        "item popularity",
        [f"recall@{last}", f"share@{last}"],
        {line.name: line.measured.beyond.by_popularity for line in comparison.lines},
        ["items", "users in training", "number of items", "training pairs"],
        [[group.name, group.span, f"{group.n_items:,}", f"{group.n_pairs:,}"] for group in first.by_popularity],
        "Items by the number of their training users: the head is the smallest number of items that have a fifth of "
        "the training pairs, the tail the rarest items, with at most a fifth. Recall as if only items of the group "
        "were relevant.",
    )
    return [users, items]


def _group_table(grouping: _Grouping) -> Table:
    rows = [
        about
        + [shown(name, groups[place].values[name]) for name in grouping.metrics for groups in grouping.groups.values()]
        for place, about in enumerate(grouping.about)
    ]
    columns = [f"{label(name)}, {run}" for name in grouping.metrics for run in grouping.groups]
    return Table(f"By {grouping.title}", grouping.columns + columns, rows, grouping.caption)


def _group_figure(grouping: _Grouping, name: str) -> Figure:
    panels = []
    for metric in grouping.metrics:
        curves = []
        for run, groups in grouping.groups.items():
            names: list[float | str] = [about[0] for about in grouping.about]
            curves.append(Curve(run, names, [group.values[metric] for group in groups]))
        panels.append(Panel("", grouping.columns[0], label(metric), curves, "dot"))
    return Figure(f"{name}-{grouping.name}", f"Accuracy by {grouping.title}", grouping.caption, panels)


def _beyond_figure(comparison: RunComparison, name: str) -> Figure:
    last, panels = comparison.depths[-1], []
    for across in (f"novelty@{last}", f"coverage@{last}"):
        points = [(line.name, line.measured.values) for line in comparison.lines]
        curves = [Curve(run, [values[across]], [values[f"recall@{last}"]]) for run, values in points]
        panels.append(Panel("", label(across), label(f"recall@{last}"), curves, "point"))
    caption = "Higher is more accurate; further right is less well known, and more of the catalogue."
    return Figure(f"{name}-beyond", "Accuracy against novelty and coverage", caption, panels)


def _marked(comparison: RunComparison, line: ComparedRun, name: str) -> str:
    value = shown(name, line.measured.values[name])
    return f"{value} {MARK}" if line.name in comparison.best(name) else value


def _significance(line: ComparedRun, name: str) -> str:
    if name not in line.significance:
        return "–"
    test = line.significance[name]
    mark = ("▲" if test["difference"] > 0 else "▼") if test["p_holm"] < 0.05 else ""
    return f"{p_text(test['p_holm'])} {mark}".strip()


def _caption(against: str) -> str:
    return (
        f"{MARK} marks the best value: of Gini, which is 0 where all items are listed equally often, the lowest. "
        "Novelty: mean of -log2 of the share of users who have a listed item, in bits. Mean popularity: the number of "
        "users who have a listed item; lift: how much more that is than for the items of the users' histories, 0 for "
        f"no bias. p: two-sided paired t-test over users against {against}, with Holm's correction for all runs; "
        "▲ better and ▼ worse than it at 0.05. Seconds: training."
    )
