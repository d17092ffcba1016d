"""The paired test against SciPy's and against permutations; Holm's correction against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ltocf.evaluation.significance import UserResult, compare, compare_results, holm, mean_result


def test_the_p_value_is_that_of_the_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.random((2, 50), dtype=np.float32)
    found = compare(first, second)
    assert found.p_value == pytest.approx(stats.ttest_rel(first.astype(float), second.astype(float)).pvalue)
    assert found.difference == pytest.approx(float((first - second).mean()), abs=1e-6)


def shuffled(values: dict[int, float], seed: int, split: str = "one") -> UserResult:
    """The values of the users, with the users in random order."""
    users = np.random.default_rng(seed).permutation(list(values)).astype(np.int64)
    return UserResult(users, np.array([values[int(user)] for user in users]), split)


def test_users_are_paired_whatever_their_order() -> None:
    generator = np.random.default_rng(3)
    users = generator.choice(1000, 60, replace=False).tolist()
    levels = generator.random(60)
    first = dict(zip(users, levels + 0.02 + 0.02 * generator.random(60), strict=True))
    second = dict(zip(users, levels, strict=True))
    pairs = [(first[user], second[user]) for user in users]
    expected = stats.ttest_rel(*zip(*pairs, strict=True))
    found = compare_results(shuffled(first, 1), shuffled(second, 2))
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.difference == pytest.approx(np.mean([left - right for left, right in pairs]))
    # Paired without regard to the users, their different levels would hide a difference that every user has.
    assert compare(shuffled(first, 1).values, shuffled(second, 2).values).p_value > 1000 * expected.pvalue


def test_the_mean_of_several_seeds_is_taken_by_user() -> None:
    values_of_seeds = [{4: 0.1, 7: 0.5, 9: 0.3}, {4: 0.3, 7: 0.7, 9: 0.9}]
    found = mean_result([shuffled(values, seed) for seed, values in enumerate(values_of_seeds)])
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


def test_the_p_value_agrees_with_permutations_on_a_metric_that_is_mostly_zero() -> None:
    generator = np.random.default_rng(1)
    first, second = (generator.random((2, 400)) * (generator.random((2, 400)) < 0.2)).astype(np.float32)
    second *= 0.8
    signs = generator.choice([-1, 1], (20_000, 400))
    differences = first - second
    by_permutation = (np.abs(signs @ differences) >= abs(differences.sum())).mean()
    # Four standard errors of 20,000 permutations are at most 0.014; the rest is that differences are not normal.
    assert compare(first, second).p_value == pytest.approx(by_permutation, abs=0.02)


def test_equal_methods_do_not_differ() -> None:
    same = np.array([0.1, 0.2, 0.3], np.float32)
    assert compare(same, same) == (0.0, 1.0)


def test_a_single_user_is_refused() -> None:
    with pytest.raises(ValueError, match="the same users, at least two, got 1 and 1"):
        compare(np.zeros(1, np.float32), np.zeros(1, np.float32))


def test_holm_rejects_the_same_hypotheses_as_its_step_by_step_definition() -> None:
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
