"""What a process sends in a step, in theory: a test counts it, the benchmark uses it."""

from __future__ import annotations

from typing import NamedTuple

from ltocf.losses import LossName

NUMBER_BYTES = 4


class Step(NamedTuple):
    """What the traffic of a step depends on.

    Args:
        loss: ``bpr`` or ``softmax``.
        batch_size: B, examples.
        n_negatives: N, the number of negatives of the softmax.
        dim: d, the length of a final embedding.
        world: P, the number of processes.
        n_times: T, the number of learned times.
        pieces: S, the number of pieces that the batch comes in, each with negatives of its own.

    Example:
        >>> step = Step("softmax", batch_size=8192, n_negatives=4096, dim=64, world=2)
        >>> step.sent_bytes() / 1e6, step._replace(loss="bpr").sent_bytes() / 1e6
        (3.145732, 0.065536)
    """

    loss: LossName
    batch_size: int
    n_negatives: int = 0
    dim: int = 64
    world: int = 1
    n_times: int = 0
    pieces: int = 1

    @property
    def columns(self) -> int:
        """c = ceil(d / P), the columns of each process."""
        return -(-self.dim // self.world)

    def sent_bytes(self) -> float:
        """Bytes that a process sends, the mean over the processes.

            BPR       4 · 2 (P - 1) / P · 2 B
            softmax   4 · ((P - 1) / P · 4 B c + S (2 (P - 1) N c + 2 (P - 1) / P))
            times     4 · 2 (P - 1) / P · T

        An all-reduce of n numbers sends 2 (P - 1) / P · n, as a ring does. Rows of users and of positives change
        places once forward and once backward; negatives are gathered, and their gradients are sent back. The last
        number is the loss.
        """
        others = self.world - 1
        if self.loss != "softmax":
            return NUMBER_BYTES * self._reduced(2 * self.batch_size + self.n_times)
        rows = others / self.world * 4 * self.batch_size * self.columns
        negatives = 2 * others * self.pieces * self.n_negatives * self.columns
        return NUMBER_BYTES * (rows + negatives + self._reduced(self.pieces + self.n_times))

    def _reduced(self, numbers: int) -> float:
        return 2 * (self.world - 1) / self.world * numbers
