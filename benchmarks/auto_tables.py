"""The table of `auto` on every data set that it was measured on, from results/auto/."""

from __future__ import annotations

import json
from pathlib import Path

from markdown_tables import table_lines

RESULTS = Path(__file__).resolve().parents[1] / "results" / "auto"
CAPTION = (
    "One contest each, seed 0, on 2 cores, within the stated time limit or else the default; the test set is read "
    "once. Best other: for each metric, the best committed row of the data set among all methods of Table 3 and the "
    "reference rows, each tuned on the validation set."
)


def auto() -> str:
    """A line for each set and limit: both metrics, the best other row and the difference from it, and the minutes."""
    rows = []
    for file in sorted(RESULTS.glob("*-seed0.json")):
        result = json.loads(file.read_text(encoding="utf-8"))
        limit = result["configuration"]["training"]["max_minutes"]
        line = [result["dataset"] + (f", limit {limit:g}\N{NO-BREAK SPACE}min" if limit else "")]
        for metric in ("recall@20", "ndcg@20"):
            best = result["best_other"].get(metric)
            share = result["of_the_best"].get(metric)
            best_other = (
                "–"
                if best is None
                else f"{best['value']:.4f} ({best['name']}), {100 * (share - 1):+.1f}\N{NO-BREAK SPACE}%"
            )
            line += [f"{result[metric]:.4f}", best_other]
        weights = sorted((row for row in result["contest"] if row.get("weight")), key=lambda row: -row["weight"])
        line.append(", ".join(f"{row['weight']:.2f}\N{NO-BREAK SPACE}{row['name']}" for row in weights))
        rows.append([*line, f"{result['seconds_of_this_process'] / 60:.1f}"])
    columns = ["data", "recall@20", "best other", "NDCG@20", "best other", "the blend", "minutes"]
    return "\n".join([*table_lines([columns, *rows]), "", CAPTION])


AUTO_TABLES = {"auto": auto}
