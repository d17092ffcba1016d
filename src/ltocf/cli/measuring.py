"""``ltocf evaluate`` and ``ltocf compare``: what finished runs are worth, alone and side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.cells import cell_len
from rich.console import Console

from ltocf.cli.output import draw, print_json, say, table


def evaluate(
    folder: Path,
    /,
    *,
    on: Literal["test", "validation"] = "test",
    k: str = "5,10,20",
    beyond: Annotated[bool, Parameter(negative="")] = False,
    against: str | None = None,
    users: int = 0,
    format: Literal["table", "json"] = "table",
) -> None:
    """Measure a finished run: recall, NDCG and other metrics at any depths.

    Parameters
    ----------
    folder
        The run.
    on
        The set to measure on.
    k
        Depths, which are lengths of the lists, separated by commas.
    beyond
        Add coverage, Gini, novelty, popularity bias and accuracy by user activity and item popularity, beside those of
        the most popular items.
    against
        Another run on the same split, or popularity: add differences and whether they may be chance.
    users
        Estimate from this many random users, the same ones for every run of the split; 0: all users.
    format
        table, or json for programs.
    """
    from ltocf.report.content import finite
    from ltocf.runs import experiment

    depths = _depths(k)
    measured = experiment.evaluate_run(
        folder, on=on, ks=depths, beyond=beyond, against=against, users=users, show_progress=True
    )
    if format == "json":
        print_json(finite(measured))
        return
    _show_metrics(measured, depths, f"{folder} on {on}" + (f", an estimate from {users:,} users" if users else ""))
    if beyond:
        _show_beyond(measured, max(depths))
    if against is not None:
        _show_differences(measured, against, max(depths))


def compare(
    folders: Annotated[list[Path], Parameter(negative="")],
    /,
    *,
    out: Path | None = None,
    on: Literal["test", "validation"] = "test",
    k: str | None = None,
    against: str | None = None,
    format: Literal["table", "json"] = "table",
) -> None:
    """Put finished runs on one split side by side, and the most popular items beside them.

    Parameters
    ----------
    folders
        The runs.
    out
        An .html file for a page with figures; numbers and figures are written beside it (needs the `plots` extra).
    on
        The set to measure on.
    k
        Depths, which are lengths of the lists, separated by commas; default: 5, 10 and 20, if there are as many items.
    against
        The run that the others are tested against, or popularity; default: the first.
    format
        table, or json for programs.
    """
    from ltocf.report.comparison import compare, comparison_table
    from ltocf.report.content import finite

    depths = None if k is None else _depths(k)
    comparison = compare(folders, out=out, on=on, ks=depths, against=against, show_progress=True)
    if format == "json":
        print_json(finite(comparison.as_dict()))
        return
    shown = comparison_table(comparison)
    console = Console()
    for runs in _fitting(shown.columns, shown.rows, console.width):
        # Few runs have many values: a column for each run fits a terminal.
        heading, *lines = zip(shown.columns, *runs, strict=True)
        draw(table(heading, lines, f"{comparison.dataset}, {comparison.on}"))
    console.print(shown.caption, markup=False, highlight=False)
    if out is not None:
        say(f"wrote {out}")


def _show_metrics(measured: Mapping[str, Any], depths: list[int], title: str) -> None:
    from ltocf.evaluation import METRICS

    names = [name for name in (*METRICS, "coverage") if f"{name}@{depths[0]}" in measured]
    rows = [(name, *(f"{measured[f'{name}@{depth}']:.4f}" for depth in depths)) for name in names]
    draw(table(("metric", *(f"@{depth}" for depth in depths)), rows, title))


def _show_beyond(measured: Mapping[str, Any], k: int) -> None:
    """The run beside the most popular items, at one depth."""
    from ltocf.evaluation.beyond import BEYOND
    from ltocf.evaluation.groups import span_of
    from ltocf.report.comparison import label, shown
    from ltocf.runs.measuring import POPULARITY

    both = (measured, measured[POPULARITY])

    def row(name: str, metrics: Sequence[Mapping[str, Any]], group: str = "") -> tuple[str, ...]:
        metric = f"{name}@{k}"
        return (label(name) + group, *(shown(metric, values[metric]) for values in metrics))

    rows = [row(name, both) for name in ("recall", "ndcg", "coverage", *BEYOND)]
    for place, group in enumerate(measured["by_activity"]):
        title = f", {group['n_users']:,} users with {span_of(group['shortest'], group['longest'])} items"
        rows += [row(name, [model["by_activity"][place] for model in both], title) for name in ("recall", "ndcg")]
    for place, group in enumerate(measured["by_popularity"]):
        title = f", {group['name']}: {group['n_items']:,} items"
        rows += [row(name, [model["by_popularity"][place] for model in both], title) for name in ("recall", "share")]
    caption = "Popularity and the number of items of a user are those of training."
    draw(table((f"lists of {k}", "run", POPULARITY), rows, "beyond accuracy", caption))


def _show_differences(measured: Mapping[str, Any], against: str, k: int) -> None:
    from ltocf.report.comparison import label, shown
    from ltocf.report.content import p_text

    rows = [
        (
            label(name),
            *(shown(name, value) for value in (measured[name], test["other"])),
            f"{test['difference']:+.4f}",
            p_text(test["p_holm"]),
        )
        for name, test in measured["against"][against].items()
        if name.endswith(f"@{k}")
    ]
    caption = "p: two-sided paired t-test over users, with Holm's correction for all metrics and depths."
    draw(table(("metric", "run", against, "difference", "p"), rows, "", caption))


def _fitting(names: list[str], runs: list[list[str]], width: int) -> Iterator[list[list[str]]]:
    """The runs in as few groups as fit beside the names, with at least one run each."""
    room = start = 0
    for place, run in enumerate(runs):
        room -= max(map(cell_len, run)) + 3
        if room < 0:
            if place > start:
                yield runs[start:place]
            room = width - (max(map(cell_len, names)) + 4) - (max(map(cell_len, run)) + 3)
            start = place
    yield runs[start:]


def _depths(text: str) -> list[int]:
    return [_depth(part) for part in text.split(",")]


def _depth(text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdigit()) or int(text) < 1:
        raise ValueError(f"`--k` takes depths >= 1 separated by commas, like 5,10,20; got {text!r}")
    return int(text)
