"""Draw accuracy against rank and against seconds: ``python benchmarks/draw_spectral.py``.

Every results/<dataset>/spectral-ranks.json is one row of docs/images/spectral.svg.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ltocf.report.names import data_name
from ltocf.report.style import LINES, Style, save_pair
from spectral_tables import is_ours

ROOT = Path(__file__).resolve().parents[1]
IMAGE = ROOT / "docs" / "images" / "spectral.svg"
METRIC = "recall@20"
TITLE = "The spectral model: accuracy against rank and against seconds"


def draw(path: Path, results: list[dict[str, Any]]) -> None:
    """Draw the picture for light pages and the one for dark pages."""
    save_pair(
        lambda style: figure(results, style),
        path,
        title=TITLE,
        description="Recall@20 on the test set of SpectralLTOCF and of GF-CF, with published values as dashed lines.",
    )


def figure(results: list[dict[str, Any]], style: Style) -> Figure:
    canvas = Figure(figsize=(8.4, 3.4 * len(results) + 0.3), layout="constrained")
    canvas.suptitle(TITLE, fontsize=11)
    for result, (by_rank, by_seconds) in zip(results, canvas.subplots(len(results), 2, squeeze=False), strict=True):
        rows = sorted(result["rows"], key=lambda row: row["options"]["rank"])
        panel(by_rank, rows, [row["options"]["rank"] for row in rows], result["published"], style)
        panel(by_seconds, rows, [seconds(row) for row in rows], result["published"], style)
        by_rank.set_xscale("log", base=2)
        ranks = sorted({row["options"]["rank"] for row in rows})
        by_rank.set_xticks(ranks, [str(rank) for rank in ranks])
        by_rank.minorticks_off()
        by_rank.set_xlabel("rank")
        by_rank.set_ylabel(f"{data_name(result['dataset'])}: {METRIC}, test set")
        threads = result["environment"]["threads"]
        by_seconds.set_xlim(left=0)
        by_seconds.set_xlabel(f"seconds from SVD to all lists ({threads} thread{'s' if threads > 1 else ''})")
    return canvas


def panel(axes: Axes, rows: list[dict[str, Any]], places: list[float], published: dict[str, Any], style: Style) -> None:
    drawn = ((True, "SpectralLTOCF", "o", -11), (False, "GF-CF here", "s", 3))
    for (ours, label, marker, lift), color, (line, _) in zip(drawn, style.shades, LINES, strict=False):
        chosen = [(x, row["test"][METRIC]) for x, row in zip(places, rows, strict=True) if is_ours(row) == ours]
        axes.plot(*zip(*chosen, strict=True), marker=marker, color=color, linestyle=line)
        axes.annotate(
            label, chosen[0], xytext=(8, lift), textcoords="offset points", va="center", fontsize="small", color=color
        )
    for name, metrics in published.items():
        axes.axhline(metrics[METRIC], color=style.quiet, linewidth=0.8, linestyle="--", zorder=0)
        axes.annotate(
            f"{name}, published", (0.01, metrics[METRIC]), xycoords=("axes fraction", "data"), xytext=(0, 3),
            textcoords="offset points", fontsize="x-small", color=style.quiet,
        )  # fmt: skip


def seconds(row: dict[str, Any]) -> float:
    return row["seconds"]["svd"] + row["seconds"]["ranking"]


if __name__ == "__main__":
    files = sorted((ROOT / "results").glob("*/spectral-ranks.json"))
    draw(IMAGE, [json.loads(file.read_text()) for file in files])
