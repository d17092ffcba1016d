"""Fixtures for every test: a small random graph, and the folders with real data, which the project does not contain."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from samples import random_interactions

pytest_plugins = ["reproduce_fixtures"]

# The tensors of the tests are small: a second thread would only wait, here and in the processes that tests start.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadline, because tests do not measure time; derandomised, so that every run draws the same examples.
settings.register_profile("ltocf", deadline=None, derandomize=True)
settings.load_profile("ltocf")

SIBLING = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def interactions() -> Interactions:
    return random_interactions()


@pytest.fixture
def graph(interactions: Interactions) -> BipartiteGraph:
    return BipartiteGraph.from_interactions(interactions)


@pytest.fixture
def embeddings(graph: BipartiteGraph) -> torch.Tensor:
    return torch.randn(graph.n_nodes, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def real_data() -> Path:
    return _folder("LTOCF_DATA", SIBLING / "data", "real interaction data")


@pytest.fixture(scope="session")
def reference() -> Path:
    return _folder("LTOCF_REFERENCE", SIBLING / "reference", "the results of the authors' program")


@pytest.fixture(scope="session")
def metrics_of_users() -> Path:
    """The committed results with the metrics of every test user: 30 MB that are not in the source distribution."""
    folder = Path(__file__).resolve().parents[1] / "results"
    if not any(folder.glob("*/*.safetensors")):
        pytest.skip("needs results/**/*.safetensors, which are in the repository and not in the source distribution")
    return folder


def _folder(variable: str, fallback: Path, what: str) -> Path:
    folder = Path(os.environ.get(variable, fallback))
    if not folder.is_dir():
        pytest.skip(f"needs {what}: set {variable} to the folder")
    return folder
