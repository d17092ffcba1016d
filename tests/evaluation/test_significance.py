"""Paired tests against SciPy's own and against permutations; Holm against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ltocf.evaluation.significance import compare, holm


def test_is_the_paired_t_test() -> None:
    generator = np.random.default_rng(0)
    first, second = generator.random((2, 50), dtype=np.float32)
    found = compare(first, second)
    assert found.p_value == pytest.approx(stats.ttest_rel(first.astype(float), second.astype(float)).pvalue)
    assert found.difference == pytest.approx(float((first - second).mean()), abs=1e-6)


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
