"""HistoryRegression against its equation, computed event by event with dense matrices."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from ltocf.data import Interactions
from ltocf.evaluation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.models import HistoryRegression, history_regression
from ltocf.training import FitContext, TrainingSettings

N_USERS, N_ITEMS = 14, 9
EVERYBODY = torch.arange(N_USERS)


def random_log(seed: int = 0, order: str = "one after the other", weighted: bool = False) -> Interactions:
    random = np.random.default_rng(seed)
    users, items = np.nonzero(random.random((N_USERS, N_ITEMS)) < 0.6)
    moments = {
        "one after the other": random.permutation(len(users)),
        "with ties": random.integers(0, 4, len(users)),
        "none": None,
    }[order]
    weights = random.uniform(0.5, 2.0, len(users)) if weighted else None
    return Interactions.from_pairs(users, items, N_USERS, N_ITEMS, timestamps=moments, weights=weights)


def fitted(pairs: Interactions, **options: Any) -> HistoryRegression:
    model = HistoryRegression(
        BipartiteGraph.from_interactions(pairs), **{"recency": "auto", "item_exponent": 0.0} | options
    )
    model.prepare()
    return model


def relative_weights(pairs: Interactions) -> np.ndarray:
    return np.ones(len(pairs)) if pairs.weights is None else pairs.weights / pairs.weights.mean()


def ratings_of(pairs: Interactions) -> np.ndarray:
    ratings = np.zeros((N_USERS, N_ITEMS))
    ratings[pairs.users, pairs.items] = relative_weights(pairs)
    return ratings


def singular_vectors(pairs: Interactions, rank: int) -> np.ndarray:
    users, items = (np.maximum(degrees, 1) for degrees in (pairs.user_degrees, pairs.item_degrees))
    return np.linalg.svd(ratings_of(pairs) / np.sqrt(users)[:, None] / np.sqrt(items))[2][:rank].T


def map_by_hand(pairs: Interactions, rank: int, penalty: float, q: float) -> np.ndarray:
    """The map from a history to scores with b = 0, from one event after the other."""
    relative = relative_weights(pairs)
    degrees = np.maximum(pairs.item_degrees, 1).astype(float)
    y = singular_vectors(pairs, rank) * degrees[:, None] ** -0.4
    gram, targets = np.zeros((rank, rank)), np.zeros((rank, N_ITEMS))
    for user in range(N_USERS):
        (of_user,) = np.nonzero(pairs.users == user)
        for t in of_user:
            x = np.zeros(rank)
            for j in of_user:
                if pairs.timestamps is None:
                    gap = int(j != t)
                else:
                    moments = pairs.timestamps[of_user]
                    # The number of items after each: those of the same moment share it.
                    gap = int((moments > pairs.timestamps[j]).sum() - (moments > pairs.timestamps[t]).sum())
                if gap > 0:
                    x += relative[j] * gap**-q * y[pairs.items[j]]
            if np.linalg.norm(x) > 0:
                c = relative[t] / np.linalg.norm(x)
                gram += c * np.outer(x, x)
                targets[:, pairs.items[t]] += c * x
    ridge = gram + penalty * np.trace(gram) / rank * np.eye(rank)
    return y @ np.linalg.solve(ridge, targets)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("order", ["one after the other", "with ties", "none"])
@pytest.mark.parametrize(("rank", "penalty", "q"), [(9, 0.1, 1.0), (9, 2.0, 0.0), (4, 0.5, 1.7)])
def test_scores_follow_the_equation(order: str, weighted: bool, rank: int, penalty: float, q: float) -> None:
    pairs = random_log(order=order, weighted=weighted)
    model = fitted(pairs, rank=rank, penalty=penalty, nearness=q)
    expected = ratings_of(pairs) @ map_by_hand(pairs, rank, penalty, q)
    np.testing.assert_allclose(model.scores(EVERYBODY).numpy(), expected, rtol=2e-4, atol=2e-5)


def test_the_coefficients_minimise_the_penalised_squares() -> None:
    pairs = random_log()
    model = fitted(pairs, penalty=0.3)
    sums = model._sums_over_events()
    ridge = sums.gram.double() + 0.3 * sums.gram.diagonal().double().mean() * torch.eye(model.rank)
    # The gradient of the sum of squares and of the penalty, halved, at its minimum.
    gradient = model.coefficients.double() @ ridge - sums.targets.double()
    assert gradient.abs().max() < 1e-5 * sums.targets.abs().max()


def test_an_item_that_always_comes_next_is_first() -> None:
    """A cycle: whoever touched item i touches item i + 1 next."""
    users = np.repeat(np.arange(60), 5)
    starts = np.random.default_rng(1).integers(0, 12, 60)
    items = (np.repeat(starts, 5) + np.tile(np.arange(5), 60)) % 12
    pairs = Interactions.from_pairs(users, items, 60, 12, timestamps=np.tile(np.arange(5), 60))
    model = fitted(pairs, penalty=0.01, nearness=3.0)
    model.numbers[-2] = 3.0  # the power of recency
    following = torch.from_numpy((starts + 5) % 12)
    scores = model.scores(torch.arange(60)).scatter(1, torch.from_numpy(items.reshape(60, 5)), -torch.inf)
    assert (scores.argmax(1) == following).all()


@pytest.mark.parametrize("b", [-0.2, 0.3])
def test_scores_are_divided_by_the_degree_to_the_item_exponent(b: float) -> None:
    pairs = random_log()
    degrees = torch.from_numpy(pairs.item_degrees).clamp(min=1)
    plain, divided = fitted(pairs), fitted(pairs, item_exponent=b)
    torch.testing.assert_close(divided.scores(EVERYBODY), plain.scores(EVERYBODY) * degrees**-b)


@pytest.mark.parametrize("order", ["one after the other", "with ties", "none"])
def test_the_order_is_read_if_there_is_one(order: str) -> None:
    assert fitted(random_log(order=order)).reads_order == (order != "none")


def test_histories_are_sets_if_recency_is_off() -> None:
    in_order, as_sets = (fitted(random_log(order=order), recency="off") for order in ("one after the other", "none"))
    assert not in_order.reads_order
    torch.testing.assert_close(in_order.scores(EVERYBODY), as_sets.scores(EVERYBODY))


def test_histories_beyond_the_longest_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = random_log()
    monkeypatch.setattr(history_regression, "LONGEST_HISTORY", 5)
    limited = fitted(pairs)
    long = pairs.user_degrees > 5
    assert 0 < long.sum() < N_USERS
    sums = limited._sums_over_events()
    monkeypatch.undo()
    by_user = Interactions.from_pairs(
        pairs.users[~long[pairs.users]],
        pairs.items[~long[pairs.users]],
        N_USERS,
        N_ITEMS,
        timestamps=pairs.timestamps[~long[pairs.users]],
    )
    shorter = HistoryRegression(BipartiteGraph.from_interactions(by_user), recency="auto")
    shorter.item_vectors.copy_(limited.item_vectors)
    for found, expected in zip(sums, shorter._sums_over_events(), strict=True):
        torch.testing.assert_close(found, expected)


def test_the_sums_are_not_kept_without_a_search() -> None:
    assert fitted(random_log())._kept is None


def test_blocks_of_any_size_give_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted(random_log())
    expected = model._sums_over_events()
    monkeypatch.setattr(history_regression, "NUMBERS_AT_A_TIME", 1)
    for found, sums in zip(model._sums_over_events(), expected, strict=True):
        torch.testing.assert_close(found, sums)


def test_a_user_without_a_second_item_is_scored_too() -> None:
    pairs = Interactions.from_pairs([0, 0, 1, 1, 2], [0, 1, 0, 1, 0], timestamps=[1, 2, 1, 2, 1])
    scores = fitted(pairs).scores(torch.tensor([2]))[0]
    assert scores[1] > scores[0]


def test_nobody_with_two_items_gives_scores_of_zero() -> None:
    pairs = Interactions.from_pairs([0, 1, 2], [0, 1, 2], timestamps=[1, 2, 3])
    assert fitted(pairs).scores(torch.arange(3)).tolist() == [[0.0] * 3] * 3


def test_the_search_keeps_the_best_numbers_and_computes_the_sums_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, truth = random_log(), random_log(seed=3)
    computed = 0
    sums: Callable[[HistoryRegression], object] = HistoryRegression._sums_over_events

    def counted(model: HistoryRegression) -> object:
        nonlocal computed
        computed += 1
        return sums(model)

    monkeypatch.setattr(HistoryRegression, "_sums_over_events", counted)
    model = HistoryRegression(BipartiteGraph.from_interactions(pairs), recency="auto")
    tried: list[dict[str, float]] = []
    context = FitContext(on_epoch=tried.append, select_by="ndcg@3")
    found = model.train_on(
        pairs, settings=TrainingSettings(epochs=20), validation=Validation(truth, pairs, depth=3), context=context
    )
    assert computed == 1
    assert model._kept is None
    assert found.best_value == max(each["ndcg@3"] for each in tried)
    assert len({each["penalty"] for each in tried}) > 1
    assert len({each["item_exponent"] for each in tried}) > 1
    best = tried[found.best_epoch - 1]
    assert model.learned() == {name: best[name] for name in model.learned()}
    again = fitted(pairs, penalty=best["penalty"], item_exponent=best["item_exponent"])
    torch.testing.assert_close(model.coefficients, again.coefficients)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rank": 0}, "`rank` must be >= 1, got 0"),
        ({"penalty": 0.0}, "`penalty` must be finite and > 0, got 0.0"),
        ({"nearness": -1.0}, "`nearness` must be finite and >= 0, got -1.0"),
        ({"nearness": float("inf")}, "`nearness` must be finite and >= 0, got inf"),
        ({"item_exponent": float("nan")}, "`item_exponent` must be finite and > -inf, got nan"),
    ],
)
def test_numbers_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HistoryRegression(BipartiteGraph.from_interactions(random_log()), **options)
