"""The tables of docs/scale.md, made from results/scale/; see tables.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ltocf.progress import readable_seconds

RESULTS = Path(__file__).resolve().parents[1] / "results" / "scale"


def ingest() -> str:
    """One row per number of events: files, store, seconds and peak memory of each stage."""
    results = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("ingest-*.json"))]
    if not results:
        return "Not measured yet: `python benchmarks/ingest.py`."
    heading = ["events", "CSV", "store", "ingest", "of the processor", "peak"]
    heading += ["open", "graph", "a step", "peak"]
    lines = [f"| {' | '.join(heading)} |", "|" + "---:|" * len(heading)]
    for result in results:
        ingested = result["ingest"]
        sizes = [f"{result['events'] / 1e6:,.0f} M"]
        sizes += [f"{result[name] / 1e9:,.2f} GB" for name in ("log_bytes", "store_bytes")]
        took = [readable_seconds(ingested[name]) for name in ("seconds", "processor_seconds")]
        trained = _trained(result.get("train", {}))
        lines.append(f"| {' | '.join([*sizes, *took, _gigabytes(ingested), *trained])} |")
    last = next(result for result in reversed(results) if "steps" in result.get("train", {}))
    note = (
        "Events of a power law with text ids and times, in CSV files of ten million rows, ingested with "
        f"`--memory {last['memory']}`; then LT-OCF of dim {last['dim']}: opening the store, making the graph, and the "
        f"fastest of {len(last['train']['steps'])} steps of 8,192 pairs. Each stage is a process of its own, with one "
        f"thread for PyTorch, on {last['environment']['cores']} cores ({last['environment']['processor']}) that other "
        "work shared: seconds of the processor are the steadier figure. Peaks are of resident memory, in which the "
        "system counts the mapped pairs too."
    )
    return "\n".join([*lines, "", note])


def _trained(stage: dict[str, Any]) -> list[str]:
    """What training on the store took; dashes where it was not tried or was ended for its memory."""
    if "steps" not in stage:
        return ["–", "–", "–", f"more than {_gigabytes(stage)}" if stage else "–"]
    seconds = (stage["open"], stage["graph"], min(stage["steps"]))
    return [*map(readable_seconds, seconds), _gigabytes(stage)]


def _gigabytes(stage: dict[str, Any]) -> str:
    return f"{stage['peak_bytes'] / 1e9:,.1f} GB"


SCALE_TABLES = {"ingest": ingest}
