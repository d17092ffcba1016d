"""What every registered model must do; every one of them must have a case here."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ltocf.models
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.evaluation import evaluate, rank
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS, GradientRecommender, Recommender
from ltocf.sampling import Batch
from ltocf.service.engine import warm
from ltocf.service.sharing import map_shared, write_shared
from ltocf.serving import Snapshot, TrainedModel
from ltocf.training import TrainingSettings, fit
from samples import checkerboard, random_interactions

CASES: list[tuple[str, dict[str, Any]]] = [
    ("mf", {}),
    ("lightgcn", {}),
    ("lightgcn", {"n_layers": 0}),
    ("mf", {"loss": "softmax"}),
    ("lr-gccf", {}),
    ("ngcf", {"message_dropout": 0.1, "node_dropout": 0.1}),
    ("ngcf", {"variant": "published", "distinct_users": True}),
    ("gc-mc", {}),
    ("gc-mc", {"variant": "published"}),
    ("pinsage", {"n_walks": 10}),
    ("pinsage", {"variant": "published"}),
    ("hop-rec", {"n_orders": 2}),
    ("grmf", {}),
    ("grmf-norm", {}),
    ("cmn", {}),
    ("neumf", {"n_negatives": 2, "n_layers": 2}),
    ("neumf", {"variant": "published", "n_layers": 2, "dropout": 0.1}),
    ("mult-vae", {"hidden": 16}),
    ("ltocf", {}),
    ("ltocf", {"loss": "softmax", "n_negatives": 8, "temperature": 0.2, "solver": "exact", "connection": "residual"}),
    ("ltocf", {"solver": "euler", "connection": "residual", "n_times": 1, "horizon": 2.0}),
    ("ltocf", {"solver": "exact", "operator": "laplacian", "n_times": 0}),
    ("ltocf", {"solver": "adams_moulton", "steps_per_interval": 3, "propagation": "solver"}),
    ("ltocf", {"learnable_times": False, "propagation": "solver", "adjoint": True}),
    ("spectral", {}),
    ("spectral", {"rank": 5, "n_times": 2, "user_exponent": 0.5, "item_exponent": 0.4}),
    ("ease", {}),
    ("item-knn", {}),
    ("item-knn", {"k": 9, "shrinkage": 0.0}),
    ("rp3beta", {}),
    ("history-regression", {}),
    ("history-regression", {"rank": 5, "penalty": 1.0, "nearness": 0.5, "recency": "auto"}),
    ("sequence-knn", {}),
    ("als", {"dim": 8, "penalty": 1.0}),
    ("popularity", {}),
    ("sequence-knn", {"k": 9, "window": 2, "recency": "auto"}),
    ("blend", {}),
    ("blend", {"members": ["ease", {"model": "lightgcn", "dim": 4}, {"model": "ease", "penalty": 8.0}]}),
]
BATCH = Batch(torch.tensor([0, 1, 2]), torch.tensor([3, 1, 0]), torch.tensor([7, 8, 9]))
LARGER_BATCHES = {
    "hop-rec": Batch(BATCH.users, torch.tensor([3, 5, 1, 6, 0, 2]), torch.tensor([7, 8, 9, 4, 10, 11])),
    "neumf": BATCH._replace(negatives=torch.tensor([7, 8, 9, 4, 10, 11])),
}
"""Batches of the models that take several positives or negatives for each user."""
STEP_BY_STEP = [case for case in CASES if case[1].get("propagation") == "solver"][1:]
"""Left out where training is long: one case of solving step by step is enough, because the filter equals it."""
TRAINED_BY_GRADIENTS = [(name, options) for name, options in CASES if issubclass(MODELS[name], GradientRecommender)]
CLOSED_FORMS = {name for name, model in MODELS.items() if not issubclass(model, GradientRecommender)}
every_device = pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]
)
every_model = pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value))
every_trained_model = pytest.mark.parametrize(("name", "options"), TRAINED_BY_GRADIENTS, ids=lambda value: str(value))


def build(name: str, options: dict[str, Any], log: Interactions, seed: int = 0) -> Any:
    model: Any = MODELS[name]
    built = model(BipartiteGraph.from_interactions(log), seed=seed, **small_options(name, options))
    built.prepare()
    return built


def small_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    return options if name in CLOSED_FORMS else options | {"dim": 8}


def batch_of(name: str) -> Batch:
    return LARGER_BATCHES.get(name, BATCH)


def test_every_model_is_registered_and_has_a_case() -> None:
    concrete = {
        value
        for value in vars(ltocf.models).values()
        if isinstance(value, type) and issubclass(value, Recommender) and not value.__abstractmethods__
    }
    assert set(MODELS.values()) == concrete
    assert {name for name, _ in CASES} == set(MODELS)


@every_model
def test_a_model_shared_with_other_processes_keeps_what_it_computed(
    name: str, options: dict[str, Any], interactions: Interactions, tmp_path: Path
) -> None:
    """`ltocf serve` shares its models with its workers in this way."""
    snapshot = Snapshot.of(name, build(name, options, interactions), interactions, Names.identity(30, 40))
    warm(snapshot)
    write_shared(snapshot, 1, tmp_path / "shared")
    found = map_shared(tmp_path / "shared").snapshot
    assert found.recommend([0, 1], k=5).equals(snapshot.recommend([0, 1], k=5))
    assert ("history_score" in vars(found)) == ("history_score" in vars(snapshot))
    if "history_score" in vars(snapshot):
        assert found.fold_in([1, 2, 3], k=5).equals(snapshot.fold_in([1, 2, 3], k=5))


@every_model
def test_the_repr_of_a_model_is_one_line(name: str, options: dict[str, Any], interactions: Interactions) -> None:
    model = build(name, options, interactions)
    assert repr(model).startswith(f"{type(model).__name__}(n_users=30, n_items=40, n_parameters=")
    assert len(repr(model)) < 200
    assert "\n" not in repr(model)
    assert all(f"<th>{learned}</th>" in model._repr_html_() for learned in model.learned())


@every_trained_model
def test_the_total_loss_is_the_ranking_loss_plus_the_weighted_penalty(
    name: str, options: dict[str, Any], interactions: Interactions
) -> None:
    terms = build(name, options, interactions)(batch_of(name))
    assert terms.ranking.ndim == terms.l2.ndim == 0
    assert terms.total(0.5).item() == pytest.approx(terms.ranking.item() + 0.5 * terms.l2.item())


@every_model
def test_scores_are_finite_and_need_no_gradient(name: str, options: dict[str, Any], interactions: Interactions) -> None:
    model = build(name, options, interactions)
    scores = model.scores(torch.tensor([0, 4]))
    assert scores.shape == (2, interactions.n_items)
    assert torch.isfinite(scores).all()
    assert not scores.requires_grad


@every_model
def test_the_scores_of_a_list_are_those_of_its_scorer(
    name: str, options: dict[str, Any], interactions: Interactions
) -> None:
    model = build(name, options, interactions)
    users = torch.tensor([0, 4, 0])
    ranked = rank(model.scorer(), users, 5, seen=interactions)
    assert ranked.scores.equal(model.scorer().scores(users).gather(1, ranked.items))


@every_model
def test_a_model_loaded_from_its_file_gives_the_same_scores(
    name: str, options: dict[str, Any], interactions: Interactions, tmp_path: Path
) -> None:
    model, names = build(name, options, interactions), Names.identity(interactions.n_users, interactions.n_items)
    TrainedModel(name, small_options(name, options), model, interactions, names).save(tmp_path / "model")
    users = torch.tensor([0, 4])
    assert TrainedModel.load(tmp_path / "model").model.scores(users).equal(model.eval().scores(users))


@every_trained_model
def test_every_learned_parameter_has_a_gradient(name: str, options: dict[str, Any], interactions: Interactions) -> None:
    model = build(name, options, interactions)
    model(batch_of(name)).total(1e-4).backward()
    for parameter in model.parameters():
        assert not parameter.requires_grad or (parameter.grad is not None and parameter.grad.abs().sum() > 0)


@every_trained_model
def test_loss_gradient_is_that_of_finite_differences(
    name: str, options: dict[str, Any], interactions: Interactions
) -> None:
    if options.get("adjoint"):
        pytest.skip("the adjoint method's gradients are estimates")
    model = build(name, options, interactions).double()
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]

    def loss() -> torch.Tensor:
        torch.manual_seed(0)  # for models that sample in training
        for buffer, initial in buffers:
            buffer.copy_(initial)  # for models that count in training
        total: torch.Tensor = model(batch_of(name)).total(0.1)
        return total

    loss().backward()
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    generator = torch.Generator().manual_seed(0)
    directions = [torch.randn(tensor.shape, dtype=torch.float64, generator=generator) for tensor in parameters]
    losses = []
    for step in (1e-6, -1e-6):
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(direction, alpha=step)
            losses.append(loss().item())
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(direction, alpha=-step)
    slope = (losses[0] - losses[1]) / 2e-6
    found = sum((p.grad * d).sum().item() for p, d in zip(parameters, directions, strict=True))
    assert found == pytest.approx(slope, rel=1e-4)


@every_model
def test_the_same_seed_gives_the_same_model_and_a_state_dict_restores_it_exactly(
    name: str, options: dict[str, Any], interactions: Interactions
) -> None:
    users = torch.arange(interactions.n_users)
    first, twin, other = (build(name, options, interactions, seed) for seed in (1, 1, 2))
    assert first.scores(users).equal(twin.scores(users))
    # A closed form does not depend on the seed: in the spectral model it only sets where the iteration starts.
    assert name in CLOSED_FORMS or not first.scores(users).equal(other.scores(users))
    other.load_state_dict(first.state_dict())
    assert first.scores(users).equal(other.scores(users))


@every_model
def test_permuting_the_users_permutes_the_scores(
    name: str, options: dict[str, Any], interactions: Interactions
) -> None:
    if name == "pinsage":
        pytest.skip("its walks are random; tested in test_walk_baselines.py")
    if name == "als":
        pytest.skip("each user starts from random factors; tested in test_als.py")
    permutation = np.random.default_rng(0).permutation(interactions.n_users)
    shuffled = Interactions.from_pairs(
        permutation[interactions.users], interactions.items, interactions.n_users, interactions.n_items
    )
    model, moved = build(name, options, interactions), build(name, options, shuffled)
    with torch.no_grad():
        moved.load_state_dict(model.state_dict())
        for target, source in zip(moved.parameters(), model.parameters(), strict=True):
            if len(target) in (model.n_users, model.n_users + model.n_items):
                target[torch.from_numpy(permutation)] = source[: model.n_users]
    expected = model.scores(torch.arange(model.n_users))
    torch.testing.assert_close(moved.scores(torch.from_numpy(permutation)), expected, atol=1e-5, rtol=1e-4)


class FoundError(Exception):
    """Raised by training as soon as all withheld cells are found."""


@every_device
@pytest.mark.parametrize(
    ("name", "options"), [case for case in CASES if case not in STEP_BY_STEP and case[0] != "popularity"], ids=str
)
def test_a_trained_model_finds_the_withheld_cells_of_a_checkerboard(
    name: str, options: dict[str, Any], device: str
) -> None:
    train, withheld = checkerboard()
    model = build(name, options, train).to(device)

    def measure() -> dict[str, float]:
        return evaluate(model.scorer(), withheld, seen=train, ks=[1])

    def stop_when_found() -> dict[str, float]:
        if measure()["recall@1"] == 1:
            raise FoundError
        return {"recall@20": 0.0}

    if isinstance(model, GradientRecommender):
        # The learning rate falls to zero, so that the noise of the last steps vanishes.
        settings = TrainingSettings(
            learning_rate=0.05,
            l2=1e-3,
            batch_size=256,
            epochs=300,
            schedule="cosine",
            validate_every=10,
            patience=30,
        )
        with suppress(FoundError):
            fit(model, model.batches(train, 256, 0, device), settings=settings, validate=stop_when_found)
    assert measure()["recall@1"] == 1
    assert rank(model.scorer(), torch.arange(20), 1, seen=train).items.squeeze(1).tolist() == [
        withheld.items[user] for user in range(20)
    ]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@every_model
def test_a_gpu_computes_the_same_as_the_cpu(name: str, options: dict[str, Any], interactions: Interactions) -> None:
    model = build(name, options, interactions).eval()
    on_gpu = build(name, options, interactions).eval().to("cuda")
    assert_close = partial(torch.testing.assert_close, atol=1e-5, rtol=1e-4, check_device=False)
    assert_close(on_gpu.scores(torch.tensor([0, 4])), model.scores(torch.tensor([0, 4])))
    if name in CLOSED_FORMS:
        return
    users, positives, negatives, weights = batch_of(name)
    gpu_batch = Batch(users.cuda(), positives.cuda(), negatives.cuda(), None if weights is None else weights.cuda())
    model(batch_of(name)).total(0.1).backward()
    on_gpu(gpu_batch).total(0.1).backward()
    for (label, found), expected in zip(on_gpu.named_parameters(), model.parameters(), strict=True):
        if expected.grad is not None:
            assert_close(found.grad, expected.grad, msg=lambda message, label=label: f"{label}: {message}")


@every_model
def test_users_and_items_without_training_pairs_have_finite_scores(name: str, options: dict[str, Any]) -> None:
    log = random_interactions(6, 8)
    wider = Interactions.from_pairs(log.users, log.items, 7, 9)
    assert torch.isfinite(build(name, options, wider).scores(torch.arange(7))).all()
