"""Draw the figure of docs/service.md from results/service/gowalla.json: ``python docs/draw_service.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ltocf.report.names import data_name
from ltocf.report.style import LINES, Style, label_ends, save_pair

ROOT = Path(__file__).resolve().parents[1]
DATASET = "gowalla"
LATENCIES = (10, 20, 50, 100, 200)
TITLE = f"Latency of the service by percentile: LT-OCF of dim 64 on {data_name(DATASET)}"


def figure(loads: dict[str, Any], style: Style) -> Figure:
    """Milliseconds by percentile, one curve per load."""
    canvas = Figure(figsize=(8.6, 4.3), layout="constrained")
    canvas.suptitle(TITLE, fontsize=11)
    axes = canvas.subplots()
    axes.set(xlabel="percentile of the requests", ylabel="latency, ms", yscale="log")
    ends = []
    for place, (name, load) in enumerate((name, load) for name, load in loads.items() if "ms" in load):
        color = style.shades[place % len(style.shades)]
        line, _ = LINES[(place + place // len(style.shades)) % len(LINES)]
        values = list(load["ms"].values())
        axes.plot(list(load["ms"]), values, marker="o", markersize=4, color=color, linestyle=line)
        label = name.replace("1 workers", "1 worker").replace("a reload every 10 s", "with reloads")
        ends.append((f"{label}: {load['requests_per_second']:,.0f}/s", values[-1], color))
    axes.set_yticks(LATENCIES, [str(ms) for ms in LATENCIES])
    axes.minorticks_off()
    label_ends(axes, ends, 3.2)
    return canvas


def draw(path: Path, loads: dict[str, Any]) -> None:
    """Draw the picture for light pages and the one for dark pages."""
    save_pair(
        lambda style: figure(loads, style),
        path,
        title=TITLE,
        description="Milliseconds by percentile of each load: users of training and new histories, with one worker "
        "and with two, with a reload every ten seconds, and those of a peer.",
    )


if __name__ == "__main__":
    results = json.loads((ROOT / "results" / "service" / f"{DATASET}.json").read_text(encoding="utf-8"))
    draw(ROOT / "docs" / "images" / f"service-{DATASET}.svg", results["loads"])
