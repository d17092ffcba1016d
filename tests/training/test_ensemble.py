"""Weights of a sum of scorers: planted answers, checked by the plain ranking of the whole catalogue."""

import pytest
import torch

from ltocf.data import Interactions
from ltocf.evaluation import Validation
from ltocf.training.ensemble import ROUNDS, choose_weights, spreads


class FixedScores:
    def __init__(self, scores: torch.Tensor) -> None:
        self.table = scores

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        return self.table[users]


def random_tastes(n_users: int, n_items: int, seed: int = 0) -> tuple[Interactions, Interactions, torch.Tensor]:
    """Seen and withheld pairs of users with random tastes, and the tastes."""
    generator = torch.Generator().manual_seed(seed)
    tastes = torch.randn(n_users, n_items, generator=generator)
    best = tastes.topk(6, dim=1).indices
    users = torch.arange(n_users).repeat_interleave(3)
    seen = Interactions.from_pairs(users.numpy(), best[:, ::2].flatten().numpy(), n_users, n_items)
    truth = Interactions.from_pairs(users.numpy(), best[:, 1::2].flatten().numpy(), n_users, n_items)
    return seen, truth, tastes


def test_two_noisy_copies_of_the_truth_get_equal_weights_and_noise_none() -> None:
    seen, truth, tastes = random_tastes(300, 60)
    noise = torch.randn(3, 300, 60, generator=torch.Generator().manual_seed(1))
    scorers = [FixedScores(10 * (tastes + noise[0])), FixedScores(tastes + noise[1]), FixedScores(noise[2])]

    found = choose_weights(scorers, Validation(truth, seen, depth=5))

    assert found.weights[0] == pytest.approx(0.5, abs=0.15)
    assert found.weights[2] <= 0.15
    assert sum(found.weights) == pytest.approx(1)
    assert found.value > max(found.alone)


def test_the_value_is_what_the_sum_gets_on_the_whole_catalogue() -> None:
    seen, truth, tastes = random_tastes(80, 40, seed=2)
    noise = torch.randn(2, 80, 40, generator=torch.Generator().manual_seed(3))
    tables = [tastes + noise[0], 3 * (tastes + noise[1])]
    validation = Validation(truth, seen, depth=4)

    found = choose_weights([FixedScores(table) for table in tables], validation)

    def standardised(table: torch.Tensor) -> torch.Tensor:
        return table / table.std(dim=1, correction=0, keepdim=True)

    summed = sum(w * standardised(table) for w, table in zip(found.weights, tables, strict=True))
    assert isinstance(summed, torch.Tensor)
    assert found.value == pytest.approx(validation(FixedScores(summed))["ndcg@4"])
    for table, alone in zip(tables, found.alone, strict=True):
        assert alone == pytest.approx(validation(FixedScores(table))["ndcg@4"])


def test_a_single_scorer_has_all_the_weight_whatever_its_scale() -> None:
    seen, truth, tastes = random_tastes(30, 20)
    validation = Validation(truth, seen, depth=3)
    values = {choose_weights([FixedScores(scale * tastes)], validation).value for scale in (1e-3, 1.0, 1e3)}
    assert len(values) == 1
    assert choose_weights([FixedScores(tastes)], validation).weights == (1.0,)


def test_of_equal_scorers_the_first_is_taken_alone() -> None:
    seen, truth, tastes = random_tastes(30, 20)
    found = choose_weights([FixedScores(tastes), FixedScores(tastes)], Validation(truth, seen, depth=3))
    assert found.weights == (1.0, 0.0)


def test_weights_are_multiples_of_a_share() -> None:
    seen, truth, tastes = random_tastes(60, 30, seed=4)
    noise = torch.randn(2, 60, 30, generator=torch.Generator().manual_seed(5))
    found = choose_weights(
        [FixedScores(tastes + noise[0]), FixedScores(tastes + noise[1])], Validation(truth, seen, depth=5)
    )
    assert any(found.weights[0] * n == pytest.approx(round(found.weights[0] * n)) for n in range(1, ROUNDS + 1))


@pytest.mark.parametrize("seed", range(4))
def test_no_member_is_left_without_which_the_selection_would_be_better(seed: int) -> None:
    seen, truth, tastes = random_tastes(120, 50, seed)
    noise = torch.randn(5, 120, 50, generator=torch.Generator().manual_seed(10 + seed))
    noise[1] = 0.8 * noise[0] + 0.6 * noise[1]  # good ones that err alike, and a bad one that errs otherwise
    scorers = [FixedScores(tastes + scale * part) for scale, part in zip((0.9, 1, 1, 1.1, 3), noise, strict=True)]
    validation = Validation(truth, seen, depth=5)

    found = choose_weights(scorers, validation)

    members = [scorer for scorer, weight in zip(scorers, found.weights, strict=True) if weight]
    for place in range(len(members)):
        assert choose_weights(members[:place] + members[place + 1 :], validation).value <= found.value


def test_items_that_are_not_available_stay_out() -> None:
    seen, truth, tastes = random_tastes(30, 20)
    barred = tastes.clone()
    barred[:, ::2] = -torch.inf
    validation = Validation(truth, seen, depth=3)
    found = choose_weights([FixedScores(barred)], validation)
    assert found.value == pytest.approx(validation(FixedScores(barred))["ndcg@3"])


def test_spreads_ignore_what_is_not_available() -> None:
    scores = torch.tensor([[1.0, 2.0, 6.0, -torch.inf]])
    assert spreads(scores).item() == pytest.approx(scores[0, :3].std(correction=0).item())


def test_no_scorers_are_refused() -> None:
    seen, truth, _ = random_tastes(5, 10)
    with pytest.raises(ValueError, match="at least one"):
        choose_weights([], Validation(truth, seen, depth=3))


@pytest.mark.parametrize("offset", [0.0, 1.0, 1000.0, -5000.0])
def test_spreads_of_scores_far_from_zero_are_exact(offset: float) -> None:
    scores = (torch.rand(3, 500, generator=torch.Generator().manual_seed(0)) + offset).float()
    assert spreads(scores)[:, 0].tolist() == pytest.approx(scores.double().std(1, correction=0).tolist())


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1e-20, 7e20])
def test_equal_scores_have_no_spread(value: float) -> None:
    assert spreads(torch.full((2, 1001), value)).tolist() == [[1.0], [1.0]]
