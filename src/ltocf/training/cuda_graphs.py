"""A training step as one CUDA graph: on a GPU, launching its hundreds of kernels takes longer than running them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ltocf.sampling import Batch

WARM_UPS = 3
"""Steps before the recording, in which libraries allocate what they keep."""


class RecordedStep:
    """Run the first steps without a recording, record the next one, and replay the recording from then on.

    Every call is a real step, also those before the recording. A batch of another size than the first, such as the last
    one of an epoch, runs without the recording.

    Args:
        step: an update by a batch that never waits for the GPU and whose kernels depend on no value; it returns
            tensors, which the next call overwrites.

    Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
    """

    def __init__(self, step: Callable[[Batch], tuple[Tensor, Tensor]]) -> None:
        self.step, self.warm_ups = step, 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Batch) -> tuple[Tensor, Tensor]:
        if self.warm_ups == 0:
            weights = None if batch.weights is None else batch.weights.clone()
            self.inputs = Batch(batch.users.clone(), batch.positives.clone(), batch.negatives.clone(), weights)
        if _shapes(batch) != _shapes(self.inputs):
            return self.step(batch)
        if self.warm_ups < WARM_UPS:
            self.warm_ups += 1
            return self._on_side_stream(batch)
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.outputs = self.step(self.inputs)
        for static, part in zip(self.inputs, batch, strict=True):
            if static is not None and part is not None:
                static.copy_(part)
        self.graph.replay()
        return self.outputs

    def _on_side_stream(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Run the step on a side stream: what runs before a recording must not use the default stream."""
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            outputs = self.step(batch)
        torch.cuda.current_stream().wait_stream(stream)
        return outputs


def _shapes(batch: Batch) -> list[torch.Size | None]:
    return [None if part is None else part.shape for part in batch]
