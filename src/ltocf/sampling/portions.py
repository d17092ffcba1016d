"""Epochs that are a share of a pass over the training pairs: what follows an epoch then comes more often."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from ltocf.sampling.batches import Batch, Batches


class Portions(Batches):
    """The batches of another sampler, in the same order, cut into epochs of so many steps.

        steps of an epoch = max(1, round(share * steps of a pass))

    Args:
        passes: the sampler whose epoch is a pass over all pairs.
        share: of a pass, in (0, 1].

    Raises:
        ValueError: ``share`` out of range.

    Example:
        >>> from ltocf.data import Interactions
        >>> from ltocf.sampling import PairwiseBatches
        >>> log = Interactions.from_pairs([0, 0, 1, 1], [0, 1, 0, 2])
        >>> [len(Portions(PairwiseBatches(log, 1, seed=0), share)) for share in (1, 0.5, 0.1)]
        [4, 2, 1]
    """

    def __init__(self, passes: Batches, share: float | int) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"`share` must be in (0, 1], got {share}")
        # Not those of a table of pairs: all that is asked of a sampler comes from the other one.
        self.passes, self.n_steps = passes, max(1, round(share * len(passes)))
        self.n_examples, self.n_items, self.batch_size = passes.n_examples, passes.n_items, passes.batch_size
        self.seed, self.device = passes.seed, passes.device

    def __len__(self) -> int:
        return self.n_steps

    def epoch(self, epoch: int) -> Iterator[Batch]:
        step, end = epoch * self.n_steps, (epoch + 1) * self.n_steps
        while step < end:
            n_pass, place = divmod(step, len(self.passes))
            last = min(len(self.passes), place + end - step)
            yield from islice(self.passes.epoch(n_pass), place, last)
            step += last - place
