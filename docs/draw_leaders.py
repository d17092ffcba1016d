"""Draw accuracy against minutes on Gowalla, for light and dark pages: ``python docs/draw_leaders.py``."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ltocf.report.run_figures import save_figure
from ltocf.reproduce.table3 import published

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from leader_tables import LEADERS, PUBLISHED, Row, row  # noqa: E402

DATASET = "gowalla"
OTHERS = ("item-knn", "grmf", "grmf-norm", "hop-rec", "lr-gccf", "ngcf", "gc-mc", "mult-vae", "cmn")
NAMES = {
    "spectral-in-order": "spectral, in order",
    "ltocf-in-order": "LT-OCF fast, in order",
    "spectral": "spectral",
    "ltocf-set": "LT-OCF fast",
    "ltocf": "LT-OCF as in the paper",
    "lightgcn": "LightGCN",
    "rp3beta": "RP3beta",
    "mf": "MF",
}
LEFT = ("ltocf", "mf", "spectral")
"""Names that stand left of their point, where others are to its right."""
RAISED = {"ltocf-set": 7, "ltocf": -7}
"""Points by which a name is moved up, clear of a line."""


@dataclass(frozen=True)
class Theme:
    """Colours of a page; those of series are Okabe and Ito's."""

    text: str
    quiet: str
    in_order: str
    as_a_set: str


THEMES = {
    "": Theme("#1f2328", "#8c959f", "#d55e00", "#0072b2"),
    "-dark": Theme("#e6edf3", "#848d97", "#e69f00", "#56b4e9"),
}


def draw(path: Path, theme: Theme) -> None:
    """Six named methods and the published lines; the rest is grey."""
    style: Any = {
        "svg.fonttype": "none",
        "font.size": 10,
        **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color", "axes.edgecolor"), theme.text),
    }
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(8.6, 4.4), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        for name in (*OTHERS, *LEADERS):
            if (found := row(DATASET, name)) is not None:
                _point(axes, name, found, theme)
        for name, label in PUBLISHED.items():
            value = published(DATASET)[name]["recall@20"]
            axes.axhline(value, color=theme.quiet, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
            axes.annotate(
                f"{label}: {value:.4f}",
                (1, value),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                color=theme.quiet,
                fontsize=9,
            )
        _frame(axes, theme)
        save_figure(figure, path)


def _point(axes: Axes, name: str, found: Row, theme: Theme) -> None:
    named = name in LEADERS
    reads_order = named and LEADERS[name][1] == "in order"
    color = theme.in_order if reads_order else theme.as_a_set if named else theme.quiet
    recall = found.metric("recall@20")
    axes.plot(
        [found.minutes],
        [recall],
        "D" if reads_order else "o",
        color=color,
        markersize=8 if named else 5,
        markerfacecolor="none" if found.on_gpu else color,
        markeredgewidth=1.8 if named else 1.2,
    )
    if named:
        side = -1 if name in LEFT else 1
        axes.annotate(
            f"{NAMES[name]}  {recall:.4f}",
            (found.minutes, recall),
            xytext=(9 * side, RAISED.get(name, 0)),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            color=color,
            fontweight="bold" if reads_order else "normal",
        )


def _frame(axes: Axes, theme: Theme) -> None:
    axes.set_xscale("log")
    axes.set_xlim(0.3, 120)
    axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100], ["½", "1", "2", "5", "10", "20", "50", "100"])
    axes.minorticks_off()
    axes.set_xlabel(
        "minutes: choosing on a validation set and training again; filled: CPU cores, hollow: a shared H200"
    )
    axes.set_ylabel("recall@20 on the test set")
    axes.set_title("Gowalla, 29,858 users and 40,981 items", loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        handles=[
            matplotlib.lines.Line2D([], [], marker=marker, color=color, linestyle="none", label=label)
            for marker, color, label in (
                ("D", theme.in_order, "reads the order of histories"),
                ("o", theme.as_a_set, "reads histories as sets"),
                ("o", theme.quiet, "other baselines"),
            )
        ],
        frameon=False,
        loc="lower right",
        fontsize=9,
    )


if __name__ == "__main__":
    for ending, chosen in THEMES.items():
        draw(ROOT / "docs" / "images" / f"leaders{ending}.svg", chosen)
