"""Draw accuracy against seconds of training from results/<dataset>/frontier.json: ``python docs/draw_frontier.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from ltocf.report.run_figures import SHADES, save_figure

ROOT = Path(__file__).resolve().parents[1]
SECONDS = (20, 50, 100, 200, 500, 1000)
STYLES = ("-", "--", ":")


def draw(path: Path, results: dict[str, Any]) -> None:
    """One curve per variant, the preset's own drawn thick, the others in order of where they end."""
    variants = results["variants"]
    names = sorted(variants, key=lambda name: (name != "reference", -variants[name]["curve"][-1]["recall@20"]))
    with matplotlib.rc_context({"svg.hashsalt": "ltocf"}):
        figure = Figure(figsize=(9.5, 5.2), layout="constrained")
        axes = figure.subplots()
        for place, name in enumerate(names):
            curve = [point for point in variants[name]["curve"] if point["epoch"] > 0]
            seconds, recall = ([point[axis] for point in curve] for axis in ("seconds", "recall@20"))
            style = STYLES[place // len(SHADES) % len(STYLES)]
            last = curve[-1]
            label = f"{name}: {last['recall@20']:.4f} / {last['ndcg@20']:.4f}"
            width = 3.0 if name == "reference" else 1.2
            color = SHADES[place % len(SHADES)]
            axes.plot(seconds, recall, style, color=color, linewidth=width, marker=".", label=label)
        axes.set_xscale("log")
        axes.set_xticks(SECONDS, [str(seconds) for seconds in SECONDS])
        axes.minorticks_off()
        axes.set_xlabel(f"seconds of training on {results['environment']['threads']} CPU cores, {results['dataset']}")
        axes.set_ylabel(f"validation recall@20, {results['n_users']:,} users")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(
            frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), title="ends at recall / NDCG"
        )
        save_figure(figure, path)


if __name__ == "__main__":
    for file in sorted((ROOT / "results").glob("*/frontier.json")):
        draw(ROOT / "docs" / "images" / f"frontier-{file.parent.name}.svg", json.loads(file.read_text()))
