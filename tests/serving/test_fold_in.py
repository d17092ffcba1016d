"""Fold-in of new users by every model that has it, and of new histories of known users."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS, build_model
from ltocf.serving import Snapshot, UnknownItemError, UnknownUserError
from ltocf.training import TrainingSettings
from samples import checkerboard, random_interactions

WITHOUT_FOLD_IN = ("cmn", "neumf")
WITH_FOLD_IN = [name for name in MODELS if name not in WITHOUT_FOLD_IN]


def snapshot_of(name: str, log: Interactions, **options: Any) -> Snapshot:
    model = build_model(name, BipartiteGraph.from_interactions(log), options)
    model.prepare()
    films = pl.DataFrame({"price": range(log.n_items)})
    names = Names(IdMap(range(100, 100 + log.n_users)), IdMap([f"f{item}" for item in range(log.n_items)]), None, films)
    return Snapshot.of(name, model, log, names)


@pytest.mark.parametrize("name", WITH_FOLD_IN)
def test_a_new_user_gets_the_same_list_alone_and_among_others(name: str) -> None:
    snapshot = snapshot_of(name, random_interactions())
    alone = snapshot.fold_in(["f3", "f5"], k=5)
    assert alone["user"].to_list() == [0] * 5
    assert not {"f3", "f5"} & set(alone["item"])
    among_others = snapshot.fold_in({"x": ["f1"], "new": ["f5", "f3", "f3"], "y": ["f7", "f8"]}, k=5).filter(user="new")
    assert among_others["item"].to_list() == alone["item"].to_list()
    np.testing.assert_allclose(among_others["score"], alone["score"], rtol=1e-4)


@pytest.mark.parametrize("name", WITHOUT_FOLD_IN)
def test_models_without_fold_in_say_so(name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` has no way from a history to a user: .* needs training; ltocf, "):
        snapshot_of(name, random_interactions()).fold_in(["f1"])


@pytest.mark.parametrize(
    "options",
    [{}, {"ranking": "cosine", "popularity": 0.5}, {"ranking": "cosine", "adaptive_temperature": 0.5}],
    ids=str,
)
@pytest.mark.parametrize("name", ["ltocf", "lightgcn", "lr-gccf"])
def test_with_their_own_part_a_known_user_has_the_scores_of_the_model(name: str, options: dict[str, Any]) -> None:
    snapshot = snapshot_of(name, random_interactions(), **options)
    if "adaptive_temperature" in options:
        snapshot.model.user_losses.copy_(torch.linspace(0, 2, 30))
        snapshot = Snapshot.of(name, snapshot.model, random_interactions(), snapshot.names)
    histories = {user: snapshot.history(user)["item"].to_list() for user in (107, 129)}
    found, expected = snapshot.fold_in(histories, k=20, own=True), snapshot.recommend([107, 129], k=20)
    assert found.select("user", "item").equals(expected.select("user", "item"))
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-4, atol=1e-6)
    assert not np.allclose(snapshot.fold_in(histories, k=20)["score"], expected["score"], rtol=1e-4)
    with pytest.raises(UnknownUserError, match="user 'ann' was not in training"):
        snapshot.fold_in({"ann": ["f1"]}, own=True)


def test_unknown_items_are_ignored_and_never_taken_for_known_ones(caplog: pytest.LogCaptureFixture) -> None:
    snapshot = snapshot_of("ltocf", random_interactions())
    found = snapshot.fold_in(["f3", "F3", "f03", 3, " f3", "f5", None], k=5)
    assert found.equals(snapshot.fold_in(["f3", "f5"], k=5))
    assert "5 of 7 items of histories were not in training: ignored 'F3', 'f03', 3, ' f3', None" in caplog.text
    caplog.clear()
    snapshot.fold_in(["f3"], k=5)
    assert not caplog.text


def test_a_history_without_known_items_gets_what_the_policy_says() -> None:
    snapshot = snapshot_of("ltocf", random_interactions())
    histories = {"a": ["f3"], "b": ["x"], "c": []}
    with pytest.raises(UnknownUserError, match=r"2 of 3 histories have no item of training, those of 'b', 'c'; "):
        snapshot.fold_in(histories, k=3)
    frame = snapshot.fold_in(histories, k=3, unknown="popular")
    popular = snapshot.popular(3)["item"].to_list()
    assert frame["by"].to_list() == ["model"] * 3 + ["popular"] * 6
    assert frame.filter(user="b")["item"].to_list() == frame.filter(user="c")["item"].to_list() == popular
    assert snapshot.fold_in(histories, k=3, unknown="skip").equals(frame.filter(user="a").drop("by"))
    assert snapshot.fold_in([[], ["x"]], k=3, unknown="skip").is_empty()
    with pytest.raises(ValueError, match="`unknown` must be one of error, popular, skip, got 'none'"):
        snapshot.fold_in(["f3"], k=3, unknown="none")


def test_conditions_on_items_apply_to_fold_in_too() -> None:
    snapshot = snapshot_of("ltocf", random_interactions())
    everything = snapshot.fold_in(["f3"], k=40)["item"].to_list()
    chosen = snapshot.fold_in(["f3"], k=40, only=everything[:9], exclude=everything[0], where="price > 9")
    assert chosen["item"].to_list() == [item for item in everything[1:9] if int(item[1:]) > 9]
    with pytest.raises(UnknownItemError, match="none of the items of `only`"):
        snapshot.fold_in(["f3"], only=["x"])


@pytest.mark.parametrize("name", ["mf", "grmf", "ngcf"])
def test_least_squares_finds_the_planted_colour_of_a_new_user(name: str) -> None:
    """Trained on a checkerboard, half of a colour's items make the other half the best."""
    board, _ = checkerboard()
    snapshot = snapshot_of(name, board, dim=8)
    settings = TrainingSettings(epochs=30, batch_size=200, learning_rate=0.05, l2=0.0)
    snapshot.model.train_on(board, settings=settings)
    trained = Snapshot.of(name, snapshot.model, board, snapshot.names)
    for colour in (0, 1):
        history = [f"f{item}" for item in range(colour, 10, 2)]
        best = trained.fold_in(history, k=5)["item"].to_list()
        assert {int(item[1:]) % 2 for item in best} == {colour}


def test_steps_change_the_scores_of_the_new_user_alone() -> None:
    log = random_interactions(8, 12)
    options = {"dim": 4, "ranking": "cosine", "loss": "softmax"}
    model = MODELS["lightgcn"](BipartiteGraph.from_interactions(log), **options)
    snapshot = Snapshot.of("lightgcn", model, log, Names.identity(8, 12))
    before = snapshot.scorer.scores(torch.arange(8)).clone()
    history = [[1, 2, 3]]
    without_steps, with_steps = (snapshot.fold_in(history, k=9, steps=n)["score"].to_list() for n in (0, 3))
    assert without_steps == snapshot.fold_in(history, k=9)["score"].to_list()
    assert without_steps != with_steps
    assert snapshot.scorer.scores(torch.arange(8)).equal(before)
    with pytest.raises(ValueError, match="`steps` must be >= 0, got -1"):
        snapshot.fold_in(history, steps=-1)
