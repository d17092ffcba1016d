"""Metric values against fractions worked out by hand, and properties that hold for every list."""

from __future__ import annotations

from math import log2

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ltocf.evaluation import METRICS, Metric, coverage

# Places of the hits, length of the list, number of relevant items, and the value of each metric.
CASES = [
    (
        [1, 3],
        5,
        3,
        {
            "recall": 2 / 3,
            "precision": 2 / 5,
            "ndcg": (1 / log2(2) + 1 / log2(4)) / (1 / log2(2) + 1 / log2(3) + 1 / log2(4)),
            "mrr": 1 / 1,
            "map": (1 / 1 + 2 / 3) / 3,
            "hit_rate": 1,
        },
    ),
    (
        [2, 4],
        4,
        10,
        {
            "recall": 2 / 10,
            "precision": 2 / 4,
            "ndcg": (1 / log2(3) + 1 / log2(5)) / (1 / log2(2) + 1 / log2(3) + 1 / log2(4) + 1 / log2(5)),
            "mrr": 1 / 2,
            "map": (1 / 2 + 2 / 4) / 10,
            "hit_rate": 1,
        },
    ),
    ([], 3, 2, {"recall": 0, "precision": 0, "ndcg": 0, "mrr": 0, "map": 0, "hit_rate": 0}),
    (
        [3],
        3,
        1,
        {
            "recall": 1 / 1,
            "precision": 1 / 3,
            "ndcg": (1 / log2(4)) / (1 / log2(2)),
            "mrr": 1 / 3,
            "map": (1 / 3) / 1,
            "hit_rate": 1,
        },
    ),
]


def hits_at(places: list[int], k: int) -> torch.Tensor:
    return torch.tensor([[place in places for place in range(1, k + 1)]])


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(("places", "k", "n_relevant", "expected"), CASES)
def test_values_worked_out_by_hand(
    name: str, places: list[int], k: int, n_relevant: int, expected: dict[str, float]
) -> None:
    value = METRICS[name](hits_at(places, k), torch.tensor([n_relevant]))
    assert value.dtype == torch.float64
    assert value.item() == pytest.approx(expected[name], rel=1e-15)


def test_the_value_of_a_user_does_not_depend_on_the_others() -> None:
    hits = torch.cat([hits_at([1, 3], 5), hits_at([], 5), hits_at([2], 5)])
    n_relevant = torch.tensor([3, 2, 1])
    for metric in METRICS.values():
        alone = [metric(hits[u : u + 1], n_relevant[u : u + 1]).item() for u in range(3)]
        assert metric(hits, n_relevant).tolist() == alone


@st.composite
def lists(draw: st.DrawFn) -> tuple[torch.Tensor, torch.Tensor]:
    k = draw(st.integers(1, 30))
    hits = torch.tensor(draw(st.lists(st.lists(st.booleans(), min_size=k, max_size=k), min_size=1, max_size=5)))
    missed = draw(st.lists(st.integers(0, 40), min_size=len(hits), max_size=len(hits)))
    return hits, (hits.sum(dim=1) + torch.tensor(missed)).clamp(min=1)


@settings(deadline=None)
@given(case=lists())
@pytest.mark.parametrize("name", METRICS)
def test_values_are_in_the_unit_interval(name: str, case: tuple[torch.Tensor, torch.Tensor]) -> None:
    values = METRICS[name](*case)
    assert values.min() >= 0
    assert values.max() <= 1


@settings(deadline=None)
@given(case=lists())
@pytest.mark.parametrize("name", ["ndcg", "mrr", "map", "hit_rate"])
def test_moving_hits_to_the_front_is_never_worse(name: str, case: tuple[torch.Tensor, torch.Tensor]) -> None:
    hits, n_relevant = case
    in_front = hits.sort(dim=1, descending=True).values
    assert bool((METRICS[name](in_front, n_relevant) >= METRICS[name](hits, n_relevant) - 1e-15).all())


@pytest.mark.parametrize("n_relevant", [1, 3, 7, 50])
@pytest.mark.parametrize("k", [1, 7, 20])
def test_a_perfect_list_gives_one(k: int, n_relevant: int) -> None:
    perfect, relevant = hits_at(list(range(1, min(k, n_relevant) + 1)), k), torch.tensor([n_relevant])
    values = {name: metric(perfect, relevant).item() for name, metric in METRICS.items()}
    assert values["ndcg"] == values["mrr"] == values["hit_rate"] == 1
    # At most k relevant items fit into the list, and at most `n_relevant` places can be filled with them.
    assert values["recall"] == values["map"] == min(k, n_relevant) / n_relevant
    assert values["precision"] == min(k, n_relevant) / k


@pytest.mark.parametrize("name", ["recall", "ndcg", "map"])
def test_without_relevant_items_the_value_is_nan(name: str) -> None:
    assert METRICS[name](hits_at([], 3), torch.tensor([0])).isnan().all()


def test_coverage_counts_each_item_once_and_ignores_empty_places() -> None:
    assert coverage(torch.tensor([[0, 1], [1, 4], [-1, -1]]), 10) == 3 / 10
    assert coverage(torch.tensor([[-1]]), 10) == 0
    assert coverage(torch.arange(10)[None], 10) == 1


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_is_parsed_from_its_own_text(name: str) -> None:
    assert Metric.parse(f"{name}@7") == Metric(name, 7)
    assert str(Metric.parse(f"{name}@7")) == f"{name}@7"


@pytest.mark.parametrize(
    "text", ["recall", "recall@", "recall@0", "recall@-1", "recall@2.5", "recall@²", "Recall@5", "@5"]
)
def test_other_texts_are_no_metrics(text: str) -> None:
    with pytest.raises(ValueError, match=f"one of {', '.join(METRICS)} at a depth >= 1.*got '{text}'"):
        Metric.parse(text)


def test_a_metric_needs_a_depth_of_at_least_one() -> None:
    with pytest.raises(ValueError, match="got 'recall@0'"):
        Metric("recall", 0)
