"""A few gradient steps on the vector of a user alone: the gradient is that of the loss, and the loss falls."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from ltocf.data import Histories, Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import LightGCN
from ltocf.models.user_steps import UserSteps


def random_vectors(n: int, seed: int) -> torch.Tensor:
    """Vectors of length 1."""
    return normalize(torch.randn(n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64))


ITEMS = random_vectors(12, seed=0)
DEGREES = torch.arange(1, 13, dtype=torch.float64)
HISTORIES = Histories(torch.tensor([0, 2, 5, 5]), torch.tensor([0, 7, 1, 2, 3], dtype=torch.int32), 12)


def history_losses(vectors: torch.Tensor, steps: UserSteps) -> torch.Tensor:
    """The mean over a history of (1 - p^q) / q, or of -log p, written as in the documentation, row by row."""
    shares = steps.n_negatives * DEGREES / DEGREES.sum()
    losses = []
    for row, v in enumerate(vectors):
        touched = HISTORIES.rows(torch.tensor([row])).items.long()
        scores = ITEMS @ v / steps.temperature
        p = scores[touched].exp() / (scores[touched].exp() + (shares * scores.exp()).sum())
        item_losses = (1 - p**steps.robustness) / steps.robustness if steps.robustness else -p.log()
        losses.append(item_losses.mean() if len(touched) else item_losses.sum())
    return torch.stack(losses)


@pytest.mark.parametrize("robustness", [0.0, 0.3])
def test_the_gradient_is_that_of_the_loss(robustness: float) -> None:
    steps = UserSteps(ITEMS, DEGREES, 0.5, n_negatives=20, robustness=robustness)
    vectors = random_vectors(3, seed=1).requires_grad_()
    (expected,) = torch.autograd.grad(history_losses(vectors, steps).sum(), vectors)
    torch.testing.assert_close(steps.gradient(vectors.detach(), HISTORIES), 0.5 * expected)


def test_steps_lower_the_loss_and_leave_an_empty_history_alone() -> None:
    steps = UserSteps(ITEMS, DEGREES, 0.5, n_negatives=20, robustness=0.0)
    start = 3 * random_vectors(3, seed=2)
    moved = steps.vectors(start, HISTORIES, 5)
    assert bool((history_losses(moved, steps)[:2] < history_losses(normalize(start), steps)[:2]).all())
    torch.testing.assert_close(moved[2], normalize(start)[2])
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(steps.vectors(start, HISTORIES, 0), normalize(start))


def test_without_steps_the_scores_are_those_of_the_map() -> None:
    log = Interactions.from_pairs([0, 0, 1, 1, 2], [0, 1, 1, 2, 0])
    model = LightGCN(BipartiteGraph.from_interactions(log), dim=4, ranking="cosine", popularity=0.5, temperature=0.2)
    linear, histories = model.user_map(), Histories.of(log)
    found = model.user_steps().scores(linear.vectors(histories), histories, 0)
    torch.testing.assert_close(found, linear.scores(histories))


def test_steps_need_the_cosine_ranking() -> None:
    log = Interactions.from_pairs([0, 1], [0, 1])
    with pytest.raises(ValueError, match="`steps` need `ranking = \"cosine\"`, got 'inner_product'"):
        LightGCN(BipartiteGraph.from_interactions(log), dim=4).user_steps()
