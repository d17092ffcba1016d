"""Draw the figure of docs/scale.md from results/scale/ingest-*.json: ``python docs/draw_scale.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from ltocf.report.style import LINES, Style, label_ends, log_ticks, save_pair

IMAGES = Path(__file__).parent / "images"
RESULTS = Path(__file__).resolve().parents[1] / "results" / "scale"
MILLION, GB = 1e6, 1e9
TITLE = "Ingesting and training on logs of 1 to 200 million events"


def measured() -> list[dict[str, Any]]:
    """The results with embeddings of one length, the smallest log first."""
    results = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("ingest-*.json"))]
    return [result for result in results if result["dim"] == results[0]["dim"]]


def figure(style: Style) -> Figure:
    """Processor seconds, and peak memory, against millions of events."""
    results = measured()
    events = [result["events"] / MILLION for result in results]
    canvas = Figure(figsize=(8.4, 3.7), layout="constrained")
    canvas.suptitle(TITLE, fontsize=11)
    left, right = canvas.subplots(1, 2)
    for axes, key, unit, label, side in (
        (left, "processor_seconds", 1.0, "processor seconds", "right"),
        (right, "peak_bytes", GB, "peak memory, GB", "left"),
    ):
        ends: list[tuple[str, float | int, str]] = []
        for name, stage, color, (line, _) in zip(
            ("ingest", "open and train"), ("ingest", "train"), style.shades, LINES, strict=False
        ):
            finished = [result for result in results if "status" not in result.get(stage, {"status": None})]
            values = [result[stage][key] / unit for result in finished]
            axes.plot(events[: len(finished)], values, marker="o", color=color, linestyle=line)
            if len(finished) == len(results):
                ends.append((name, values[-1], color))
            else:  # the curve ends inside the panel, so its name stands there too
                axes.annotate(
                    name, (events[len(finished) - 1], values[-1]), xytext=(-7 if side == "right" else 7, 2),
                    textcoords="offset points", ha=side, color=color, fontsize=9,
                )  # fmt: skip
        first = results[0]["ingest"][key] / unit
        linear = [first * count / events[0] for count in events]
        axes.plot(events, linear, color=style.quiet, linewidth=0.8)
        ends.append(("in proportion", linear[-1], style.quiet))
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            log_ticks(axis)
        axes.set_xlabel("millions of events")
        axes.set_ylabel(label)
        label_ends(axes, ends, 2.6)
    return canvas


def draw(path: Path) -> None:
    """Draw the picture for light pages and the one for dark pages."""
    save_pair(
        figure,
        path,
        title=TITLE,
        description="Processor seconds and peak memory of ingesting and of a few training steps, against the "
        "number of events, on logarithmic axes; the thin line is proportional to the number of events.",
    )


if __name__ == "__main__":
    draw(IMAGES / "scale.svg")
