"""Draw accuracy against seconds of training from results/<dataset>/frontier.json: ``python docs/draw_frontier.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ltocf.report.names import data_name
from ltocf.report.style import LINES, Style, label_ends, save_pair

ROOT = Path(__file__).resolve().parents[1]
SECONDS = (20, 50, 100, 200, 500, 1000)
NAMED = {
    "reference": "reference",
    "dim 128": "dim 128",
    "LightGCN": "LightGCN",
    "MF": "MF",
    "ranked by inner product": "ranked by inner product",
    "BPR, as in the paper": "BPR, as in the paper",
}
"""The curves that are labelled, and their labels; the table beside the picture names all."""

LOWEST = 0.14
"""Where the axis of recall begins; below it lie first epochs, and most of BPR's curve."""


def figure(results: dict[str, Any], style: Style) -> Figure:
    """One curve per variant: six of them named, the rest grey behind them."""
    variants = results["variants"]
    canvas = Figure(figsize=(8.6, 4.8), layout="constrained")
    axes = canvas.subplots()
    for name in sorted(variants, key=lambda name: name in NAMED):
        seconds, recall = curve(variants[name])
        if name in NAMED:
            place = list(NAMED).index(name)
            look: Any = {"color": style.shades[place], "linestyle": LINES[place % len(LINES)][0], "linewidth": 2}
        else:
            look = {"color": style.quiet, "linewidth": 0.8, "alpha": 0.6, "zorder": 1}
        axes.plot(seconds, recall, marker=".", **look)
    axes.set_xscale("log")
    axes.set_xlim(15, 600)
    axes.set_ylim(LOWEST, None)
    axes.set_xticks(SECONDS[:-1], [str(seconds) for seconds in SECONDS[:-1]])
    axes.minorticks_off()
    axes.set_title(title(results), loc="left", fontsize=11)
    axes.set_xlabel(f"seconds of training on {results['environment']['threads']} CPU cores")
    axes.set_ylabel(f"recall@20 on the validation set, {results['n_users']:,} users")
    ends = [
        (f"{label} {curve(variants[name])[1][-1]:.4f}", curve(variants[name])[1][-1], style.shades[place])
        for place, (name, label) in enumerate(NAMED.items())
    ]
    label_ends(axes, ends, 3.9)
    return canvas


def title(results: dict[str, Any]) -> str:
    """Models and data of the picture."""
    return f"LT-OCF: a reference and {len(results['variants']) - 1} variants on {data_name(results['dataset'])}"


def curve(variant: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Seconds and recall after each epoch."""
    points = [point for point in variant["curve"] if point["epoch"] > 0]
    return [point["seconds"] for point in points], [point["recall@20"] for point in points]


def draw(path: Path, results: dict[str, Any]) -> None:
    """Draw the picture for light pages and the one for dark pages."""
    save_pair(
        lambda style: figure(results, style),
        path,
        title=title(results),
        description="Recall@20 on the validation set against seconds of training, one curve for each variant.",
    )


if __name__ == "__main__":
    for file in sorted((ROOT / "results").glob("*/frontier.json")):
        draw(ROOT / "docs" / "images" / f"frontier-{file.parent.name}.svg", json.loads(file.read_text()))
