"""What a CUDA graph needs of a training step, as far as it shows without a GPU, and the order of a recording."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import GCMC, LTOCF, MF, NGCF, EmbeddingRecommender, LightGCN, PinSage
from ltocf.ode.times import learnable_times
from ltocf.sampling import Batch, PairwiseBatches
from ltocf.training import TrainingSettings, fit
from ltocf.training.cuda_graphs import WARM_UPS, RecordedStep

READING_OPERATIONS = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal")
"""Operations whose result the CPU needs: each waits for the GPU."""


class ReadError(Exception):
    """A value was read."""


class NoReading(TorchDispatchMode):
    """A context in which an operation that would wait for a GPU is an error."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(name in str(operation) for name in READING_OPERATIONS):
            raise ReadError(str(operation))
        return operation(*args, **kwargs or {})


MODELS: list[tuple[type[EmbeddingRecommender], dict[str, Any]]] = [
    (LTOCF, {"solver": "exact", "connection": "residual", "loss": "softmax", "horizon": 3.0}),
    (LTOCF, {"solver": "exact", "loss": "bpr", "operator": "laplacian", "precision": "bfloat16"}),
    (LTOCF, {"solver": "rk4", "loss": "bpr"}),
    (LTOCF, {"solver": "euler", "learnable_times": False, "steps_per_interval": 2}),
    (LightGCN, {"loss": "softmax"}),
    (NGCF, {"variant": "published"}),
    (GCMC, {"variant": "published"}),
    (PinSage, {"variant": "published"}),
    (MF, {"loss": "bpr"}),
]


def training_step(model: EmbeddingRecommender, batch: Batch) -> None:
    model(batch).total(1e-4).backward()
    for times in learnable_times(model):
        times.project_()


@pytest.mark.parametrize(("build", "options"), MODELS, ids=str)
def test_a_step_of_a_frozen_model_reads_nothing(
    build: Any, options: dict[str, Any], interactions: Interactions
) -> None:
    model = build(BipartiteGraph.from_interactions(interactions), dim=4, **options)
    assert model.freeze()
    with NoReading():
        for batch in model.batches(interactions, 32, seed=0).epoch(0):
            training_step(model, batch)


def test_a_step_that_chooses_its_degree_reads_values(graph: BipartiteGraph, interactions: Interactions) -> None:
    model = LTOCF(graph, dim=4, solver="exact")
    (batch, *_) = PairwiseBatches(interactions, 32, seed=0).epoch(0)
    with pytest.raises(ReadError), NoReading():
        training_step(model, batch)


@pytest.mark.parametrize(
    "options",
    [{"solver": "adams_moulton"}, {"solver": "dopri5"}, {"solver": "exact", "propagation": "solver"}],
    ids=str,
)
def test_models_whose_steps_read_values_cannot_be_frozen(graph: BipartiteGraph, options: dict[str, Any]) -> None:
    assert not LTOCF(graph, dim=4, **options).freeze()
    assert not MF(graph, dim=4, loss="softmax", adaptive_temperature=0.5).freeze()


def test_freezing_keeps_the_coefficients_and_their_gradient(graph: BipartiteGraph) -> None:
    model = LTOCF(graph, dim=4, solver="exact", horizon=3.0)
    free = model.coefficients()
    (expected,) = torch.autograd.grad(free.square().sum(), model.times.values)
    assert model.freeze()
    frozen = model.coefficients()
    torch.testing.assert_close(frozen, free)
    torch.testing.assert_close(torch.autograd.grad(frozen.square().sum(), model.times.values)[0], expected)
    with torch.no_grad():
        model.times.values.copy_(torch.tensor([0.1, 0.2, 0.3]))
    assert model.freeze()
    assert len(model.coefficients()) != len(free)


class FakeGraph:
    """Stands for `torch.cuda.CUDAGraph`: counts how often it is replayed."""

    def __init__(self) -> None:
        self.replays = 0

    def replay(self) -> None:
        self.replays += 1


@contextmanager
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    class Stream:
        def wait_stream(self, other: Any) -> None: ...

    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", lambda graph: nullcontext())
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: nullcontext())
    yield


def batch_of(n: int, value: int) -> Batch:
    return Batch(*(torch.full((n,), value) for _ in range(3)))


def test_warm_ups_are_steps_and_batches_of_another_size_are_not_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[int, int]] = []

    def step(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        steps.append((len(batch.users), int(batch.users[0])))
        return batch.users.sum(), batch.users.sum()

    with fake_cuda(monkeypatch):
        recorded = RecordedStep(step)
        for value in range(WARM_UPS):
            recorded(batch_of(4, value))
        assert steps == [(4, value) for value in range(WARM_UPS)]
        recorded(batch_of(4, 7))
        assert len(steps) == WARM_UPS + 1  # the recording itself
        recorded(batch_of(4, 8))
        assert (len(steps), recorded.inputs.users.tolist()) == (WARM_UPS + 1, [8] * 4)
        assert isinstance(recorded.graph, FakeGraph)
        assert recorded.graph.replays == 2
        recorded(batch_of(3, 9))
        assert steps[-1] == (3, 9)
        assert recorded.graph.replays == 2


def test_cuda_graphs_need_a_gpu(graph: BipartiteGraph, interactions: Interactions) -> None:
    settings = TrainingSettings(cuda_graphs=True, epochs=1)
    with pytest.raises(ValueError, match="`cuda_graphs` needs a CUDA GPU, the batches are on cpu"):
        fit(MF(graph, dim=4), PairwiseBatches(interactions, 32, seed=0), settings=settings)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(("build", "options"), MODELS, ids=str)
def test_replayed_steps_train_the_same_weights(build: Any, options: dict[str, Any], interactions: Interactions) -> None:
    trained = []
    for cuda_graphs in (False, True):
        model = build(BipartiteGraph.from_interactions(interactions), dim=4, **options).to("cuda")
        settings = TrainingSettings(cuda_graphs=cuda_graphs, epochs=4, learning_rate=0.01)
        fit(model, model.batches(interactions, 16, 0, "cuda"), settings=settings)
        trained.append({name: value.cpu() for name, value in model.state_dict().items()})
    torch.testing.assert_close(trained[1], trained[0], atol=1e-4, rtol=1e-3)


class _CopiesToDevice(TorchDispatchMode):
    """Records the operations that copy from the CPU to another device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        devices = [tensor.device.type for tensor in args if isinstance(tensor, torch.Tensor)]
        if isinstance(result, torch.Tensor) and result.device.type != "cpu" and "cpu" in devices:
            self.found.append(str(func))
        return result


def test_coefficients_of_a_frozen_model_copy_nothing_to_the_device(graph: BipartiteGraph) -> None:
    """A copy from ordinary memory cannot be recorded; a device without memory stands for the GPU."""
    model = LTOCF(graph, dim=4, solver="exact")
    assert model.freeze()
    model.times.to("meta")
    model.coefficients()  # the first call moves nodes and transform to the device
    with _CopiesToDevice() as copies:
        assert model.coefficients().device.type == "meta"
    assert copies.found == []
    with _CopiesToDevice() as copies:
        torch.ones(2).to("meta")
    assert copies.found
