"""SpectralLTOCF against its equation on dense matrices, GF-CF as its special case, and fold-in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ltocf.data import Histories
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.evaluation import rank as rank_items
from ltocf.graph import BipartiteGraph
from ltocf.models import SpectralLTOCF, nearest, spectral
from ltocf.serving import TrainedModel
from samples import checkerboard, random_interactions, weighted


def build(log: Interactions, rank: int = 8, **options: float) -> SpectralLTOCF:
    return SpectralLTOCF(BipartiteGraph.from_interactions(log), rank, **options).decompose()  # type: ignore[arg-type]


def scores_of_all_users(model: SpectralLTOCF) -> np.ndarray:
    return model.scores(torch.arange(model.n_users)).double().numpy()


def matrix_and_degrees(log: Interactions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R and the degrees of users and items, none of them 0."""
    matrix = log.matrix().toarray().astype(np.float64)
    return matrix, matrix.sum(1), matrix.sum(0)


@pytest.mark.parametrize(("user_exponent", "item_exponent"), [(0.5, 0.5), (0.35, 0.4), (0.0, 0.0)])
@pytest.mark.parametrize(
    ("n_times", "numbers"), [(1, [2, 0.7, 0.4, 0.3, -0.2, 0.3]), (2, [0, 3, -1.0, 0.1, 0.6, 0.5, -0.4])]
)
def test_scores_follow_the_equation(
    interactions: Interactions, user_exponent: float, item_exponent: float, n_times: int, numbers: list[float]
) -> None:
    model = build(interactions, n_times=n_times, user_exponent=user_exponent, item_exponent=item_exponent)
    model.numbers.copy_(torch.tensor(numbers))
    history, users, items = matrix_and_degrees(interactions)
    normalised = history / users[:, None] ** user_exponent / items**item_exponent
    normalised /= np.linalg.norm(normalised, 2)
    _, sigma, vectors = np.linalg.svd(normalised)
    *log_times, log_w, a, b, c, d = numbers
    gain = np.mean([1 - np.exp(-np.exp(log_t) * sigma[:8] ** 2) for log_t in log_times], axis=0)
    items = items / items.mean()
    low_rank = history / items**a @ vectors[:8].T * gain @ vectors[:8] * items**b
    sparse = np.exp(log_w) * history / items**d @ normalised.T @ normalised * items**c
    np.testing.assert_allclose(scores_of_all_users(model), low_rank + sparse, rtol=1e-4, atol=1e-5)


def test_gfcf_is_a_special_case(interactions: Interactions) -> None:
    alpha = 0.3
    model = build(interactions, user_exponent=0.5, item_exponent=0.5)
    model.numbers.copy_(torch.tensor([50.0, -np.log(alpha), 0.5, 0.5, 0.0, 0.0]))
    history, users, items = matrix_and_degrees(interactions)
    normalised = history / np.sqrt(users)[:, None] / np.sqrt(items)
    ideal = np.linalg.svd(normalised)[2][:8]
    linear = history @ normalised.T @ normalised
    low_pass = history / np.sqrt(items) @ ideal.T @ ideal * np.sqrt(items)
    np.testing.assert_allclose(alpha * scores_of_all_users(model), linear + alpha * low_pass, rtol=1e-4, atol=1e-5)


def test_at_a_short_time_the_sparse_product_remains() -> None:
    log = random_interactions(12, 10)
    model = build(log, rank=10, user_exponent=0.5, item_exponent=0.5)
    model.numbers.copy_(torch.tensor([-9.0, -50.0, 0.0, 0.0, 0.0, 0.0]))
    history, users, items = matrix_and_degrees(log)
    normalised = history / np.sqrt(users)[:, None] / np.sqrt(items)
    expected = np.exp(-9) * history @ normalised.T @ normalised
    np.testing.assert_allclose(scores_of_all_users(model), expected, rtol=1e-3, atol=1e-8)


def test_response_is_what_gradient_flow_learns() -> None:
    """g is dH/dt = BᵀB (I - H), H(0) = 0: the autoencoder that gradient descent has found by time t."""
    model = build(random_interactions())
    model.numbers[0] = np.log(3.0)
    sigma, state, step = 0.6, 0.0, 1e-4
    for _ in range(30_000):
        state += step * sigma**2 * (1 - state)
    assert model.response(torch.tensor([sigma])).item() == pytest.approx(state, rel=1e-3)


def test_any_history_is_scored_as_if_it_were_in_training(interactions: Interactions) -> None:
    model = build(interactions)
    users = torch.tensor([7, 0, 29])
    histories = model.graph.histories(users)
    assert model.history_scores(histories).equal(model.scores(users))
    alone = torch.cat([model.history_scores(row[None]) for row in histories])
    torch.testing.assert_close(alone, model.scores(users))


def test_an_empty_history_scores_zero(interactions: Interactions) -> None:
    model = build(interactions)
    assert model.history_scores(torch.zeros(2, model.n_items)).equal(torch.zeros(2, model.n_items))


def test_a_history_of_another_catalogue_is_refused(interactions: Interactions) -> None:
    with pytest.raises(ValueError, match="`histories` must have 40 columns, one per item, got 3"):
        build(interactions).history_scores(torch.zeros(1, 3))


def test_scores_before_the_decomposition_are_an_error(graph: BipartiteGraph) -> None:
    with pytest.raises(ValueError, match="no singular vectors yet; call `decompose`"):
        SpectralLTOCF(graph).scores(torch.tensor([0]))


def test_a_small_graph_has_fewer_vectors() -> None:
    log = random_interactions(6, 9)
    assert build(log, rank=100).item_vectors.shape == (9, 6)
    assert torch.isfinite(torch.from_numpy(scores_of_all_users(build(log, rank=100)))).all()


@pytest.mark.parametrize(("name", "value", "least"), [("rank", 0, 1), ("n_times", 0, 1), ("n_neighbours", -1, 0)])
def test_numbers_out_of_range_are_refused(graph: BipartiteGraph, name: str, value: int, least: int) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be >= {least}, got {value}"):
        SpectralLTOCF(graph, **{name: value})


@pytest.mark.parametrize("name", ["user_exponent", "item_exponent"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("inf"), float("nan")])
def test_exponents_out_of_range_are_refused(graph: BipartiteGraph, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be in 0..1, got {value}"):
        SpectralLTOCF(graph, **{name: value})


def test_learned_numbers_have_names(graph: BipartiteGraph) -> None:
    model = SpectralLTOCF(graph, n_times=2)
    model.numbers.copy_(torch.tensor([0.0, 1.0, 0.0, 0.25, 0.5, -0.75, 0.125]))
    expected = {"t_1": 1.0, "t_2": np.e, "w": 1.0, "a": 0.25, "b": 0.5, "c": -0.75, "d": 0.125}
    assert model.learned() == pytest.approx(expected)
    assert len(model.search_steps) == len(model.numbers)


def test_list_scores_are_the_scores_of_the_items_listed(interactions: Interactions) -> None:
    model = build(interactions)
    users, items = torch.tensor([0, 4]), torch.tensor([[3, 1], [0, 2]])
    torch.testing.assert_close(model.list_scores(users, items), model.scores(users).gather(1, items))


def test_without_training_it_finds_the_withheld_cells_of_a_checkerboard() -> None:
    train, withheld = checkerboard()
    ranked = rank_items(build(train, rank=2), torch.arange(20), 1, seen=train)
    assert ranked.items.squeeze(1).tolist() == withheld.items[np.argsort(withheld.users)].tolist()


@pytest.mark.parametrize("n_neighbours", [0, 3])
def test_a_file_holds_the_whole_model(interactions: Interactions, tmp_path: Path, n_neighbours: int) -> None:
    model = build(interactions, item_exponent=0.4, n_neighbours=n_neighbours)
    model.numbers.add_(0.1)
    options = {"rank": 8, "n_times": 1, "user_exponent": 0.4, "item_exponent": 0.4, "n_neighbours": n_neighbours}
    names = Names.identity(interactions.n_users, interactions.n_items)
    trained = TrainedModel("spectral", options, model, interactions, names)
    trained.save(tmp_path / "model.safetensors")
    loaded = TrainedModel.load(tmp_path / "model.safetensors")
    users = torch.arange(interactions.n_users)
    assert loaded.model.scores(users).equal(model.scores(users))
    assert loaded.recommend([3, 4], k=5).equals(trained.recommend([3, 4], k=5))


def test_neighbours_of_a_file_must_be_items(interactions: Interactions) -> None:
    model = build(interactions, n_neighbours=3)
    model.check_weights()
    assert model.gram is not None
    model.gram.neighbours[2, 1] = interactions.n_items
    with pytest.raises(ValueError, match=r"`gram\.neighbours` must be indices below 40, got 0\.\.40"):
        model.check_weights()


@pytest.mark.parametrize("log", [random_interactions(9, 12), weighted(random_interactions(9, 12))])
def test_keeping_all_neighbours_is_the_product(log: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "ADDED_AT_A_TIME", 30)
    monkeypatch.setattr(nearest, "PRODUCTS_AT_A_TIME", 50)
    product, kept = build(log), build(log, n_neighbours=100)
    assert product.gram is None
    assert kept.gram is not None
    users = torch.arange(9)
    torch.testing.assert_close(kept.scores(users), product.scores(users), rtol=1e-5, atol=1e-6)
    history = Histories.of(log).rows(torch.tensor([4]))
    expected, found = (model.score_map().contributions(history, 5, 4) for model in (product, kept))
    torch.testing.assert_close(found.history, expected.history, rtol=1e-5, atol=1e-6)


def test_kept_neighbours_are_those_that_add_most(interactions: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    log = weighted(interactions)  # no two entries are equal
    assert log.weights is not None
    _, users, items = matrix_and_degrees(log)
    matrix = np.zeros((log.n_users, log.n_items))
    matrix[log.users, log.items] = log.weights / log.weights.mean()
    longest = int(np.median(users))
    monkeypatch.setattr(spectral, "LONGEST_HISTORY", longest)
    model = build(log, n_neighbours=4)
    scaled = matrix * (users <= longest)[:, None] / users[:, None] ** 0.4 / items**0.4
    log_w, a, b, c, d = model.numbers[1:].tolist()
    relative = items / items.mean()
    added = scaled.T @ scaled * relative**c
    added[added < np.sort(added, axis=1)[:, -4:-3]] = 0.0
    assert np.count_nonzero(added, axis=1).max() == 4
    low_rank = (
        scores_of_all_users(model) - np.exp(log_w) * matrix / relative**d @ added / model.singular_values[0].item() ** 2
    )
    gain = model.response(model.singular_values / model.singular_values[0])
    vectors = model.item_vectors.double().numpy()
    expected = matrix / relative**a @ vectors * gain.double().numpy() @ vectors.T * relative**b
    np.testing.assert_allclose(low_rank, expected, rtol=1e-4, atol=1e-5)
    listed = torch.tensor([[3, 1], [0, 2]])
    torch.testing.assert_close(
        model.list_scores(torch.tensor([0, 4]), listed), model.scores(torch.tensor([0, 4])).gather(1, listed)
    )


def test_neighbours_are_kept_where_the_product_takes_too_long(
    interactions: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = BipartiteGraph.from_interactions(interactions)
    monkeypatch.setattr(nearest, "MOST_MULTIPLICATIONS", 2 * interactions.n_users * len(interactions))
    assert SpectralLTOCF(graph).gram is None
    monkeypatch.setattr(nearest, "MOST_MULTIPLICATIONS", 2 * interactions.n_users * len(interactions) - 1)
    large = SpectralLTOCF(graph).gram
    assert large is not None
    assert large.neighbours.shape == (interactions.n_items, interactions.n_items)  # fewer than the default of 200


def test_weights_are_the_entries_of_the_matrix_and_of_the_history() -> None:
    plain = random_interactions(9, 12)
    even = SpectralLTOCF(BipartiteGraph.from_interactions(plain), rank=5).decompose()
    doubled = Interactions(plain.users, plain.items, 9, 12, weights=np.full(len(plain), 2.0, np.float32))
    scaled = SpectralLTOCF(BipartiteGraph.from_interactions(doubled), rank=5).decompose()
    users = torch.arange(9)
    assert torch.allclose(even.scores(users), scaled.scores(users), atol=1e-5)  # only relative weights count
    log = weighted(plain)
    assert log.weights is not None
    model = SpectralLTOCF(BipartiteGraph.from_interactions(log), rank=5).decompose()
    history = torch.zeros(9, 12)
    history[plain.users.copy(), plain.items.copy()] = torch.from_numpy(log.weights / log.weights.mean())
    assert torch.allclose(model.history_scores(history), model.scores(users), atol=1e-5)
    assert not torch.allclose(model.scores(users), even.scores(users), atol=1e-2)
