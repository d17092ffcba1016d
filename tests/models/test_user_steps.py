"""A few steps on the vector of a user alone: the gradient is that of the loss, and the loss goes down."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import normalize

from ltocf.data import Histories, Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models import LightGCN
from ltocf.models.user_steps import UserSteps

GENERATOR = torch.Generator().manual_seed(0)
ITEMS = normalize(torch.randn(12, 5, generator=GENERATOR, dtype=torch.float64))
DEGREES = torch.arange(1, 13, dtype=torch.float64)
HISTORIES = Histories(torch.tensor([0, 2, 5, 5]), torch.tensor([0, 7, 1, 2, 3], dtype=torch.int32), 12)


def loss(vectors: torch.Tensor, steps: UserSteps) -> torch.Tensor:
    """The mean over a history of (1 - p^q) / q, or of -log p, written as in the documentation, row by row."""
    shares = steps.n_negatives * DEGREES / DEGREES.sum()
    losses = []
    for row, v in enumerate(vectors):
        touched = HISTORIES.rows(torch.tensor([row])).items.long()
        scores = ITEMS @ v / steps.temperature
        p = scores[touched].exp() / (scores[touched].exp() + (shares * scores.exp()).sum())
        each = (1 - p**steps.robustness) / steps.robustness if steps.robustness else -p.log()
        losses.append(each.mean() if len(touched) else each.sum())
    return torch.stack(losses)


@pytest.mark.parametrize("robustness", [0.0, 0.3])
def test_the_gradient_is_that_of_the_loss(robustness: float) -> None:
    steps = UserSteps(ITEMS, DEGREES, 0.5, n_negatives=20, robustness=robustness)
    vectors = normalize(torch.randn(3, 5, generator=GENERATOR, dtype=torch.float64)).requires_grad_()
    (expected,) = torch.autograd.grad(loss(vectors, steps).sum(), vectors)
    torch.testing.assert_close(steps.gradient(vectors.detach(), HISTORIES), 0.5 * expected)


def test_steps_lower_the_loss_and_leave_an_empty_history_alone() -> None:
    steps = UserSteps(ITEMS, DEGREES, 0.5, n_negatives=20, robustness=0.0)
    start = 3 * normalize(torch.randn(3, 5, generator=GENERATOR, dtype=torch.float64))
    moved = steps.vectors(start, HISTORIES, 5)
    assert bool((loss(moved, steps)[:2] < loss(normalize(start), steps)[:2]).all())
    torch.testing.assert_close(moved[2], normalize(start)[2])
    torch.testing.assert_close(moved.norm(dim=1), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(steps.vectors(start, HISTORIES, 0), normalize(start))


def test_no_step_is_what_the_map_says() -> None:
    log = Interactions.from_pairs([0, 0, 1, 1, 2], [0, 1, 1, 2, 0])
    model = LightGCN(BipartiteGraph.from_interactions(log), dim=4, ranking="cosine", popularity=0.5, temperature=0.2)
    linear, histories = model.user_map(), Histories.of(log)
    found = model.user_steps().scores(linear.vectors(histories), histories, 0)
    torch.testing.assert_close(found, linear.scores(histories))


def test_steps_are_for_cosines() -> None:
    log = Interactions.from_pairs([0, 1], [0, 1])
    with pytest.raises(ValueError, match="`steps` need `ranking = \"cosine\"`, got 'inner_product'"):
        LightGCN(BipartiteGraph.from_interactions(log), dim=4).user_steps()
