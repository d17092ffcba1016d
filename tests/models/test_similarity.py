"""EASE, ItemKNN and RP3beta against dense algebra and another package, and how their numbers are chosen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from ltocf.data.histories import Histories
from ltocf.data.interactions import Interactions
from ltocf.evaluation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.models import EASE, ItemKNN, RP3beta, build_model, nearest, neighbours
from ltocf.models.similarity import SimilarityModel
from ltocf.training import FitContext, TrainingSettings
from samples import checkerboard, random_interactions, weighted

NAMES = ("ease", "item-knn", "rp3beta")
SETTINGS = TrainingSettings(epochs=30)


def prepared_model(name: str, log: Interactions, **options: Any) -> SimilarityModel:
    model = build_model(name, BipartiteGraph.from_interactions(log), options)
    model.prepare()
    assert isinstance(model, SimilarityModel)
    return model


def scores_of_all_users(model: SimilarityModel) -> np.ndarray:
    return model.scores(torch.arange(model.n_users)).double().numpy()


def matrix_of(log: Interactions) -> np.ndarray:
    """R, its weights relative to their mean."""
    dense = log.matrix().toarray().astype(np.float64)
    if log.weights is not None:
        dense[log.users, log.items] = log.weights / log.weights.mean()
    return dense


def k_largest(similarity: np.ndarray, k: int) -> np.ndarray:
    """The k largest entries of each column, without the diagonal."""
    similarity = similarity.copy()
    np.fill_diagonal(similarity, 0.0)
    for row in similarity.T:
        row[np.argsort(-row, kind="stable")[k:]] = 0.0
    return similarity


@pytest.mark.parametrize("log", [random_interactions(), weighted(random_interactions())], ids=["plain", "weighted"])
def test_ease_solves_its_least_squares_column_by_column(log: Interactions) -> None:
    """min ||R b - r_i||² + λ ||b||² with b_i = 0: an ordinary ridge regression on all other items."""
    matrix, penalty = matrix_of(log), 3.0
    expected = np.zeros((40, 40))
    for item in range(40):
        others = np.arange(40) != item
        left = matrix[:, others]
        expected[others, item] = np.linalg.solve(left.T @ left + penalty * np.eye(39), left.T @ matrix[:, item])
    model = prepared_model("ease", log, penalty=penalty)
    assert model.n_users < model.n_items  # with more users than items, as in `tall`, the algebra is another one
    tall = prepared_model(
        "ease", Interactions.from_pairs(log.users, log.items, 99, 40, weights=log.weights), penalty=penalty
    )
    torch.testing.assert_close(tall.similarities, model.similarities)
    np.testing.assert_allclose(model.similarities.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(scores_of_all_users(model), matrix @ expected, atol=1e-5)


@pytest.mark.parametrize("log", [random_interactions(), weighted(random_interactions())], ids=["plain", "weighted"])
@pytest.mark.parametrize(("k", "shrinkage"), [(7, 0.0), (40, 5.0)])
def test_item_knn_is_the_cosine_of_the_k_nearest(log: Interactions, k: int, shrinkage: float) -> None:
    matrix = matrix_of(log)
    norms = np.linalg.norm(matrix, axis=0)
    similarity = k_largest(matrix.T @ matrix / (np.outer(norms, norms) + shrinkage), k)
    np.testing.assert_allclose(
        scores_of_all_users(prepared_model("item-knn", log, k=k, shrinkage=shrinkage)), matrix @ similarity, atol=1e-5
    )


@pytest.mark.parametrize("log", [random_interactions(), weighted(random_interactions())], ids=["plain", "weighted"])
@pytest.mark.parametrize(("k", "alpha", "beta"), [(6, 0.7, 0.5), (40, 1.0, 0.0)])
def test_rp3beta_is_the_product_of_transitions_of_the_k_nearest(
    log: Interactions, k: int, alpha: float, beta: float
) -> None:
    matrix = matrix_of(log)
    item_sums, user_sums = matrix.sum(0), matrix.sum(1)
    walk = (matrix.T / item_sums[:, None]) ** alpha @ (matrix / user_sums[:, None]) ** alpha
    expected = matrix @ k_largest((walk / item_sums**beta).T, k).T
    np.testing.assert_allclose(
        scores_of_all_users(prepared_model("rp3beta", log, k=k, alpha=alpha, beta=beta)), expected, atol=1e-5
    )


@pytest.mark.filterwarnings("ignore:Method expects CSR input")  # implicit converts its own matrix
def test_item_knn_is_the_cosine_recommender_of_implicit() -> None:
    implicit = pytest.importorskip("implicit.nearest_neighbours")
    plain = random_interactions(60, 50)
    weights = np.random.default_rng(0).uniform(0.5, 2, len(plain)).astype(np.float32)  # no ties
    log = Interactions(plain.users, plain.items, 60, 50, weights=weights)
    theirs = implicit.CosineRecommender(K=9, num_threads=1)
    matrix = log.matrix()
    matrix.data = weights
    theirs.fit(matrix, show_progress=False)
    similarity = theirs.similarity.toarray()
    assert ((similarity > 0).sum(1) == 9).all()
    np.fill_diagonal(similarity, 0.0)  # in implicit an item is among its own neighbours
    model, items = prepared_model("item-knn", log, k=8, shrinkage=0.0), torch.arange(50)
    ours = torch.stack([model.kernel(items, item)[0] for item in range(50)])
    np.testing.assert_allclose(ours.double().numpy(), similarity, atol=1e-6)


@pytest.mark.parametrize("name", ["item-knn", "rp3beta"])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_computing_blocks_of_rows_changes_nothing(name: str, n_threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    log = random_interactions()
    whole = prepared_model(name, log)
    monkeypatch.setattr(nearest, "PRODUCTS_AT_A_TIME", 20)
    monkeypatch.setattr(torch, "get_num_threads", lambda: n_threads)
    pieces = prepared_model(name, log)
    assert pieces.similarities.equal(whole.similarities)
    assert pieces.neighbours.equal(whole.neighbours)


def test_an_error_does_not_wait_for_blocks_that_have_not_begun() -> None:
    """The tensors have too few rows, so that it happens while the result of a block is written."""
    computed: list[int] = []

    def rows(start: int, end: int) -> sp.csr_matrix:
        computed.append(start)
        time.sleep(0.001)
        return sp.csr_matrix(np.ones((end - start, 3)))

    with pytest.raises(IndexError):
        nearest.keep_largest(
            nearest.RowBlocks([*range(1001)], rows), torch.zeros(5, 1, dtype=torch.int32), torch.zeros(5, 1)
        )
    assert len(computed) < 1000


@pytest.mark.parametrize("name", ["item-knn", "rp3beta"])
def test_leaving_out_neighbours_beyond_k_changes_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = random_interactions()
    expected = scores_of_all_users(prepared_model(name, log, k=4))
    monkeypatch.setattr(neighbours, "MOST_NEIGHBOURS", 4)
    fewer = prepared_model(name, log, k=4)
    assert fewer.similarities.shape == (40, 4)
    np.testing.assert_allclose(scores_of_all_users(fewer), expected)


@pytest.mark.parametrize("name", NAMES)
def test_contributions_add_up_to_the_score(name: str) -> None:
    log = weighted(random_interactions())
    model = prepared_model(name, log)
    found = model.score_map()
    row = Histories.of(log).rows(torch.tensor([7]))
    for user, expected in ((7, model.scores(torch.tensor([7]))[0]), (None, found.scores(row)[0])):
        for item in (0, 3, int(row.items[0])):
            assert found.contributions(row, item, user).score.item() == pytest.approx(expected[item].item(), abs=1e-6)
    assert not found.scores(row).allclose(found.scores(row, torch.tensor([7])))


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_that_validate_best_are_kept(name: str) -> None:
    log = random_interactions(60, 50, seed=3)
    held_out = np.random.default_rng(0).random(len(log)) < 0.2
    train, truth = log.where(~held_out), log.where(held_out)
    model, records = prepared_model(name, train), []
    context = FitContext(select_by="recall@20", on_epoch=records.append)
    found = model.train_on(train, settings=SETTINGS, validation=Validation(truth, train), context=context)
    assert found.stopped_by == "converged"
    assert found.epochs == len(records) >= 3
    assert found.best_value == max(record["recall@20"] for record in records)
    best = records[found.best_epoch - 1]
    assert model.learned() == {number: best[number] for number in model.learned()}
    retrained = prepared_model(name, train)
    retrained.take_over(model)
    retrained.train_on(train, settings=SETTINGS)
    assert retrained.scores(torch.arange(60)).equal(model.scores(torch.arange(60)))
    assert Validation(truth, train)(model)["recall@20"] == found.best_value


@pytest.mark.parametrize("name", [*NAMES, "history-regression"])
def test_training_without_a_validation_set_counts_its_seconds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log, measured = random_interactions(), list[float]()
    model = build_model(name, BipartiteGraph.from_interactions(log), {})
    assert isinstance(model, SimilarityModel)
    fit_similarity = model.fit_similarity

    def timed(before: Sequence[float] | None) -> None:
        started = time.perf_counter()
        fit_similarity(before)
        measured.append(time.perf_counter() - started)

    monkeypatch.setattr(model, "fit_similarity", timed)
    result = model.train_on(log, settings=SETTINGS)
    assert result.seconds >= sum(measured) > 0.0
    assert (result.epochs, result.best_epoch, result.best_value, result.stopped_by) == (0, None, None, "epochs")
    model.check_ready()


def test_a_single_evaluation_keeps_the_given_numbers() -> None:
    train, truth = checkerboard()
    model = prepared_model("rp3beta", train, k=7, alpha=1.1, beta=0.33)
    model.train_on(train, settings=TrainingSettings(epochs=1), validation=Validation(truth, train))
    assert model.learned() == pytest.approx({"k": 7, "alpha": 1.1, "beta": 0.33})


def test_a_catalogue_too_large_is_refused_before_anything_is_allocated() -> None:
    graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0], [0], 1, 1_000_000))
    with pytest.raises(ValueError, match=r"at least 28000\.0 for 1,000,000 items, got 6; `spectral` and `item-knn`"):
        EASE(graph)


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (EASE, {"penalty": 0.0}, "`penalty` must be finite and > 0, got 0.0"),
        (EASE, {"max_gigabytes": 0.0}, "`max_gigabytes` must be"),
        (ItemKNN, {"k": 0}, "`k` must be >= 1, got 0"),
        (ItemKNN, {"shrinkage": -1.0}, "`shrinkage` must be finite and >= 0, got -1.0"),
        (RP3beta, {"alpha": 0.0}, "`alpha` must be finite and > 0"),
        (RP3beta, {"beta": float("nan")}, "`beta` must be finite"),
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused(
    build: Any, options: dict[str, Any], message: str, graph: BipartiteGraph
) -> None:
    with pytest.raises(ValueError, match=message):
        build(graph, **options)


@pytest.mark.parametrize("name", NAMES)
def test_scores_before_prepare_are_an_error(name: str, graph: BipartiteGraph) -> None:
    with pytest.raises(ValueError, match="no similarities yet; call `prepare`"):
        build_model(name, graph, {}).scores(torch.tensor([0]))
