"""Drift: how the numbers of recency change as histories grow, against planted answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ltocf.data import Interactions, Split, carve_validation
from ltocf.data.histories import Histories
from ltocf.graph import BipartiteGraph
from ltocf.models import EASE, LTOCF, Blend, drift
from ltocf.models.drift import NO_DRIFT, Cut, Drift, measured_drift
from ltocf.models.recency import log_trend
from samples import random_interactions

N_USERS, N_TOPICS, ITEMS_OF_TOPIC = 1000, 60, 40
LENGTH, PART = 30, 6


def sessions(shares: tuple[float, float, float], seed: int = 0) -> tuple[Interactions, Interactions]:
    """Train and validation of users who move between topics, by a rule for each of three parts of their histories.

    The parts are the beginning, the part before the validation set, and the validation set. With the given share the
    next item is of the topic of the last one, with a tenth of a random topic, else of that of a random item so far.
    """
    rng = np.random.default_rng(seed)
    items = np.zeros((N_USERS, LENGTH), np.int64)
    for user in range(N_USERS):
        topics, seen = [int(rng.integers(N_TOPICS))], set[int]()
        for place in range(LENGTH):
            part = max(0, (place - LENGTH + 3 * PART) // PART)
            drawn, share = rng.random(), shares[part]
            if drawn < 0.1:
                topics.append(int(rng.integers(N_TOPICS)))
            else:
                topics.append(topics[-1] if drawn < 0.1 + 0.9 * share else int(rng.choice(topics)))
            while (item := topics[-1] * ITEMS_OF_TOPIC + int(rng.integers(ITEMS_OF_TOPIC))) in seen:
                topics[-1] = int(rng.integers(N_TOPICS)) if rng.random() < 0.1 else topics[-1]
            seen.add(item)
            items[user, place] = item
    users, places = np.divmod(np.arange(items.size), LENGTH)
    log = Interactions.from_pairs(users, items.ravel(), N_USERS, N_TOPICS * ITEMS_OF_TOPIC, places=places)
    assert log.places is not None
    return log.where(log.places < LENGTH - PART), log.where(log.places >= LENGTH - PART)


def test_the_power_falls_if_the_last_items_cease_to_matter() -> None:
    assert measured_drift(*sessions((0.8, 0.8, 0.1))).power < 0.7
    assert measured_drift(*sessions((0.8, 0.1, 0.8))).power > 1.4


@pytest.mark.parametrize("share", [0.2, 0.8])
def test_the_power_stays_if_the_rule_stays(share: float) -> None:
    assert 0.8 < measured_drift(*sessions((share, share, share))).power < 1.25


def test_the_best_power_is_that_of_the_cubic() -> None:
    powers = np.array(drift.POWERS)
    places = powers / (1 + powers)
    for best in (0.3, 0.8, 2.0):
        top = best / (1 + best)
        curve = 0.1 - (places - top) ** 2 + 0.2 * (places - top) ** 3
        (found,) = drift._peaks(curve[None])
        assert found == pytest.approx(best, rel=0.02)


def planted_cut(slope: float, seed: int) -> Cut:
    """Histories in order, and counts afterwards that follow the trend of each item with a slope."""
    rng = np.random.default_rng(seed)
    n_users, n_items = 4_000, 200
    lateness = rng.normal(size=n_items)
    users = np.repeat(np.arange(n_users), 10)
    chosen = rng.random((n_users, n_items)).argsort(axis=1)[:, :10]
    places = (lateness[chosen] + 2 * rng.normal(size=chosen.shape)).argsort(axis=1).argsort(axis=1)
    before = Interactions.from_pairs(users, chosen.ravel(), n_users, n_items, places=places.ravel())
    rates = before.item_degrees * np.exp(-1.2 + slope * log_trend(Histories.of(before), "items").numpy())
    counts = rng.poisson(rates)
    drawn = np.concatenate([rng.choice(n_users, count, replace=False) for count in counts])
    return Cut(before, Interactions.from_pairs(drawn, np.repeat(np.arange(n_items), counts), n_users, n_items))


def test_the_slope_of_the_trend_and_its_standard_error_are_right() -> None:
    found = np.array([drift.trend_slope(planted_cut(0.8, seed)) for seed in range(25)])
    scores = (found[:, 0] - 0.8) / found[:, 1]
    assert abs(scores.mean()) < 3 / 5
    assert 0.65 < scores.std() < 1.4
    assert found[:, 1].max() < 0.2


@pytest.mark.parametrize("n_items", [21, 51, 201])
def test_one_item_that_spreads_suddenly_does_not_upset_the_slope(n_items: int) -> None:
    rng = np.random.default_rng(n_items)
    degrees, trend = rng.integers(60, 120, n_items).astype(float), rng.normal(0, 0.3, n_items)
    degrees[0], trend[0] = 1.0, 0.0
    counts = rng.poisson(0.25 * degrees * np.exp(0.5 * trend)).astype(float)
    columns = np.column_stack([np.ones(n_items), np.log(degrees), trend])
    without, _ = drift._last_coefficient(columns[1:], degrees[1:], counts[1:])
    counts[0] = 3_000
    slope, error = drift._last_coefficient(columns, degrees, counts)
    assert abs(slope - without) < 2 * error


def test_a_slope_that_the_data_do_not_determine_changes_nothing() -> None:
    degrees, counts = np.array([6.0, 4.0, 6.0]), np.array([2.0, 4.0, 2.0])
    columns = np.column_stack([np.ones(3), np.log(degrees), [0.2, 0.1, 0.2]])
    slope, error = drift._last_coefficient(columns, degrees, counts)
    assert drift._shrunk(slope, error) == pytest.approx(1, abs=0.05)


def test_the_trend_grows_as_its_slope_does() -> None:
    slow, fast = planted_cut(0.5, 0), planted_cut(1.0, 1)
    assert drift._trend_factor(slow, fast) == pytest.approx(2.0, rel=0.25)
    assert drift._trend_factor(fast, slow) == pytest.approx(0.5, rel=0.25)
    assert drift._trend_factor(planted_cut(-0.5, 2), fast) == 1.0


def test_the_order_is_needed_and_the_validation_set_must_be_the_end() -> None:
    train, validation = sessions((0.8, 0.8, 0.1))
    assert measured_drift(train, validation) != NO_DRIFT
    sets = [Interactions.from_pairs(p.users, p.items, p.n_users, p.n_items) for p in (train, validation)]
    assert measured_drift(*sets) == NO_DRIFT
    log = train.union(validation)
    at_random = np.random.default_rng(0).random(len(log)) < 0.2
    assert measured_drift(log.where(~at_random), log.where(at_random)) == NO_DRIFT


def test_both_parts_have_as_many_pairs_whatever_the_ties() -> None:
    rng = np.random.default_rng(0)
    users, items = np.repeat(np.arange(50), 12), np.concatenate([rng.permutation(90)[:12] for _ in range(50)])
    days = rng.integers(0, 4, len(users)) * 86_400
    log = Interactions.from_pairs(users, items, 50, 90, timestamps=days)
    split = carve_validation(Split(log, log.where(np.zeros(len(log), bool))), 0.2, how="last")
    assert split.validation is not None
    cuts = drift._cuts(split.train, split.validation, seed=0)
    assert cuts is not None
    (earlier, held), (before, after) = cuts
    assert (held.user_degrees == after.user_degrees).all()
    assert before is split.train
    assert earlier.timestamps is not None
    assert held.timestamps is not None
    for user in range(50):
        assert earlier.timestamps[earlier.users == user].max() <= held.timestamps[held.users == user].min()


def test_new_items_do_not_make_the_others_older() -> None:
    train, validation = sessions((0.8, 0.8, 0.8))
    cuts = drift._cuts(train, validation, seed=0)
    assert cuts is not None
    # Everybody has touched an item that nobody had before, after everything else.
    last = Interactions.from_pairs(
        np.arange(N_USERS), np.full(N_USERS, train.n_items), N_USERS, train.n_items + 1, places=np.full(N_USERS, LENGTH)
    )
    larger = [Cut(*(replace(pairs, n_items=train.n_items + 1) for pairs in cut)) for cut in cuts]
    found = drift.best_powers([larger[0], Cut(larger[1].before.union(last), larger[1].after)])[0]
    assert found == pytest.approx(drift.best_powers(cuts)[0], rel=0.05)


def test_many_pairs_are_sampled_by_users(monkeypatch: pytest.MonkeyPatch) -> None:
    train, validation = sessions((0.8, 0.8, 0.1))
    monkeypatch.setattr(drift, "MOST_PAIRS", (len(train) + len(validation)) // 2)
    cuts = drift._cuts(train, validation, seed=0)
    assert cuts is not None
    (earlier, held), (before, after) = cuts
    assert len(before) + len(after) == pytest.approx(drift.MOST_PAIRS, rel=0.01)
    assert (earlier.union(held).keys == before.keys).all()
    assert (held.user_degrees == after.user_degrees).all()
    assert len(after.user_degrees) == before.n_users < N_USERS
    assert measured_drift(train, validation).power < 0.8


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 60), st.integers(0, 99), st.booleans())
def test_any_small_log_gives_factors_within_bounds(
    n_users: int, n_items: int, n_pairs: int, seed: int, ties: bool
) -> None:
    rng = np.random.default_rng(seed)
    users, items = rng.integers(0, n_users, n_pairs), rng.integers(0, n_items, n_pairs)
    when = rng.integers(0, 3 if ties else 10**9, n_pairs)
    log = Interactions.from_pairs(users, items, n_users, n_items, timestamps=when)
    assert log.timestamps is not None
    late = log.timestamps > np.median(log.timestamps) if n_pairs else np.zeros(0, bool)
    factors = measured_drift(log.where(~late), log.where(late), seed)
    assert all(0.5 <= factor <= 2 for factor in factors)


def test_models_in_order_multiply_their_numbers_and_others_stay() -> None:
    log = random_interactions(20, 30, 0.3)
    ordered = Interactions.from_pairs(log.users, log.items, 20, 30, timestamps=np.arange(len(log)))
    for pairs, factors in ((ordered, (0.5, 3.0)), (log, (1.0, 1.0))):
        graph = BipartiteGraph.from_interactions(pairs)
        trained = LTOCF(graph, 4, recency="auto", ranking="cosine", loss="softmax", choose_ranking=True)
        assert trained.ranking_numbers is not None
        trained.ranking_numbers.set({"power": 0.8, "trend": 0.4})
        closed = EASE(graph, recency="auto")
        if pairs is ordered:
            closed.numbers[-2:] = torch.tensor([0.8, 0.4])
        before = closed.numbers.clone()
        blend = Blend(graph, [{"model": "ease", "recency": "auto"}])
        blend.hold([closed], [1.0])
        for model in (trained, closed, blend):
            model.extrapolate(Drift(0.5, 3.0))
        in_days = EASE(graph, recency="auto")
        if pairs is ordered:
            in_days.in_days.fill_(1)
            in_days.numbers[-2:] = torch.tensor([0.8, 0.4])
            in_days.extrapolate(Drift(0.5, 3.0))
            assert in_days.numbers[-2:].tolist() == pytest.approx([0.8, 0.4])
        power, trend = 0.8 * factors[0], 0.4 * factors[1]
        assert trained.ranking_numbers.recency[::2] == pytest.approx((power, trend))
        if pairs is ordered:
            assert closed.numbers[-2:].tolist() == pytest.approx([power, trend])
            assert closed.numbers[:-2].equal(before[:-2])
        else:
            assert closed.numbers.equal(before)
        assert blend.models[0].state_dict()["numbers"].equal(closed.numbers)
