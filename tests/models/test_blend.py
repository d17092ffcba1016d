"""A blend scores by the weighted sum of its members, each the same model as on its own."""

import pytest
import torch

from ltocf.data import Histories, Interactions
from ltocf.evaluation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.models import Blend, build_model
from ltocf.models.blend_map import blended
from ltocf.training import FitContext, TrainingSettings

MEMBERS = [{"model": "spectral", "rank": 6}, {"model": "lightgcn", "dim": 5}, {"model": "ease", "penalty": 3.0}]
USERS = torch.arange(30)


def random_log(share: float = 0.3, seed: int = 0) -> Interactions:
    touched = torch.rand(30, 20, generator=torch.Generator().manual_seed(seed)) < share
    users, items = touched.nonzero(as_tuple=True)
    return Interactions.from_pairs(users.numpy(), items.numpy(), 30, 20)


def build_blend(log: Interactions, weights: list[float] | None = None) -> Blend:
    model = Blend(BipartiteGraph.from_interactions(log), MEMBERS, seed=3)
    if weights is not None:
        model.weights.copy_(torch.tensor(weights))
    model.prepare()
    return model.eval()


def test_scores_are_the_sum_of_standardised_scores() -> None:
    log = random_log()
    graph, model = BipartiteGraph.from_interactions(log), build_blend(log, [0.5, 0.3, 0.2])
    expected = torch.zeros(30, 20)
    for weight, table in zip([0.5, 0.3, 0.2], MEMBERS, strict=True):
        options = {name: value for name, value in table.items() if name != "model"}
        alone = build_model(str(table["model"]), graph, options, seed=3).eval()
        alone.prepare()
        scores = alone.scores(USERS)
        expected += weight * scores / scores.std(dim=1, correction=0, keepdim=True)
    torch.testing.assert_close(model.scores(USERS), expected)


def test_a_member_of_weight_zero_is_not_scored() -> None:
    log = random_log()
    model = build_blend(log, [0.0, 1.0, 0.0])
    members = model.models
    alone = members[1].scores(USERS)
    torch.testing.assert_close(model.scores(USERS), alone / alone.std(dim=1, correction=0, keepdim=True))
    assert len(model.scorer().scorers) == 1


def test_named_parts_add_up_to_the_score() -> None:
    log = random_log()
    model = build_blend(log, [0.5, 0.3, 0.2])
    score_map, histories = model.score_map(), Histories.of(log)
    assert score_map.part_names == ("spectral: low-rank", "spectral: exact", "lightgcn", "ease: similarity")
    for user, item in ((0, 3), (7, 11), (29, 0)):
        found = score_map.contributions(histories.rows(torch.tensor([user])), item, user)
        torch.testing.assert_close(found.score, model.scores(torch.tensor([user]))[0, item])
        assert len(found.history) == len(score_map.part_names)


def test_the_score_map_gives_training_users_the_scores_of_the_model() -> None:
    log = random_log()
    model = build_blend(log, [0.4, 0.0, 0.6])
    torch.testing.assert_close(model.score_map().scores(Histories.of(log), USERS), model.scores(USERS))


def test_weights_are_chosen_on_validation_and_taken_over() -> None:
    log, withheld = random_log(0.4), random_log(0.4).where(random_log(0.4).items % 4 == 0)
    train = log.where(log.items % 4 != 0)
    model = Blend(BipartiteGraph.from_interactions(train), MEMBERS, seed=3)
    validation = Validation(withheld, train, depth=5)
    settings = TrainingSettings(epochs=2, validate_every=1)
    context = FitContext(select_by="recall@5")
    result = model.train_on(train, settings=settings, validation=validation, context=context)

    assert sum(model.learned().values()) == pytest.approx(1)
    assert result.best_value == pytest.approx(validation(model.scorer())["recall@5"])

    retrained = Blend(BipartiteGraph.from_interactions(log), MEMBERS, seed=3)
    retrained.take_over(model)
    retrained.train_on(log, settings=settings)
    assert retrained.learned() == model.learned()


def test_training_a_blend_takes_the_time_of_all_members() -> None:
    log = random_log()
    model = Blend(
        BipartiteGraph.from_interactions(log), ["ease", {"model": "mf", "dim": 3}, {"model": "lightgcn", "dim": 3}]
    )
    settings = TrainingSettings(epochs=2, validate_every=1, batch_size=32)
    validation, context = Validation(random_log(seed=1), log, depth=5), FitContext(select_by="recall@5")
    result = model.train_on(log, settings=settings, validation=validation, context=context)
    assert result.repeating_seconds == sum(fit.repeating_seconds for fit in model.fits)
    assert [fit.repeating_seconds > 0 for fit in model.fits] == [False, True, True]
    assert result.seconds == sum(fit.seconds for fit in model.fits)


def test_the_same_model_twice_gets_two_names() -> None:
    graph = BipartiteGraph.from_interactions(random_log())
    model = Blend(graph, [{"model": "spectral", "rank": 2}, {"model": "spectral", "rank": 4}])
    assert list(model.learned()) == ["weight_spectral", "weight_spectral#2"]


def test_a_blend_with_a_member_that_is_not_a_sum_has_no_score_map() -> None:
    model = Blend(BipartiteGraph.from_interactions(random_log()), ["ease", "mult-vae"])
    with pytest.raises(ValueError, match="those of mult-vae are not"):
        model.score_map()


def test_wrong_members_are_refused() -> None:
    graph = BipartiteGraph.from_interactions(random_log())
    with pytest.raises(ValueError, match="at least one"):
        Blend(graph, [])
    with pytest.raises(ValueError, match="must name its `model`"):
        Blend(graph, [{"rank": 3}])
    with pytest.raises(ValueError, match="one of"):
        Blend(graph, ["no-such"])


def test_constant_scores_are_not_standardised() -> None:
    flat = torch.full((1, 3), 2.0)
    assert blended([flat, torch.tensor([[0.0, 1.0, 2.0]])], [0.5, 0.0]).tolist() == [[1.0, 1.0, 1.0]]
