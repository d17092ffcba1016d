"""SequenceKNN against its equation, computed pair by pair."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from ltocf.data import Interactions
from ltocf.evaluation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.models import SequenceKNN
from ltocf.training import FitContext, TrainingSettings

N_USERS, N_ITEMS = 12, 9


def random_log(seed: int = 0, ordered: bool = True) -> Interactions:
    random = np.random.default_rng(seed)
    users, items = np.nonzero(random.random((N_USERS, N_ITEMS)) < 0.6)
    moments = random.permutation(len(users)) if ordered else None
    return Interactions.from_pairs(users, items, N_USERS, N_ITEMS, timestamps=moments)


def similarities_by_hand(pairs: Interactions, q: float, a: float, b: float, window: int) -> np.ndarray:
    """The similarities of the equation, one pair of items of one user after the other."""
    found = np.zeros((N_ITEMS, N_ITEMS))
    for user in range(N_USERS):
        of_user = pairs.users == user
        history = pairs.items[of_user]
        if pairs.timestamps is not None:
            history = history[np.argsort(pairs.timestamps[of_user])]
        for j, touched in enumerate(history):
            for i, scored in enumerate(history):
                distance = abs(i - j) if pairs.timestamps is not None else 1
                if i != j and distance <= window:
                    found[touched, scored] += len(history) ** -0.8 * (1 + distance) ** -q
    degrees = np.maximum(pairs.item_degrees, 1).astype(float)
    return found * degrees[:, None] ** -a * degrees[None] ** -b


@pytest.mark.parametrize(("q", "a", "b", "window"), [(1.0, 0.5, 0.3, 30), (0.5, 0.0, 0.6, 2), (2.0, 0.4, 0.4, 1)])
def test_scores_follow_the_equation(q: float, a: float, b: float, window: int) -> None:
    pairs = random_log()
    graph = BipartiteGraph.from_interactions(pairs)
    model = SequenceKNN(graph, nearness=q, history_exponent=a, item_exponent=b, window=window)
    model.prepare()
    expected = pairs.matrix().toarray() @ similarities_by_hand(pairs, q, a, b, window)
    np.testing.assert_allclose(model.scores(torch.arange(N_USERS)).numpy(), expected, rtol=1e-5, atol=1e-7)


def test_without_an_order_all_items_of_a_history_are_one_place_apart() -> None:
    pairs = random_log(ordered=False)
    model = SequenceKNN(BipartiteGraph.from_interactions(pairs), nearness=1.5, history_exponent=0.5)
    model.prepare()
    expected = pairs.matrix().toarray() @ similarities_by_hand(pairs, 1.5, 0.5, 0.3, 30)
    np.testing.assert_allclose(model.scores(torch.arange(N_USERS)).numpy(), expected, rtol=1e-5, atol=1e-7)
    assert not model.reads_order


def test_items_of_the_same_moment_are_nearest() -> None:
    pairs = Interactions.from_pairs([0, 0, 0, 1], [0, 1, 2, 0], timestamps=[5, 5, 9, 1])
    graph = BipartiteGraph.from_interactions(pairs)
    model = SequenceKNN(graph, nearness=1.0, history_exponent=0.0, item_exponent=0.0)
    model.prepare()
    scores = model.scores(torch.tensor([1]))[0]
    # The places of the first two items are 0 apart, those of the first and the third 1.
    assert scores[1] / scores[2] == pytest.approx((1 + 1) / (1 + 0))


def test_a_reversed_order_gives_the_same_neighbours() -> None:
    pairs = random_log()
    reversed_pairs = Interactions.from_pairs(pairs.users, pairs.items, N_USERS, N_ITEMS, timestamps=-pairs.timestamps)
    models = [SequenceKNN(BipartiteGraph.from_interactions(each)) for each in (pairs, reversed_pairs)]
    for model in models:
        model.prepare()
    torch.testing.assert_close(*(model.scores(torch.arange(N_USERS)) for model in models))


def test_only_the_k_nearest_of_each_item_of_a_history_vote() -> None:
    pairs = random_log()
    model = SequenceKNN(BipartiteGraph.from_interactions(pairs), k=3)
    model.prepare()
    model.numbers[0] = 3.0
    whole = similarities_by_hand(pairs, 0.5, 0.4, 0.3, 30)
    cut = np.sort(whole, axis=1)[:, -3:-2]
    expected = pairs.matrix().toarray() @ np.where(whole >= cut, whole, 0.0)
    np.testing.assert_allclose(model.scores(torch.arange(N_USERS)).numpy(), expected, rtol=1e-5, atol=1e-7)


def test_a_search_computes_the_sum_once_for_each_nearness(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = random_log()
    truth = Interactions.from_pairs(range(N_USERS), np.arange(N_USERS) % N_ITEMS, N_USERS, N_ITEMS)
    model = SequenceKNN(BipartiteGraph.from_interactions(pairs))
    summed, matrices = [], []
    user_sums, set_numbers = SequenceKNN._user_sums, SequenceKNN.set_numbers

    def recorded_sums(self: SequenceKNN, nearness: float) -> Any:
        summed.append(nearness)
        return user_sums(self, nearness)

    def recorded_numbers(self: SequenceKNN, numbers: Any) -> None:
        set_numbers(self, numbers)
        matrices.append(([*numbers], self.similarities.clone()))

    monkeypatch.setattr(SequenceKNN, "_user_sums", recorded_sums)
    monkeypatch.setattr(SequenceKNN, "set_numbers", recorded_numbers)
    model.train_on(
        pairs,
        settings=TrainingSettings(epochs=30),
        validation=Validation(truth, pairs, 5),
        context=FitContext(select_by="ndcg@5"),
    )
    changes = sum(numbers[1:] != before[1:] for (before, _), (numbers, _) in itertools.pairwise(matrices))
    moves = sum(numbers[1] != before[1] for (before, _), (numbers, _) in itertools.pairwise(matrices))
    assert len(summed) == 1 + moves < changes
    for numbers, similarities in matrices:
        fresh = SequenceKNN(BipartiteGraph.from_interactions(pairs), 200, *numbers[1:])
        fresh.prepare()
        torch.testing.assert_close(similarities, fresh.similarities)
    assert model._kept is None


@pytest.mark.parametrize(
    ("options", "message"),
    [({"nearness": -1.0}, "`nearness` must be"), ({"window": 0}, "`window` must be"), ({"k": 0}, "`k` must be")],
)
def test_numbers_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SequenceKNN(BipartiteGraph.from_interactions(random_log()), **options)
