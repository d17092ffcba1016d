"""The quick versions of both measurements, for the user's own machine and data: what ``ltocf bench`` runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from ltocf.bench.contenders import CONTENDERS, USUAL
from ltocf.bench.ranking import bench_ranking
from ltocf.bench.step import Effort, Say, bench_step
from ltocf.data import load_dataset, split_dataset
from ltocf.training import Runtime

WAYS = {
    "evaluate": "evaluation here: lists and every metric",
    "rank": "evaluation here: the lists alone",
    "implicit": "implicit's recommend: the lists alone",
    "loops": "loops over users, as in reference programs",
    "loops_propagating": "  and embeddings again for every 100 users",
}


def quick_bench(
    source: str = "movielens-small",
    *,
    data_dir: Path | None = None,
    dim: int = 64,
    batch_size: int = 2048,
    repeats: int = 3,
    runtime: Runtime | None = None,
    say: Say = lambda line: None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A few training steps and evaluations of this package and of its peers, on one data set.

    Args:
        source: a catalog name, a folder with train.txt and test.txt, or a table file.
        data_dir: the folder of the data sets that have a name.
        dim: length of an embedding.
        batch_size: triples in the batch of a step.
        repeats: steps after one warm-up, and evaluations.
        runtime: device and CPU threads; all that PyTorch finds by default.
        say: receives a line for every stage.
        options: how a table is read, see `ReadOptions`.

    Returns:
        {"step": ..., "ranking": ...}; peers that are not installed or do not fit in memory are under "skipped".

    Raises:
        ValueError: dim, batch_size or repeats < 1, or an unknown data set.
    """
    for name, value in (("dim", dim), ("batch_size", batch_size), ("repeats", repeats)):
        if value < 1:
            raise ValueError(f"`{name}` must be >= 1, got {value}")
    runtime = runtime or Runtime()
    split = split_dataset(load_dataset(source, data_dir=data_dir, **(options or {})))
    dataset = Path(source).name
    effort = Effort(warm_ups=1, repeats=repeats, slow_repeats=repeats)
    with runtime.active() as device:
        common: dict[str, Any] = {"dim": dim, "device": device, "say": say}
        step = bench_step(
            dataset, split.train, USUAL, batch_size=batch_size, threads=runtime.threads, effort=effort, **common
        )
        return {"step": step, "ranking": bench_ranking(dataset, split, repeats=repeats, loop_repeats=1, **common)}


def tables(result: dict[str, Any]) -> list[Table]:
    """The result of `quick_bench` as tables: seconds, and their ratio to those of this package."""
    step, ranking = result["step"], result["ranking"]
    title = f"one training step on {step['dataset']}: dim {step['dim']}, batch {step['batch_size']:,}"
    steps = Table(Column("contender", no_wrap=True), "seconds", "x the filter's", "MB", title=title)
    ours = step["contenders"].get("filter", {}).get("median")
    for name, record in step["contenders"].items():
        ratio = "" if ours is None else f"{record['median'] / ours:.2f}"
        megabytes = f"{record['step_bytes'] / 1e6:,.0f}"
        steps.add_row(CONTENDERS[name].label, f"{record['median']:.4f}", ratio, megabytes)
    for name, reason in step["skipped"].items():
        steps.add_row(CONTENDERS[name].label, "skipped", reason, "")
    title = f"ranking {ranking['n_items']:,} items for {ranking['n_queries']:,} users of {ranking['dataset']}"
    evaluations = Table(Column("way", no_wrap=True), "seconds", "x the evaluation's", title=title)
    for name, seconds in ranking["median"].items():
        evaluations.add_row(WAYS[name], f"{seconds:.3f}", f"{seconds / ranking['median']['evaluate']:.2f}")
    for name, reason in ranking["skipped"].items():
        evaluations.add_row(WAYS[name], "skipped", reason)
    return [steps, evaluations]
