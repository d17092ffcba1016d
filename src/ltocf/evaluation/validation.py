"""The withheld pairs that choose among epochs, numbers and settings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ltocf.data.interactions import Interactions
from ltocf.evaluation.evaluate import evaluate
from ltocf.evaluation.ranks import ALONE, Ranks
from ltocf.evaluation.top_k import Lister, Scorer


@dataclass(frozen=True)
class Validation:
    """Evaluates any scorer on the withheld pairs.

    Args:
        truth: the withheld pairs.
        seen: pairs left out of the lists: those trained on.
        depth: length of the lists.
        n_users: number of users to evaluate, drawn once; 0: all who have a withheld pair, or the model's own choice.
        seed: seed of the draw.
        may_sample: False if all users must be evaluated, as for a test set.
        ranks: processes, each of which ranks its share of the users.

    Example:
        >>> from ltocf.models import Popularity
        >>> log = Interactions.from_pairs([0, 0, 1], [0, 1, 0])
        >>> Validation(log, seen=log, depth=1)(Popularity(log))["recall@1"]
        0.0
    """

    truth: Interactions
    seen: Interactions
    depth: int = 20
    n_users: int = 0
    seed: int = 0
    may_sample: bool = True
    ranks: Ranks = ALONE

    def __post_init__(self) -> None:
        if self.n_users and self.may_sample:
            object.__setattr__(self, "truth", sample_users(self.truth, self.seed, self.n_users))

    def __call__(self, scorer: Scorer | Lister) -> dict[str, float]:
        """Every metric at ``depth``, averaged over the users."""
        return evaluate(scorer, self.truth, seen=self.seen, ks=[self.depth], ranks=self.ranks)

    def of_at_most(self, n_users: int) -> Validation:
        """The same with a sample of the users, unless their number was set or all must be evaluated."""
        return self if self.n_users else replace(self, n_users=n_users)


def sample_users(truth: Interactions, seed: int, n_users: int) -> Interactions:
    """The pairs of ``n_users`` random users of ``truth``, or all pairs if there are no more users than that.

    Example:
        >>> sample_users(Interactions.from_pairs([0, 1, 1, 2], [0, 0, 1, 2]), seed=0, n_users=1).users.tolist()
        [2]
    """
    users = np.flatnonzero(truth.user_degrees)
    if len(users) <= n_users:
        return truth
    chosen = np.zeros(truth.n_users, dtype=bool)
    chosen[np.random.default_rng(seed).choice(users, n_users, replace=False)] = True
    return truth.where(chosen[truth.users])
