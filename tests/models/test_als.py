"""ALS converges to the solution of both of its half-steps, and folds in with the half-step of the users."""

import numpy as np
import pytest
import torch

from ltocf.data import Histories, Interactions
from ltocf.evaluation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.models import ALS
from ltocf.training import FitContext, TrainingSettings


def random_log(seed: int = 0) -> Interactions:
    users, items = np.nonzero(np.random.default_rng(seed).random((25, 18)) < 0.35)
    return Interactions.from_pairs(users, items, 25, 18)


def trained_model(pairs: Interactions, **options: float) -> ALS:
    model = ALS(BipartiteGraph.from_interactions(pairs), dim=5, seed=1, iterations=60, **options)
    model.prepare()
    return model


@pytest.mark.parametrize("confidence", [4.0, 20.0])
def test_item_factors_are_the_least_squares_solution_given_the_user_factors(confidence: float) -> None:
    pairs = random_log()
    model = trained_model(pairs, penalty=2.0, confidence=confidence)
    users, ratings = model.user_factors.double().numpy(), pairs.matrix().toarray()
    for item in range(pairs.n_items):
        weights = np.where(ratings[:, item] > 0, confidence, 1.0)
        left = (users * weights[:, None]).T @ users + 2.0 * np.eye(5)
        expected = np.linalg.solve(left, (users * weights[:, None]).T @ ratings[:, item])
        np.testing.assert_allclose(model.item_factors[item].numpy(), expected, atol=2e-3)


def test_a_history_folds_in_with_the_direction_of_the_least_squares_solution_given_the_item_factors() -> None:
    pairs = random_log()
    model = trained_model(pairs, penalty=2.0, confidence=4.0)
    folded = model.least_squares().vectors(Histories.of(pairs))
    items, ratings = model.item_factors.double().numpy(), pairs.matrix().toarray()
    weights = np.where(ratings > 0, 4.0, 1.0)
    left = np.einsum("ui,ij,ik->ujk", weights, items, items) + 2.0 * np.eye(5)
    expected = np.linalg.solve(left, ((weights * ratings) @ items)[:, :, None])[:, :, 0]
    directions = [vectors / np.linalg.norm(vectors, axis=1)[:, None] for vectors in (folded.numpy(), expected)]
    np.testing.assert_allclose(*directions, atol=1e-5)
    # The user factors were solved for the item factors of one half-step before.
    assert torch.cosine_similarity(folded, model.user_factors).min() > 0.98


def test_the_numbers_are_chosen_on_validation_and_taken_over() -> None:
    pairs, withheld = random_log(), random_log(1)
    model = ALS(BipartiteGraph.from_interactions(pairs), dim=4, seed=1)
    validation = Validation(withheld, pairs, depth=5)
    context = FitContext(select_by="recall@5")
    result = model.train_on(pairs, settings=TrainingSettings(epochs=6), validation=validation, context=context)
    assert result.best_value == validation(model.scorer())["recall@5"]
    retrained = ALS(BipartiteGraph.from_interactions(pairs), dim=4, seed=1)
    retrained.take_over(model)
    retrained.train_on(pairs, settings=TrainingSettings())
    assert retrained.learned() == model.learned()
    assert torch.equal(retrained.item_factors, model.item_factors)


def test_numbers_out_of_range_are_refused() -> None:
    graph = BipartiteGraph.from_interactions(random_log())
    for options, message in (({"dim": 0}, "`dim`"), ({"penalty": -1.0}, "`penalty`"), ({"confidence": 0.0}, "`confid")):
        with pytest.raises(ValueError, match=message):
            ALS(graph, **options)
