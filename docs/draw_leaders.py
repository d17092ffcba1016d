"""Draw accuracy against minutes on Gowalla, for light and dark pages: ``python docs/draw_leaders.py``."""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ltocf.report.style import Style, save_pair
from ltocf.reproduce.table3 import published

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

from leader_tables import PUBLISHED, row  # noqa: E402

DATASET = "gowalla"
TITLE = "Recall@20 against minutes on Gowalla, 29,858 users and 40,981 items"
OTHERS = ("item-knn", "grmf", "grmf-norm", "hop-rec", "lr-gccf", "ngcf", "gc-mc", "mult-vae", "cmn")
NAMES = {
    "auto": "auto",
    "auto-5-minutes": "auto, 5 minutes",
    "spectral-in-order": "spectral, in order",
    "ltocf-in-order": "LT-OCF fast, in order",
    "blend-set": "closed forms and LT-OCF, blended",
    "spectral": "spectral",
    "ltocf-set": "LT-OCF fast",
    "ltocf": "LT-OCF as in the paper",
    "lightgcn": "LightGCN",
    "rp3beta": "RP3beta",
    "mf": "MF",
}
LEFT = ("auto-5-minutes", "blend-set", "ltocf", "ltocf-set", "mf", "spectral")
"""Names that stand left of their point, where others are to its right."""
RAISED = {"ltocf": -7}
"""Points by which a name is moved up, clear of a line."""


def figure(style: Style) -> Figure:
    """The named methods and the published lines; the rest is grey."""
    canvas = Figure(figsize=(8.6, 4.4), layout="constrained")
    axes = canvas.subplots()
    for name in (*OTHERS, *NAMES):
        if (found := _measured(name)) is not None:
            _point(axes, name, *found, style)
    for name, label in PUBLISHED.items():
        value = published(DATASET)[name]["recall@20"]
        axes.axhline(value, color=style.quiet, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(
            f"{label}: {value:.4f}",
            (1, value),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            color=style.quiet,
            fontsize=9,
        )
    _frame(axes, style)
    return canvas


def measured() -> list[str]:
    """The named methods that have a result."""
    return [label for name, label in NAMES.items() if _measured(name)]


def _measured(name: str) -> tuple[float, float, bool] | None:
    """Minutes, recall and whether they were on a GPU, of a row; None without a result."""
    found = row(DATASET, name)
    return None if found is None else (found.minutes, found.metric("recall@20"), found.on_gpu)


def _point(axes: Axes, name: str, minutes: float, recall: float, on_gpu: bool, style: Style) -> None:
    named = name in NAMES
    reads_order = name.startswith("auto") or name.endswith("in-order")
    color = style.shades[1] if reads_order else style.shades[0] if named else style.quiet
    axes.plot(
        [minutes],
        [recall],
        "D" if reads_order else "o",
        color=color,
        markersize=8 if named else 5,
        markerfacecolor="none" if on_gpu else color,
        markeredgewidth=1.8 if named else 1.2,
    )
    if named:
        side = -1 if name in LEFT else 1
        axes.annotate(
            f"{NAMES[name]}  {recall:.4f}",
            (minutes, recall),
            xytext=(9 * side, RAISED.get(name, 0)),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            color=color,
            fontweight="bold" if reads_order else "normal",
        )


def _frame(axes: Axes, style: Style) -> None:
    axes.set_xscale("log")
    axes.set_xlim(0.3, 120)
    axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100], ["½", "1", "2", "5", "10", "20", "50", "100"])
    axes.minorticks_off()
    axes.set_xlabel(
        "minutes: choosing on a validation set and training again; filled: CPU cores, hollow: a shared H200"
    )
    axes.set_ylabel("recall@20 on the test set")
    axes.set_title(TITLE, loc="left", fontsize=11)
    axes.legend(
        handles=[
            Line2D([], [], marker=marker, color=color, linestyle="none", label=label)
            for marker, color, label in (
                ("D", style.shades[1], "reads the order of histories"),
                ("o", style.shades[0], "reads histories as sets"),
                ("o", style.quiet, "other baselines"),
            )
        ],
        frameon=False,
        loc="lower right",
        fontsize=9,
    )


if __name__ == "__main__":
    save_pair(
        figure,
        ROOT / "docs" / "images" / "leaders.svg",
        title=TITLE,
        description="Recall@20 on the test set of Gowalla against the minutes of choosing and training: "
        f"{', '.join(measured())}, with published values as dashed lines.",
    )
