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
        blocks: R, the number of blocks of nodes; the columns have P / R shares.
        n_nodes: n, the number of users and items.
        n_products: K, the number of products of the graph, forward and backward together.

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
    blocks: int = 1
    n_nodes: int = 0
    n_products: int = 0

    @property
    def shares(self) -> int:
        """C = P / R, the number of shares of the columns."""
        return self.world // self.blocks

    @property
    def columns(self) -> int:
        """c = ceil(d / C), the number of columns of each process."""
        return -(-self.dim // self.shares)

    def sent_bytes(self) -> float:
        """Bytes that a process sends, the mean over the processes.

            BPR       4 · 2 (C - 1) / C · 2 B
            softmax   4 · ((C - 1) / C · 4 B c + S (2 (C - 1) N c + 2 (C - 1) / C))
            times     4 · 2 (P - 1) / P · T
            blocks    4 · ((R - 1) ceil(n / R) c K + 2 (R - 1) / R · (2 B + S N) c),   for BPR with B in place of S N

        An all-reduce of n numbers sends 2 (P - 1) / P · n, as a ring does. Rows of users and of positives change
        places once forward and once backward; negatives are gathered, and their gradients are sent back. The last
        number is the loss. Blocks gather each other's rows before each product, and at the end the rows of a batch.
        """
        return NUMBER_BYTES * (self.numbers_of_columns() + self.numbers_of_blocks())

    def numbers_of_columns(self) -> float:
        """Numbers sent to the processes with other columns, and gradients of the times to all."""
        others, times = self.shares - 1, _reduced(self.n_times, self.world)
        if self.loss != "softmax":
            return _reduced(2 * self.batch_size, self.shares) + times
        rows = others / self.shares * 4 * self.batch_size * self.columns
        negatives = 2 * others * self.pieces * self.n_negatives * self.columns
        return rows + negatives + _reduced(self.pieces, self.shares) + times

    def numbers_of_blocks(self) -> float:
        """Numbers sent to the processes with other nodes."""
        negatives = self.pieces * self.n_negatives if self.loss == "softmax" else self.batch_size
        rows = 2 * self.batch_size + negatives
        shown = (self.blocks - 1) * -(-self.n_nodes // self.blocks) * self.columns * self.n_products
        return shown + _reduced(rows * self.columns, self.blocks)


def _reduced(numbers: int, world: int) -> float:
    return 2 * (world - 1) / world * numbers
