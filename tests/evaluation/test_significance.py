"""Paired tests against SciPy's own and against permutations; Holm against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ltocf.evaluation.significance import UserResult, compare, compare_results, holm, mean_result


def test_is_the_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.random((2, 50), dtype=np.float32)
    found = compare(first, second)
    assert found.p_value == pytest.approx(stats.ttest_rel(first.astype(float), second.astype(float)).pvalue)
    assert found.difference == pytest.approx(float((first - second).mean()), abs=1e-6)


def shuffled(values: dict[int, float], seed: int, split: str = "one") -> UserResult:
    users = np.random.default_rng(seed).permutation(list(values)).astype(np.int64)
    return UserResult(users, np.array([values[int(user)] for user in users]), split)


def test_users_are_paired_whatever_their_order() -> None:
    generator = np.random.default_rng(3)
    users = generator.choice(1000, 60, replace=False).tolist()
    level = generator.random(60)
    first = dict(zip(users, level + 0.02 + 0.02 * generator.random(60), strict=True))
    second = dict(zip(users, level, strict=True))
    pairs = [(first[user], second[user]) for user in users]
    expected = stats.ttest_rel(*zip(*pairs, strict=True))
    found = compare_results(shuffled(first, 1), shuffled(second, 2))
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.difference == pytest.approx(np.mean([one - other for one, other in pairs]))
    # Paired in the order in which they come, the levels of the users hide a difference that all users have.
    assert compare(shuffled(first, 1).values, shuffled(second, 2).values).p_value > 1000 * expected.pvalue


def test_the_mean_of_seeds_is_by_user() -> None:
    seeds = [{4: 0.1, 7: 0.5, 9: 0.3}, {4: 0.3, 7: 0.7, 9: 0.9}]
    found = mean_result([shuffled(values, seed) for seed, values in enumerate(seeds)])
    assert found.users.tolist() == [4, 7, 9]
    assert found.values.tolist() == pytest.approx([0.2, 0.6, 0.6])
    assert found.split == "one"


def test_results_that_cannot_be_paired_are_refused() -> None:
    values = {0: 0.1, 1: 0.2, 2: 0.4}
    for combine in (compare_results, lambda *results: mean_result(results)):
        with pytest.raises(ValueError, match="results must be of one split, got the digests one and two"):
            combine(shuffled(values, 0), shuffled(values, 0, "two"))
        with pytest.raises(ValueError, match="results must be of the same users, got 2 users that only one of them"):
            combine(shuffled(values, 0), shuffled({0: 0.1, 1: 0.2, 3: 0.4}, 0))
    with pytest.raises(ValueError, match="each user must occur once, got 1 repeated"):
        UserResult(np.array([1, 1]), np.array([0.1, 0.2]), "one")


def test_agrees_with_permutations_on_a_metric_that_is_mostly_zero() -> None:
    generator = np.random.default_rng(1)
    first, second = (generator.random((2, 400)) * (generator.random((2, 400)) < 0.2)).astype(np.float32)
    second *= 0.8
    signs = generator.choice([-1, 1], (20_000, 400))
    differences = first - second
    by_permutation = (np.abs(signs @ differences) >= abs(differences.sum())).mean()
    assert compare(first, second).p_value == pytest.approx(by_permutation, abs=0.02)


def test_equal_methods_do_not_differ() -> None:
    same = np.array([0.1, 0.2, 0.3], np.float32)
    assert compare(same, same) == (0.0, 1.0)


def test_one_user() -> None:
    with pytest.raises(ValueError, match="the same users, at least two, got 1 and 1"):
        compare(np.zeros(1, np.float32), np.zeros(1, np.float32))


def test_holm_rejects_what_its_steps_reject() -> None:
    generator = np.random.default_rng(2)
    for _ in range(50):
        p_values = generator.random(6) ** 3
        rejected = set()
        for step, index in enumerate(np.argsort(p_values)):
            if p_values[index] > 0.05 / (6 - step):
                break
            rejected.add(int(index))
        assert {i for i, p in enumerate(holm(list(p_values))) if p <= 0.05} == rejected
    assert holm([]) == []
