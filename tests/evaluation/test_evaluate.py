"""Evaluation of scores on withheld pairs: which users are averaged, which items are masked, what is refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ltocf.data.histories import Histories
from ltocf.data.interactions import Interactions
from ltocf.evaluation import METRICS, evaluate, evaluate_per_user, find_hits, rank
from samples import checkerboard, random_interactions


@dataclass
class StoredScores:
    matrix: torch.Tensor

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        return self.matrix.index_select(0, users)


def descending(*rows: list[int]) -> StoredScores:
    """A scorer that ranks all items of each user in the order of their row."""
    return StoredScores(-torch.tensor(rows).argsort(dim=1).float())


def test_values_worked_out_by_hand() -> None:
    scorer = descending([0, 1, 2, 3], [3, 2, 1, 0], [0, 1, 2, 3])
    seen = Interactions.from_pairs([0, 1], [0, 2], 3, 4)
    # User 0 gets 1 2 3 and likes 2; user 1 gets 3 1 0 and likes 3 and 0; user 2 likes nothing and is not averaged.
    truth = Interactions.from_pairs([0, 1, 1], [2, 0, 3], 3, 4)
    measured = evaluate(scorer, truth, seen=seen, ks=(1, 2))
    assert measured == {
        "recall@1": (0 / 1 + 1 / 2) / 2,
        "precision@1": (0 / 1 + 1 / 1) / 2,
        "ndcg@1": (0 + 1) / 2,
        "mrr@1": (0 + 1) / 2,
        "map@1": (0 + 1 / 2) / 2,
        "hit_rate@1": 1 / 2,
        "coverage@1": 2 / 4,
        "recall@2": (1 / 1 + 1 / 2) / 2,
        "precision@2": (1 / 2 + 1 / 2) / 2,
        "ndcg@2": pytest.approx((1 / np.log2(3) + 1 / (1 + 1 / np.log2(3))) / 2, rel=1e-15),
        "mrr@2": (1 / 2 + 1 / 1) / 2,
        "map@2": (1 / 2 + 1 / 2) / 2,
        "hit_rate@2": 1.0,
        "coverage@2": 3 / 4,
    }


def test_evaluate_averages_the_per_user_values(interactions: Interactions) -> None:
    generator = np.random.default_rng(0)
    scores = torch.from_numpy(generator.normal(size=(interactions.n_users, interactions.n_items)))
    withheld = (generator.random(len(interactions)) < 0.3) & (interactions.users != 4)
    train, truth = interactions.where(~withheld), interactions.where(withheld)
    measured = evaluate_per_user(StoredScores(scores), truth, seen=train, ks=(3, 10))
    assert measured.users.tolist() == np.unique(truth.users).tolist()
    assert measured.ranked.shape == (len(measured.users), 10)
    assert set(measured.values) == {f"{name}@{k}" for name in METRICS for k in (3, 10)}
    assert repr(measured).startswith(f"PerUserMetrics(n_users={len(measured.users)}, recall@3=0.")
    means = evaluate(StoredScores(scores), truth, seen=train, ks=(3, 10))
    assert all(means[name] == values.mean().item() for name, values in measured.values.items())
    liked = [set(truth.items[truth.users == user]) for user in measured.users.tolist()]
    for k in (3, 10):
        expected = [
            len(own & set(top[:k])) / len(own) for own, top in zip(liked, measured.ranked.tolist(), strict=True)
        ]
        assert measured.values[f"recall@{k}"].tolist() == expected


def test_the_withheld_cell_of_a_checkerboard_is_found() -> None:
    train, truth = checkerboard()
    colours = torch.arange(20)
    same_colour = StoredScores(((colours[:, None] + colours) % 2 == 0).float())
    measured = evaluate(same_colour, truth, seen=train, ks=(1,))
    assert measured == {f"{name}@1": 1.0 for name in [*METRICS, "coverage"]}
    assert evaluate(same_colour, truth, seen=truth, ks=(1,))["recall@1"] == 0


def test_values_do_not_depend_on_the_block_size_or_on_other_depths() -> None:
    truth, seen = random_interactions(300, 20, seed=1), random_interactions(300, 20, seed=2)
    scorer = StoredScores(torch.from_numpy(np.random.default_rng(0).integers(5, size=(300, 20))).float())
    expected = evaluate(scorer, truth, seen=seen, ks=(5, 20))
    assert evaluate(scorer, truth, seen=seen, ks=[20, 5], block_size=7, show_progress=True) == expected
    alone = evaluate(scorer, truth, seen=seen, ks=(5,))
    assert evaluate(scorer, truth, seen=Histories.of(seen), ks=(5,)) == alone
    assert alone == {name: value for name, value in expected.items() if name.endswith("@5")}


def test_hits_are_the_relevant_items_also_in_lists_that_ran_out() -> None:
    truth, seen = random_interactions(seed=1), random_interactions(density=0.9, seed=2)
    generator = np.random.default_rng(0)
    users = torch.from_numpy(generator.permutation(30))
    ranked = rank(StoredScores(torch.from_numpy(generator.random((30, 40)))), users, 40, seen=seen).items
    assert bool((ranked == -1).any())
    pairs = set(zip(truth.users.tolist(), truth.items.tolist(), strict=True))
    expected = [
        [(user, item) in pairs for item in items] for user, items in zip(users.tolist(), ranked.tolist(), strict=True)
    ]
    assert find_hits(users, ranked, truth).tolist() == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"truth": Interactions.from_pairs([], [], 2, 3)}, "`truth` must have at least one pair, got none"),
        ({"seen": Interactions.from_pairs([0], [0], 2, 4)}, "got 2 x 3 and 2 x 4; build both"),
        ({"seen": Interactions.from_pairs([0], [0], 5, 3)}, "got 2 x 3 and 5 x 3; build both"),
        ({"seen": Histories.of(Interactions.from_pairs([0], [0], 5, 3))}, "got 2 x 3 and 5 x 3; build both"),
        ({"ks": ()}, "`ks` must have at least one length, got none"),
        ({"ks": (1, 0)}, r"every k of `ks` must be in \[1, 3\], got 0"),
        ({"ks": (4, 1)}, r"every k of `ks` must be in \[1, 3\], got 4"),
    ],
)
def test_wrong_arguments_are_refused(change: dict[str, object], message: str) -> None:
    pairs = Interactions.from_pairs([0, 1], [0, 2], 2, 3)
    arguments = {"truth": pairs, "seen": pairs, "ks": (1,)} | change
    with pytest.raises(ValueError, match=message):
        evaluate(StoredScores(torch.zeros(2, 3)), **arguments)
