"""The sizing table of docs/production.md, made from results/service/; see tables.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "results" / "service"


def sizing() -> str:
    """One row per model: what its file, its process and one answer take."""
    file = RESULTS / "memory.json"
    if not file.exists():
        return "Not measured yet: `python benchmarks/serving_memory.py`."
    result = json.loads(file.read_text())
    heading = ["users", "items", "dim", "file", "held", "peak while reading", "time to read"]
    heading += ["list for a user", "list for a history", "requests per second, users", "histories"]
    lines = [f"| {' | '.join(heading)} |", "|" + "---:|" * len(heading)]
    for row in result["rows"]:
        sizes = [f"{row[name]:,}" for name in ("users", "items", "dim")]
        bytes_ = [f"{row[name] / 1e6:,.0f} MB" for name in ("file_bytes", "resident_bytes", "peak_bytes")]
        times = [f"{row['open_seconds']:.1f} s"]
        times += [f"{1000 * row[name]:.1f} ms" for name in ("recommend_seconds", "fold_in_seconds")]
        loads = [row.get("over_http", {}).get(name, {}).get("requests_per_second") for name in ("known", "fold-in")]
        rates = ["–" if load is None else f"{load:,.0f}" for load in loads]
        lines.append(f"| {' | '.join([*sizes, *bytes_, *times, *rates])} |")
    where, empty = result["environment"], result["rows"][0]["empty_bytes"] / 1e6
    note = (
        f"LT-OCF with {result['pairs_per_user']} items for each user, without titles, each in a separate process, "
        f"of which Python and PyTorch hold {empty:,.0f} MB. List: the best {result['k']} for a training user "
        f"or for a history of {result['history']} items, without HTTP, median of {result['answers']} answers. "
        f"Times are processor time of one thread. Requests per second: one worker over HTTP, asked by wrk with 16 "
        f"connections on the same two cores. {where['processor']}, "
        f"{where['cores']} cores (`benchmarks/serving_memory.py`)."
    )
    return "\n".join([*lines, "", note])


def load() -> str:
    """Requests per second and latency of each load on Gowalla's model, and of the peer."""
    result = json.loads((RESULTS / "gowalla.json").read_text())
    lines = ["| load | requests per second | median | 99 % within | failed |", "|---|---:|---:|---:|---:|"]
    for name, found in result["loads"].items():
        if "ms" in found:
            times = [f"{found['ms'][percentile]:.0f} ms" for percentile in ("50", "99")]
            rate = f"{found['requests_per_second']:,.0f}"
            lines.append(
                f"| {' | '.join([name.replace('1 workers', '1 worker'), rate, *times, str(found['failed'])])} |"
            )
    where, share = result["environment"], result["loads"]["memory"]["share_of_resident_size"]
    note = (
        f"LT-OCF of dim 64 on Gowalla, {result['n_users']:,} users and {result['n_items']:,} items: lists of ten for "
        f"training users (known) and for new histories of 20 items (fold-in), asked by wrk with "
        f"{result['connections']} connections on the same {where['cores']} cores ({where['processor']}). The peer is "
        "ten lines of FastAPI around implicit's ALS of the same dim. The second worker adds "
        f"{100 * share:.0f} % of the first one's resident memory (`results/service/gowalla.json`)."
    )
    return "\n".join([*lines, "", note])


SERVING_TABLES: dict[str, Callable[[], str]] = {"sizing": sizing, "load": load}
