"""How close the sparse product comes to the machine's memory bandwidth, and where the rest of a step goes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from ltocf.bench.contenders import FLOAT_BYTES
from ltocf.graph import BipartiteGraph

N_FLOATS = 1 << 26
PARTS = {
    "sparse products": ("aten::_embedding_bag_forward_only", "aten::_embedding_bag", "aten::addmm", "aten::mm"),
    "recurrence and sum of the series": ("aten::addcmul_", "aten::add_", "aten::add"),
    "inner products for the times": ("aten::dot",),
    "scaling, zeros and copies": (
        "aten::mul",
        "aten::mul_",
        "aten::div",
        "aten::div_",
        "aten::zero_",
        "aten::fill_",
        "aten::copy_",
    ),
    "Adam": ("aten::_fused_adam_",),
    "gather and scatter of the batch": ("aten::index_select", "aten::index_add_", "aten::scatter_add_"),
}


def seconds_of(call: Callable[[], Any], repeats: int) -> float:
    """Median seconds of a call, after a first one that is not counted."""
    seconds = []
    for _ in range(repeats + 1):
        started = perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(perf_counter() - started)
    return median(seconds[1:])


def memory_bandwidth(device: torch.device, repeats: int = 7) -> dict[str, float]:
    """GB/s of STREAM's copy a = b and triad a = b + s c on arrays far beyond the caches.

    Source: McCalpin, STREAM, https://www.cs.virginia.edu/stream/ref.html; a store counts once, as there.
    """
    first, second, third = (torch.ones(N_FLOATS, device=device) for _ in range(3))
    size = N_FLOATS * FLOAT_BYTES / 1e9
    copy = seconds_of(lambda: first.copy_(second), repeats)
    triad = seconds_of(lambda: torch.add(second, third, alpha=3.0, out=first), repeats)
    return {"copy_gb_per_second": 2 * size / copy, "triad_gb_per_second": 3 * size / triad}


def product_traffic(graph: BipartiteGraph, dim: int, bandwidth: float, repeats: int = 9) -> dict[str, float]:
    """Seconds of A E, and the rates at which it would move the fewest and the most bytes.

    Fewest: matrix, operand and result once each. Most: the matrix and the result once, and a row of the operand for
    every stored value, as though nothing stayed in a cache. A rate above the bandwidth is what the caches save.
    """
    embeddings = torch.randn(graph.n_nodes, dim, device=graph.user_indices.device)
    seconds = seconds_of(lambda: deque(graph.neighbour_sums(embeddings), maxlen=0), repeats)
    n_nonzero = 2 * len(graph.user_indices)
    n_used = sum(int((offsets.diff() > 0).sum()) for offsets in (graph.user_offsets, graph.item_offsets))
    row = dim * FLOAT_BYTES
    fixed = n_nonzero * 4 + (graph.n_nodes + 2) * 4 + graph.n_nodes * row
    least, most = fixed + n_used * row, fixed + n_nonzero * row
    return {
        "seconds": seconds,
        "least_bytes": least,
        "most_bytes": most,
        "least_gb_per_second": least / seconds / 1e9,
        "most_gb_per_second": most / seconds / 1e9,
        "least_share_of_triad": least / seconds / 1e9 / bandwidth,
        "most_share_of_triad": most / seconds / 1e9 / bandwidth,
        "gflops": 2 * n_nonzero * dim / seconds / 1e9,
    }


def profile_step(step: Callable[[], Any], repeats: int = 3, n_listed: int = 14) -> dict[str, Any]:
    """Milliseconds of one step by part and by operator, each operator without those it calls."""
    on_device = torch.cuda.is_available()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_device else [])]
    step()
    started = perf_counter()
    with profile(activities=activities) as recorded:
        for _ in range(repeats):
            step()
    wall = (perf_counter() - started) / repeats * 1e3
    attribute = "self_device_time_total" if on_device else "self_cpu_time_total"
    operators: dict[str, dict[str, float]] = {
        event.key: {"milliseconds": getattr(event, attribute) / 1e3 / repeats, "calls": event.count / repeats}
        for event in recorded.key_averages()
    }
    listed = sorted(operators.items(), key=lambda entry: -entry[1]["milliseconds"])[:n_listed]
    return {"milliseconds": wall, "parts": _parts(operators), "operators": dict(listed)}


def _parts(operators: dict[str, dict[str, float]]) -> dict[str, float]:
    parts = {
        part: sum(operators[name]["milliseconds"] for name in names if name in operators)
        for part, names in PARTS.items()
    }
    everything = sum(entry["milliseconds"] for entry in operators.values())
    return parts | {"everything else": everything - sum(parts.values())}
