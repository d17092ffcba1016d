"""One contender in its own process, so that its peak memory is its own; it computes only when asked."""

from __future__ import annotations

import importlib
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from ltocf.bench.contenders import CONTENDERS
from ltocf.bench.machine import memory_bandwidth, product_traffic, profile_step
from ltocf.bench.synthetic import FEWEST_PAIRS, power_law
from ltocf.data import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.ode.times import learnable_times, time_parameters
from ltocf.sampling import PairwiseBatches
from ltocf.shapes import Scalar
from ltocf.training.memory import forget_peak, peak_bytes, resident_bytes

LEARNING_RATE = 1e-3
L2 = 1e-4


@dataclass(frozen=True)
class Task:
    """The task of every contender.

    Args:
        folder: holds the training pairs as pairs.npz and receives the contender's results for comparison.
        dim: length of an embedding.
        batch_size: triples of the one batch that every step uses.
        threads: CPU threads, 0 for what PyTorch chooses.
        device: where to compute.
    """

    folder: Path
    dim: int
    batch_size: int
    threads: int
    device: str


def save_pairs(folder: Path, train: Interactions) -> None:
    np.savez(folder / "pairs.npz", users=train.users, items=train.items, sizes=[train.n_users, train.n_items])


def load_pairs(folder: Path) -> Interactions:
    with np.load(folder / "pairs.npz") as saved:
        return Interactions(saved["users"], saved["items"], *saved["sizes"].tolist())


def serve(connection: Connection, name: str, task: Task) -> None:
    """Build the contender, then answer each method named by the parent with what it returns, until ``None``."""
    try:
        contender = RunningContender(name, task)
        connection.send({"result": contender.description()})
        while (method := connection.recv()) is not None:
            connection.send({"result": getattr(contender, method)()})
    except Exception:  # whatever it is, the parent reports it
        connection.send({"error": traceback.format_exc()})


class RunningContender:
    """A contender with its graph, batch and optimiser."""

    def __init__(self, name: str, task: Task) -> None:
        if task.threads:
            torch.set_num_threads(task.threads)
        self.name, self.task, self.device = name, task, torch.device(task.device)
        importlib.import_module(CONTENDERS[name].module)
        # A step on a small graph first: code that a library loads at its first use is not the step's memory.
        self._build(power_law(FEWEST_PAIRS))
        self._train_step()
        # Kept, as in training: a step could use the memory of freed data, and the peak would not show it.
        self.train = load_pairs(task.folder)
        self.base = resident_bytes()
        forget_peak(self.device)
        self._build(self.train)
        self.building_peak = peak_bytes(self.device)

    def _build(self, train: Interactions) -> None:
        task = self.task
        graph = BipartiteGraph.from_interactions(train).to(self.device)
        self.model = CONTENDERS[self.name].build(graph, task.dim).to(self.device)
        self.batch = next(PairwiseBatches(train, task.batch_size, 0, self.device).epoch(0))
        self.graph = graph if CONTENDERS[self.name].keeps_graph else None
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=LEARNING_RATE, fused=True)

    def description(self) -> dict[str, Any]:
        return CONTENDERS[self.name].describe(self.model)

    def save_result(self) -> dict[str, Any]:
        """Loss, final embeddings and gradients of the untouched model, for the parent to compare."""
        loss = self._backward()
        with torch.no_grad():
            final = self.model.propagate(self.model.initial_embeddings).cpu()
        gradient = self.model.initial_embeddings.grad
        assert gradient is not None
        np.save(self.task.folder / f"{self.name}-final.npy", final.numpy())
        np.save(self.task.folder / f"{self.name}-gradient.npy", gradient.cpu().numpy())
        gradients = [times.grad for times in time_parameters(self.model)]
        time_gradients = [float(value) for gradient in gradients if gradient is not None for value in gradient]
        self.model.zero_grad(set_to_none=True)
        return {"loss": loss.item(), "time_gradients": time_gradients}

    def forget_peak(self) -> None:
        forget_peak(self.device)

    def step(self) -> float:
        """Seconds of forward, backward and update."""
        self._synchronise()
        started = perf_counter()
        self._train_step()
        self._synchronise()
        return perf_counter() - started

    def memory(self) -> dict[str, int]:
        """Bytes resident before building, and at the peaks of building and of the steps."""
        return {
            "base_bytes": self.base,
            "building_peak_bytes": self.building_peak,
            "step_peak_bytes": peak_bytes(self.device),
        }

    def details(self) -> dict[str, Any]:
        """Bandwidth, one product and the profile of a step: for contenders that keep the graph."""
        if self.graph is None:
            raise ValueError(f"details need a contender that keeps the graph, got {self.name!r}; take `filter`")
        bandwidth = memory_bandwidth(self.device)
        product = product_traffic(self.graph, self.task.dim, bandwidth["triad_gb_per_second"])
        return {"bandwidth": bandwidth, "product": product, "profile": profile_step(self._train_step)}

    def _backward(self) -> Scalar:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model(self.batch).total(L2)
        loss.backward()
        detached: Scalar = loss.detach()
        return detached

    def _train_step(self) -> None:
        self._backward()
        self.optimizer.step()
        for times in learnable_times(self.model):
            times.project_()

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
