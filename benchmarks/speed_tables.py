"""The tables of README.md, docs/speed.md and docs/recommending.md from the files under results/speed/."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from markdown_tables import table_lines

FOLDER = Path(__file__).resolve().parents[1] / "results" / "speed"
MAIN, RANKING, FREED = "step-gowalla-d64-b2048", "ranking-gowalla", "freed-memory-gowalla"
ANSWERS, HUGE_PAGES, ORDERS = "recommend-synthetic", "huge-pages-synthetic", "node-order-synthetic"
WAYS, PAGES = ("returned", "kept"), ("small", "huge")
OTHERS = [
    "step-gowalla-d128-b2048",
    "step-gowalla-d256-b2048",
    "step-gowalla-d64-b16384",
    "step-yelp2018-d64-b2048",
]
SYNTHETIC = ["step-synthetic-1m", "step-synthetic-10m", "step-synthetic-50m"]
COLUMNS = {
    "filter": "LT-OCF here",
    "solver_coo": "LT-OCF, authors' way",
    "lightgcn": "LightGCN here",
    "lightgcn_torch_geometric": "LightGCN, torch_geometric",
    "lightgcn_coo": "LightGCN, authors' way",
}
CLOSE = ("filter_bfloat16 = filter",)
"""Agreements up to rounding to 16 bits."""
Result = dict[str, Any]


def read(names: list[str]) -> dict[str, Result]:
    """The content of the files that exist."""
    paths = {name: FOLDER / f"{name}.json" for name in names}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def absent(names: list[str]) -> str:
    """What to run for the missing files; empty if none is missing."""
    missing = [name for name in names if name not in read(names)]
    return f"Not measured yet: `python benchmarks/speed.py {' '.join(missing)}`." if missing else ""


def summary() -> str:
    """This package compared with others: a step, its memory and an evaluation on Gowalla."""
    found = read([MAIN, RANKING])
    rows: list[list[str]] = []
    if MAIN in found:
        rows += _step_rows(found[MAIN])
    if RANKING in found:
        rows += _ranking_rows(found[RANKING])
    heading = ["Gowalla, dim 64", "here", "elsewhere", "", "ratio"]
    return _with_notes(heading, rows, [MAIN, RANKING], [_agreement(found.get(MAIN)), _hardware(list(found.values()))])


def _step_rows(step: Result) -> list[list[str]]:
    contenders = step["contenders"]

    def row(what: str, ours: str, theirs: str, program: str) -> list[str]:
        if ours not in contenders or theirs not in contenders:
            return []
        here, elsewhere = contenders[ours]["median"], contenders[theirs]["median"]
        return [what, f"{here:.2f} s", f"{elsewhere:.2f} s", program, f"{elsewhere / here:.1f}"]

    step_of = f"training step of {{}}, batch {step['batch_size']:,}"
    rows = [
        row(step_of.format("LT-OCF"), "filter", "solver_coo", "as its authors compute it: RK4 over a COO matrix"),
        row(step_of.format("LT-OCF"), "filter", "lightgcn_torch_geometric", "LightGCN of torch_geometric"),
        row(step_of.format("LightGCN"), "lightgcn", "lightgcn_coo", "as its authors compute it: over a COO matrix"),
        row(step_of.format("LightGCN"), "lightgcn", "lightgcn_torch_geometric", "torch_geometric"),
    ]
    for other, program in (("solver_coo", "LT-OCF as its authors compute it"), ("lightgcn", "LightGCN here")):
        if other in contenders and "filter" in contenders:
            ours, theirs = (contenders[name]["step_bytes"] / 1e6 for name in ("filter", other))
            rows.append(
                ["memory of a step of LT-OCF", f"{ours:,.0f} MB", f"{theirs:,.0f} MB", program, f"{theirs / ours:.1f}"]
            )
    return [row for row in rows if row]


def _ranking_rows(ranking: Result) -> list[list[str]]:
    middle = ranking["median"]
    what = f"evaluation: {ranking['n_queries']:,} users x {ranking['n_items']:,} items"
    ours = middle["evaluate"]
    others = {
        "implicit": "`recommend` of implicit, lists only",
        "loops": "loops over users, as in reference programs",
        "loops_propagating": "the same loops, with the embeddings computed again for every 100 users",
    }
    found = {name: middle[way] for way, name in others.items() if way in middle}
    return [[what, f"{ours:.1f} s", f"{other:.1f} s", name, f"{other / ours:.1f}"] for name, other in found.items()]


def steps() -> str:
    """Seconds of a step for every size that was measured."""
    found = read([MAIN, *OTHERS, *SYNTHETIC[:1]])
    rows = []
    for step in found.values():
        contenders = step["contenders"]
        cells = [f"{contenders[name]['median']:.2f}" if name in contenders else "–" for name in COLUMNS]
        ratio = step["ratios"].get("time: solver_coo / filter")
        memory = step["ratios"].get("memory: filter / lightgcn")
        ends = ["–" if value is None else f"{value:.{digits}f}" for value, digits in ((ratio, 1), (memory, 2))]
        rows.append([step["dataset"], str(step["dim"]), f"{step['batch_size']:,}", *cells, *ends])
    heading = ["data", "dim", "batch", *COLUMNS.values(), "authors' LT-OCF / here", "memory: LT-OCF / LightGCN here"]
    return _with_notes(heading, rows, [MAIN, *OTHERS, *SYNTHETIC[:1]], [_hardware(list(found.values()))])


def growth() -> str:
    """How seconds and memory of a step grow with a synthetic graph."""
    found = read(SYNTHETIC)
    rows = []
    for step in found.values():
        millions = step["n_pairs"] / 1e6
        row = [f"{step['n_pairs']:,}", f"{step['n_users'] + step['n_items']:,}"]
        for name in ("filter", "lightgcn"):
            record = step["contenders"][name]
            row += [f"{record['median']:.2f}", f"{record['median'] / millions:.2f}"]
            row += [f"{record['step_bytes'] / 1e6:,.0f}", f"{record['step_bytes'] / 1e6 / millions:,.0f}"]
        rows.append(row)
    heading = ["pairs", "nodes"]
    for label in ("LT-OCF", "LightGCN"):
        heading += [f"{label} s", "s per million", "MB", "MB per million"]
    return _with_notes(heading, rows, SYNTHETIC, [_hardware(list(found.values()))])


def profile() -> str:
    """Where the time of the filter's step goes, and how its product compares with the machine's memory bandwidth."""
    details = read([MAIN]).get(MAIN, {}).get("contenders", {}).get("filter", {})
    if "profile" not in details:
        return absent([MAIN]) or "Measured without `--details`: no profile."
    parts, product, bandwidth = details["profile"]["parts"], details["product"], details["bandwidth"]
    total = sum(parts.values())
    rows = [[part, f"{value:.0f}", f"{100 * value / total:.0f} %"] for part, value in parts.items()]
    triad = bandwidth["triad_gb_per_second"]
    note = (
        f"One product takes {1e3 * product['seconds']:.0f} ms, {product['gflops']:.1f} GFLOP/s. If every row were "
        f"fetched from memory it would move {product['most_gb_per_second']:.1f} GB/s, "
        f"{100 * product['most_share_of_triad']:.0f} % of the {triad:.1f} GB/s that STREAM's "
        f"triad reaches here; matrix, operand and result once each would be {product['least_gb_per_second']:.1f} GB/s, "
        f"{100 * product['least_share_of_triad']:.0f} %."
    )
    return _with_notes(["part of the step", "ms", "share"], rows, [MAIN], [note])


def _agreement(step: Result | None) -> str:
    pairs = {} if step is None else step["agreement"]
    worst = {name: max(differences.values()) for name, differences in pairs.items() if name not in CLOSE}
    if not worst:
        return ""
    return f"Loss, embeddings and gradients agree to {max(worst.values()):.0e} of their largest value."


def half_precision() -> str:
    """What storing 16 bits between products changes."""
    step = read([MAIN]).get(MAIN)
    if step is None or "filter_bfloat16" not in step["contenders"]:
        return absent([MAIN]) or "Measured without `filter_bfloat16`."
    records, (close,) = step["contenders"], CLOSE
    rows = []
    for name, bits in (("filter", "32"), ("filter_bfloat16", "16")):
        rows.append([bits, f"{records[name]['median']:.3f} s", f"{records[name]['step_bytes'] / 1e6:,.0f} MB"])
    differences = ", ".join(f"{part.replace('_', ' ')} {value:.0e}" for part, value in step["agreement"][close].items())
    note = f"Largest difference between the two, relative to the largest value: {differences}."
    return _with_notes(["bits stored", "step", "memory"], rows, [MAIN], [note, _hardware([step])])


def freed_memory() -> str:
    """The time that keeping freed memory saves, and the memory that it costs."""
    found = read([FREED])
    rows = []
    for model, record in found.get(FREED, {"models": {}})["models"].items():
        (plain, kept), (peak, peak_kept) = ([record[what][way] for way in WAYS] for what in ("median", "peak_bytes"))
        row = [f"`{model}`", f"{record['batch_size']:,}", f"{plain:.2f} s", f"{kept:.2f} s", f"{plain / kept:.1f}"]
        rows.append([*row, f"{peak / 1e6:,.0f} MB", f"{peak_kept / 1e6:,.0f} MB"])
    heading = ["method", "batch", "default malloc", "kept", "ratio", "peak", "peak, kept"]
    return _with_notes(heading, rows, [FREED], [_hardware(list(found.values()))])


def huge_pages() -> str:
    """The time of a propagation in small and in huge pages, and the memory of the processes."""
    found = read([HUGE_PAGES])
    rows = []
    for row in found.get(HUGE_PAGES, {"rows": []})["rows"]:
        small, huge = (row["median"][pages] for pages in PAGES)
        cells = [f"{row['pairs']:,}", f"{small:.2f} s", f"{huge:.2f} s", f"{small / huge:.2f}"]
        rows.append(cells + [f"{row['peak_bytes'][pages] / 1e9:.2f} GB" for pages in PAGES])
    heading = ["pairs", "pages of 4 kB", "huge pages", "ratio", "peak", "peak, huge pages"]
    return _with_notes(heading, rows, [HUGE_PAGES], [_hardware(list(found.values()))])


def node_orders() -> str:
    """The time of a propagation with the nodes of a graph in different orders."""
    found = read([ORDERS]).get(ORDERS)
    if found is None:
        return "Not measured yet: `python benchmarks/node_order.py --out results/speed/node-order-synthetic.json`."
    orders = list(found["rows"][0]["median"])
    rows = [
        [f"{row['pairs']:,}", f"{row['threads']}", *(f"{row['median'][order]:.2f} s" for order in orders)]
        for row in found["rows"]
    ]
    environment = found["environment"]
    note = f"Hardware: {environment['processor']}, {environment['device']}, PyTorch {environment['torch']}. Medians."
    return "\n".join([*table_lines([["pairs", "threads", *orders], *rows]), "", note])


def answers() -> str:
    """Milliseconds of one answer by the number of training pairs."""
    found = read([ANSWERS]).get(ANSWERS)
    if found is None:
        return absent([ANSWERS])
    sizes = list(found["first answer"])
    heading = ["one call, median", *(f"{int(size):,} pairs" for size in sizes)]
    rows = [[what, *(f"{taken[size] * 1e3:.1f} ms" for size in sizes)] for what, taken in found["median"].items()]
    catalogue = f"{found['n_users']:,} users, {found['n_items']:,} items, MF of dim {found['dim']}, k = {found['k']}."
    clock = "Time of the processor: other work on the machine is left out."
    return _with_notes(heading, rows, [ANSWERS], [f"{catalogue} {clock}", _hardware([found])])


def recorded_steps() -> str:
    """An epoch of the preset `fast` on a GPU, with its steps computed one by one or replayed from one recording."""
    path = FOLDER / "cuda-graphs-h200.json"
    if not path.exists():
        return "Not measured yet: `python benchmarks/cuda_graphs.py --out results/speed/cuda-graphs-h200.json`."
    found: Result = json.loads(path.read_text(encoding="utf-8"))
    seconds = {(row["model"], row["cuda_graphs"]): row["seconds_per_epoch"] for row in found["rows"]}
    rows = [
        [f"`{model}`", f"{plain:.3f} s", f"{replayed:.3f} s", f"{plain / replayed:.1f}x"]
        for model in dict.fromkeys(model for model, _ in seconds)
        for plain, replayed in [(seconds[model, False], seconds[model, True])]
    ]
    heading = ["model", "steps not recorded", "replayed", ""]
    first = found["rows"][0]
    what = f"An epoch of {first['steps_per_epoch']} steps, batch {first['batch_size']:,}, dim {first['dim']}"
    return _with_notes(heading, rows, [], [f"{what}, on {found['data']}.", _hardware([found])])


def _hardware(results: list[Result]) -> str:
    where = {
        f"{environment['processor']}, {environment['device']}, {_threads(environment['threads'])}, "
        f"PyTorch {environment['torch']}"
        for environment in (result["environment"] for result in results)
    }
    return f"Hardware: {'; '.join(sorted(where))}. Medians." if where else ""


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _with_notes(heading: list[str], rows: list[list[str]], names: list[str], notes: list[str]) -> str:
    table = "\n".join(table_lines([heading, *rows])) if rows else ""
    return "\n\n".join(part for part in (table, *notes, absent(names)) if part)


TABLES: dict[str, Callable[[], str]] = {
    "speed": summary,
    "speed-steps": steps,
    "speed-growth": growth,
    "speed-profile": profile,
    "speed-precision": half_precision,
    "speed-freed-memory": freed_memory,
    "speed-huge-pages": huge_pages,
    "speed-node-order": node_orders,
    "speed-recorded-steps": recorded_steps,
    "answers": answers,
}
