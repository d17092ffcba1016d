"""The tables of docs/scale.md, made from results/scale/; see tables.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ltocf.progress import readable_seconds
from ltocf.scale.machines import MACHINES
from ltocf.scale.plan import Work, where_it_stops
from ltocf.scale.plan import plan as planned

LAYOUTS = ((1, 1, 1), (1, 2, 1), (2, 1, 1), (2, 1, 2))
"""Processes, threads of each, and blocks of nodes."""
RESULTS = Path(__file__).resolve().parents[1] / "results" / "scale"


def ingest() -> str:
    """One row per number of events: files, store, seconds and peak memory of each stage."""
    results = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("ingest-*.json"))]
    if not results:
        return "Not measured yet: `python benchmarks/ingest.py`."
    heading = ["events", "CSV", "store", "ingest", "processor time", "peak"]
    heading += ["open", "graph", "step", "stated", "peak"]
    lines = [f"| {' | '.join(heading)} |", "|" + "---:|" * len(heading)]
    for result in results:
        ingested = result["ingest"]
        sizes = [f"{result['events'] / 1e6:,.0f} M"]
        sizes += [f"{result[name] / 1e9:,.2f} GB" for name in ("log_bytes", "store_bytes")]
        took = [readable_seconds(ingested[name]) for name in ("seconds", "processor_seconds")]
        trained = _trained(result.get("train", {}))
        if (precision := result.get("precision", "float32")) != "float32":
            trained[-1] += f" in {precision}"
        if result["dim"] != results[0]["dim"]:
            trained[-1] += f" at dim {result['dim']}"
        lines.append(f"| {' | '.join([*sizes, *took, _gigabytes(ingested), *trained])} |")
    last = next(result for result in reversed(results) if "steps" in result.get("train", {}))
    machines: dict[str, list[str]] = {}
    for result in results:
        size = f"{result['events'] / 1e6:,.0f} M"
        if size not in (sizes_of := machines.setdefault(result["environment"]["processor"], [])):
            sizes_of.append(size)
    where = "; ".join(f"{', '.join(sizes)} on an {processor}" for processor, sizes in machines.items())
    (dim, cores), n_steps = (results[0]["dim"], last["environment"]["cores"]), len(last["train"]["steps"])
    note = (
        "Power-law events with text ids and times, in CSV files of ten million rows, ingested with "
        f"`--memory {last['memory']}`; then LT-OCF of dim {dim}: opening the store, making the graph, and the fastest "
        f"of {n_steps} steps of 8,192 pairs. Each stage is a separate process, with one thread for PyTorch, on {cores} "
        f"cores that other work shared, so processor time is the steadier figure: {where}. Peaks are of resident "
        "memory."
    )
    return "\n".join([*lines, "", note])


def _trained(stage: dict[str, Any]) -> list[str]:
    """What training on the store took; dashes if it was not tried or was killed for its memory."""
    if "steps" not in stage:
        return ["–", "–", "–", "–", f"more than {_gigabytes(stage)}" if stage else "–"]
    seconds = (stage["open"], stage["graph"], min(stage["steps"]))
    return [*map(readable_seconds, seconds), f"{stage['stated_bytes'] / 1e9:.1f} GB", _gigabytes(stage)]


def _gigabytes(stage: dict[str, Any]) -> str:
    return f"{stage['peak_bytes'] / 1e9:,.1f} GB"


def epoch_cost() -> str:
    """One row per number of pairs: where the time of a step goes, with the automatic batch size."""
    result = _read("epoch-cost.json")
    if result is None:
        return "Not measured yet: `python benchmarks/epoch_cost.py --out results/scale/epoch-cost.json`."
    heading = ["pairs", "bits", "batch", "steps per pass", "threads", "propagation", "loss", "Adam", "a pass"]
    heading += ["share of propagation", "at 8,192"]
    lines = [f"| {' | '.join(heading)} |", "|" + "---:|" * len(heading)]
    for row in result["rows"]:
        propagation, adam = row["propagation_seconds"], row["adam_seconds"]
        loss = row["piece_seconds"] * row["batch_size"] / row["piece_size"]
        steps = row["pairs"] / row["batch_size"]
        bits = "16" if row.get("precision") == "bfloat16" else "32"
        cells = [f"{row['pairs'] / 1e6:,.0f} M", bits, f"{row['batch_size']:,}", f"{steps:,.0f}", str(row["threads"])]
        whole = steps * (propagation + loss + adam)
        cells += [readable_seconds(seconds) for seconds in (propagation, loss, adam, whole)]
        cells += [f"{propagation / (propagation + part + adam):.0%}" for part in (loss, row["piece_seconds"])]
        lines.append(f"| {' | '.join(cells)} |")
    row = result["rows"][0]
    note = (
        f"LT-OCF `fast` of dim {row['dim']} on power-law graphs: a series of degree {row['degree']}, "
        f"{row['negatives']:,} negatives, states of so many bits. Wall time of one step, and of all steps of a pass "
        f"({result['environment']['processor']}); the last column is for batches of 8,192."
    )
    return "\n".join([*lines, "", note])


def memory() -> str:
    """One row per training: the memory that was stated, by its parts, and the peak."""
    result = _read("memory.json")
    if result is None:
        return "Not measured yet: `python benchmarks/memory.py --folder scratch`."
    parts = [name for name in result["rows"][0]["stated"] if name != "total"]
    heading = ["training", "pairs", *parts, "estimate", "peak", "estimate / peak"]
    lines = [f"| {' | '.join(heading)} |", "|---|" + "---:|" * (len(heading) - 1)]
    for row in result["rows"]:
        size = "rank" if row["variant"] == "spectral" else "dim"
        cells = [f"{row['variant']}, {size} {row['dim']}", f"{row['pairs'] / 1e6:,.0f} M"]
        cells += [f"{row['stated'][part] / 1e9:.2f}" for part in (*parts, "total")]
        cells += [f"{row['peak_bytes'] / 1e9:.2f} GB", f"{row['stated_by_peak']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    note = (
        "Whole runs of `ltocf fit` on power-law graphs in a Parquet file, each in a separate process: reading, "
        "selection, validation, retraining and saving, with one epoch of a step or two. In GB."
    )
    return "\n".join([*lines, "", note])


def batch_size() -> str:
    """One row per batch size and rate: the validation metrics of the selection phase."""
    result = _read("batch-size.json")
    if result is None:
        return "Not measured yet: `python benchmarks/batch_size.py --data data --sets gowalla yelp2018`."
    heading = ["log", "pairs", "start", "batch", "rate", "steps", "best after", "recall@20", "NDCG@20", "training"]
    lines = [f"| {' | '.join(heading)} |", "|---|---:|---|---:|---|" + "---:|" * 5]
    order = ("set", "init", "batch_size", "learning_rate", "precision")
    for row in sorted(result["rows"], key=lambda row: [({"precision": "float32"} | row)[name] for name in order]):
        cells = [
            row["set"],
            f"{row['pairs']:,}",
            row["init"],
            f"{row['batch_size']:,}",
            f"{row['rate']}, {row['learning_rate']:.3g}",
        ]
        if (precision := row.get("precision", "float32")) != "float32":
            cells[-1] += f", {precision}"
        cells += [
            f"{row['steps']:,}",
            f"{row['best_epoch'] / row['epochs']:.0%}",
            *(f"{row[f'validation {name}']:.4f}" for name in ("recall@20", "ndcg@20")),
        ]
        lines.append(f"| {' | '.join([*cells, readable_seconds(row['training_seconds'])])} |")
    best = {row["set"]: row["planted recall@20"] for row in result["rows"] if "planted recall@20" in row}
    planted = "".join(
        f" The lists of the model that {name} was drawn from reach {value:.4f}." for name, value in best.items()
    )
    dims = ", ".join(sorted({str(row["dim"]) for row in result["rows"]}))
    note = (
        f"Selection phases of LT-OCF `fast` with dim {dims}, one seed, measured on the validation set; no test set was "
        f"read. Wall time of one or two threads beside other work.{planted}"
    )
    return "\n".join([*lines, "", note])


def steps() -> str:
    """One row per number of pairs and loss: the seconds of a step by layout, and the bytes that a process sends."""
    results = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(RESULTS.glob("step-*.json"))]
    if not results:
        return "Not measured yet: `python benchmarks/scale_step.py --pairs 1_000_000 --out results/scale/step-1m.json`."
    results.sort(key=lambda result: (result["pairs"], result.get("precision", "float32") != "float32"))
    heading = ["pairs", "loss", "1 process, 1 thread", "1 process, 2 threads", "of it, per million pairs"]
    heading += ["2 processes, columns", "sent", "2 processes, blocks", "sent"]
    lines = [f"| {' | '.join(heading)} |", "|---:|---|" + "---:|" * (len(heading) - 2)]
    for result in results:
        millions = result["pairs"] / 1e6
        precision = result.get("precision", "float32")
        for loss in dict.fromkeys(row["loss"] for row in result["rows"]):
            rows = {_layout(row): row for row in result["rows"] if row["loss"] == loss}
            one, threads, columns, blocks = (_seconds_of(rows.get(layout)) for layout in LAYOUTS)
            each = f"{rows[LAYOUTS[1]]['seconds'] / millions:.2f} s"
            sent = [f"{rows[way]['sent_bytes'] / 1e6:,.1f} MB" if way in rows else "–" for way in LAYOUTS[2:]]
            name = loss if precision == "float32" else f"{loss}, {precision}"
            cells = [f"{millions:.0f} M", name, one, threads, each, columns, sent[0], blocks, sent[1]]
            lines.append(f"| {' | '.join(cells)} |")
    rows = result["rows"]
    result = results[-1]
    note = (
        f"LT-OCF of dim {result['dim']} as in the paper on power-law graphs: steps of {result['batch_size']:,} pairs, "
        f"the softmax with {result['negatives']:,} negatives, {rows[0]['n_products']} sparse products for each step. "
        f"Median wall time, alone on {result['environment']['cores']} cores ({result['environment']['processor']}), "
        "processes connected by gloo; what each of two processes sends is calculated, and a test counts it."
    )
    return "\n".join([*lines, "", note])


def _layout(row: dict[str, Any]) -> tuple[int, int, int]:
    return row["processes"], row["threads"], row["blocks"]


def _seconds_of(row: dict[str, Any] | None) -> str:
    return f"{row['seconds']:,.2f} s" if row else "–"


def plan() -> str:
    """The output of `ltocf plan` for a billion pairs, and the sources of its constants."""
    work, machine = Work(users=10**8, items=10**6, pairs=10**9), MACHINES["h200"]
    rows = planned(work, machine)
    heading = ["GPUs", "columns x blocks", "GB of each", "GB sent a step", "a step", "an epoch", "most time goes to"]
    lines = [f"| {' | '.join(heading)} |", "|---:|:---:|---:|---:|---:|---:|---|"]
    lines += [f"| {' | '.join(row.cells())} |" for row in rows if row.gpus >= 8]
    (size, pieces), stops = work.batch, where_it_stops(rows)
    note = (
        f"LT-OCF of dim {work.dim}, {work.pairs:,} pairs of {work.users:,} users and {work.items:,} items, on "
        f"{machine.name} GPUs, {machine.per_machine} per machine. Steps of {size:,} pairs in {pieces:,} pieces, each "
        f"with {work.negatives:,} negatives; {work.degree} products each way. {stops[0].upper()}{stops[1:]}."
    )
    lines += ["", note, "", "| constant | value | | source |", "|---|---:|---|---|"]
    for known in machine.constants():
        value = f"{known.value:,.3g} {known.unit}".strip()
        lines.append(f"| {known.meaning} | {value} | {known.kind} | {known.source} |")
    return "\n".join(lines)


def recommend_all() -> str:
    """Lists for a million users, and for ten million by extrapolation, labelled as such."""
    result = _read("recommend-all.json")
    if result is None:
        return "Not measured yet: `python benchmarks/recommend_all.py --folder scratch`."
    rate = result["users"] / result["processor_seconds"]
    lines = [
        "| users | wall time | processor time | users per second and core | peak | files |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for label, times in ((f"{result['users']:,}, measured", 1), (f"{10 * result['users']:,}, extrapolated", 10)):
        seconds = [readable_seconds(times * result[name]) for name in ("seconds", "processor_seconds")]
        peak = _gigabytes(result) if times == 1 else "–"
        files = f"{times * result['list_bytes'] / 1e9:.2f} GB"
        lines.append(f"| {label} | {' | '.join(seconds)} | {rate:,.0f} | {peak} | {files} |")
    environment = result["environment"]
    cores = f"{environment['cores']} cores ({environment['processor']})"
    note = (
        f"Lists of {result['k']} out of {result['items']:,} items at dim {result['dim']}, embeddings random, by "
        f"{result['workers']} processes on {cores} that other work shared, so processor time is the steadier "
        "figure. Ten times as many users take ten times as long, as each user is one more row; this is not measured."
    )
    return "\n".join([*lines, "", note])


def large_spectral() -> str:
    """The spectral model of a large log, from the pairs to the lists of all users."""
    result = _read("spectral.json")
    if result is None:
        return "Not measured yet: `python benchmarks/large_spectral.py --folder scratch`."
    lines = [
        "| pairs | users | items | entries kept | graph and file | decomposition | lists | in all | peak |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in sorted(result["rows"], key=lambda row: row["pairs"]):
        seconds, lists = row["seconds"], row["lists"]["seconds"]
        stages = (seconds["graph"] + seconds["saving"], seconds["decomposition"], lists, sum(seconds.values()) + lists)
        peak = max(row["peak_bytes"], row["lists"]["peak_bytes"]) / 1e9
        sizes = f"{row['pairs'] / 1e6:.0f} M | {row['users']:,} | {row['items']:,} | {row['n_neighbours'] or 'all'}"
        lines.append(f"| {sizes} | {' | '.join(map(readable_seconds, stages))} | {peak:.1f} GB |")
    row, environment = result["rows"][0], result["environment"]
    note = (
        f"Rank {row['rank']}, lists of {row['k']} for all users by `ltocf recommend-all`, on {row['threads']} cores "
        f"({environment['processor']}). A power-law log; the numbers are not searched. Wall time."
    )
    return "\n".join([*lines, "", note])


def _read(name: str) -> dict[str, Any] | None:
    file = RESULTS / name
    found: dict[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    return found


SCALE_TABLES = {
    "ingest": ingest,
    "epoch-cost": epoch_cost,
    "memory": memory,
    "batch-size": batch_size,
    "steps": steps,
    "plan": plan,
    "recommend-all": recommend_all,
    "large-spectral": large_spectral,
}
