"""Draw accuracy against rank and against seconds: ``python benchmarks/draw_spectral.py``.

Every results/<dataset>/spectral-ranks.json is one row of docs/images/spectral.svg.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ltocf.report.run_figures import SHADES, save_figure

ROOT = Path(__file__).resolve().parents[1]
IMAGE = ROOT / "docs" / "images" / "spectral.svg"
METRIC = "recall@20"


def draw(path: Path, results: list[dict[str, Any]]) -> None:
    figure = Figure(figsize=(8.4, 3.4 * len(results)), layout="constrained")
    for result, (by_rank, by_seconds) in zip(results, figure.subplots(len(results), 2, squeeze=False), strict=True):
        rows = sorted(result["rows"], key=lambda row: row["options"]["rank"])
        panel(by_rank, rows, [row["options"]["rank"] for row in rows], result["published"])
        panel(by_seconds, rows, [seconds(row) for row in rows], result["published"])
        by_rank.set_xscale("log", base=2)
        ranks = sorted({row["options"]["rank"] for row in rows})
        by_rank.set_xticks(ranks, [str(rank) for rank in ranks])
        by_rank.set_xlabel("rank")
        by_rank.set_ylabel(f"{result['dataset']}: test {METRIC}")
        threads = result["environment"]["threads"]
        by_seconds.set_xlim(left=0)
        by_seconds.set_xlabel(f"seconds from SVD to all lists ({threads} thread{'s' if threads > 1 else ''})")
        by_rank.legend(frameon=False, fontsize="small")
    save_figure(figure, path)


def panel(axes: Axes, rows: list[dict[str, Any]], places: list[float], published: dict[str, Any]) -> None:
    for ours, label, marker, color in ((True, "SpectralLTOCF", "o", SHADES[0]), (False, "GF-CF here", "s", SHADES[1])):
        chosen = [(x, row["test"][METRIC]) for x, row in zip(places, rows, strict=True) if is_ours(row) == ours]
        axes.plot(*zip(*chosen, strict=True), marker=marker, color=color, label=label)
    for name, metrics in published.items():
        axes.axhline(metrics[METRIC], color="#888888", linewidth=0.8, linestyle="--", zorder=0)
        axes.annotate(
            f"{name}, published", (1, metrics[METRIC]), xycoords=("axes fraction", "data"), ha="right", va="bottom",
            fontsize="x-small", color="#555555",
        )  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)


def is_ours(row: dict[str, Any]) -> bool:
    return row["label"].startswith("rank")


def seconds(row: dict[str, Any]) -> float:
    return row["seconds"]["svd"] + row["seconds"]["ranking"]


if __name__ == "__main__":
    files = sorted((ROOT / "results").glob("*/spectral-ranks.json"))
    draw(IMAGE, [json.loads(file.read_text()) for file in files])
