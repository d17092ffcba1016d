"""Passes over the training pairs, cut into steps and epochs: what follows every epoch then happens more often."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ltocf.sampling.batches import Batch, Batches


class Portions:
    """The batches of a sampler, in the same order, grouped into steps, and the steps into epochs.

        steps of a pass = ceil(batches of a pass / pieces),   steps of an epoch = max(1, round(share * steps of a pass))

    Args:
        passes: the sampler whose epoch is a pass over all pairs.
        share: share of a pass that is an epoch, in (0, 1].
        pieces: batches of the sampler that make a step, >= 1; the last step of a pass may have fewer.

    Raises:
        ValueError: ``share`` or ``pieces`` out of range.

    Example:
        >>> from ltocf.data import Interactions
        >>> from ltocf.sampling import PairwiseBatches
        >>> log = Interactions.from_pairs([0, 0, 1, 1], [0, 1, 0, 2])
        >>> [len(Portions(PairwiseBatches(log, 1, seed=0), share)) for share in (1, 0.5, 0.1)]
        [4, 2, 1]
        >>> [len(step) for step in Portions(PairwiseBatches(log, 1, seed=0), 1, pieces=3).steps(0)]
        [3, 1]
    """

    def __init__(self, passes: Batches, share: float | int, pieces: int = 1) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"`share` must be in (0, 1], got {share}")
        if pieces < 1:
            raise ValueError(f"`pieces` must be >= 1, got {pieces}")
        self.passes, self.pieces = passes, pieces
        self.steps_of_a_pass = -(-len(passes) // pieces)
        self.n_steps = max(1, round(share * self.steps_of_a_pass))
        self.seed, self.device = passes.seed, passes.device

    def __len__(self) -> int:
        """Steps per epoch."""
        return self.n_steps

    def steps(self, epoch: int) -> Iterator[tuple[Batch, ...]]:
        """The steps of one epoch, the same for the same seed and epoch."""
        step, end = epoch * self.n_steps, (epoch + 1) * self.n_steps
        while step < end:
            n_pass, place = divmod(step, self.steps_of_a_pass)
            last = min(self.steps_of_a_pass, place + end - step)
            batches = islice(self.passes.epoch(n_pass), place * self.pieces, None)
            for _ in range(place, last):
                yield tuple(islice(batches, self.pieces))
            step += last - place
