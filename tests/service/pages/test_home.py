"""What the first page shows, as values: scores, reasons that add up to them, and what a model cannot do."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from ltocf.service.pages.home import HomeView, home_view
from ltocf.service.pages.query import PageQuery
from ltocf.service.pages.scale import BarScale, Segment
from ltocf.serving import Snapshot


@pytest.fixture(scope="module")
def films(runs: dict[str, Path]) -> Snapshot:
    return Snapshot.open(runs["films"])


def scores_of(view: HomeView) -> dict[str, float]:
    return {card.item.id: card.score for card in view.cards}


def test_the_cards_of_a_user_are_their_list(films: Snapshot) -> None:
    frame = films.recommend([3], 5)
    view = home_view(films, PageQuery(user="3", k=5))
    assert [card.item.id for card in view.cards] == [str(item) for item in frame["item"]]
    assert [card.score for card in view.cards] == pytest.approx(frame["score"].to_list())
    assert {item.id for item in view.history} == {str(item) for item in films.history(3)["item"]}


def test_the_cards_of_a_history_are_those_of_folding_in(films: Snapshot) -> None:
    frame = films.fold_in([[101, 117]], 5)
    view = home_view(films, PageQuery(added=("101", "117"), k=5))
    assert scores_of(view) == pytest.approx({str(row["item"]): row["score"] for row in frame.iter_rows(named=True)})
    assert [item.id for item in view.history] == ["117", "101"]  # the latest first


def test_a_changed_history_keeps_what_the_model_learned_of_the_user(films: Snapshot) -> None:
    own = films.history(3)["item"].to_list()
    new = next(item for item in range(100, 124) if item not in own)
    changed = [*own[1:], new]
    frame = films.fold_in({3: changed}, 24, own=True)
    view = home_view(films, PageQuery(user="3", added=(str(new),), removed=(str(own[0]),), k=24))
    expected = {str(row["item"]): row["score"] for row in frame.iter_rows(named=True)}
    assert scores_of(view) == pytest.approx(expected, rel=1e-4)
    assert [item.id for item in view.removed] == [str(own[0])]


@pytest.mark.parametrize(
    "query", [PageQuery(user="3"), PageQuery(added=("101", "117", "110"))], ids=["user", "history"]
)
def test_reasons_add_up_to_the_score_by_time_and_by_item(films: Snapshot, query: PageQuery) -> None:
    view = home_view(films, query)
    assert view.cards
    for card in view.cards:
        reasons = card.reasons
        assert reasons is not None
        by_item = (
            sum(reason.value for reason in reasons.rows) + reasons.others + (reasons.own or 0) + reasons.popularity
        )
        assert by_item == pytest.approx(card.score, rel=1e-4)
        assert sum(piece.value for piece in reasons.segments) == pytest.approx(card.score, rel=1e-4)
        assert len(reasons.rows) + reasons.n_others == len(view.history)
        assert sum(reason.percent for reason in reasons.strongest) <= 100 + 1e-9


def test_the_pieces_are_named_after_the_states_of_the_ode(films: Snapshot) -> None:
    names = {piece.name for card in home_view(films, PageQuery(user="3")).cards for piece in card.split}
    times = [f"t = {time:.2f}" for time in films.model.learned().values()][:2]
    assert {*times, "t = 4.00", "the user's own"} <= names
    assert "t = 0.00" not in names  # no neighbour is reached at the start


def test_pieces_are_drawn_end_to_end_and_negative_ones_left_of_zero() -> None:
    pieces = [Segment("a", "", 2.0), Segment("b", "", -1.0), Segment("c", "", 1.0)]
    scale = BarScale.over([[2.0, -1.0, 1.0]])
    bars = scale.stacked(pieces)
    assert [(piece.x, piece.width) for piece in bars] == [(25, 50), (0, 25), (75, 25)]
    assert math.isclose(scale.zero, 25)


def test_a_model_that_cannot_explain_says_so_and_still_recommends(runs: dict[str, Path]) -> None:
    view = home_view(Snapshot.open(runs["mult-vae"]), PageQuery(added=("101", "117")))
    assert view.cards
    assert all(card.reasons is None for card in view.cards)
    assert "No reasons are shown: the scores of `mult-vae` are not sums over a history" in view.notes[0]


def test_a_model_that_cannot_fold_in_says_so(runs: dict[str, Path]) -> None:
    snapshot = Snapshot.open(runs["neumf"])
    view = home_view(snapshot, PageQuery(added=("101",)))
    assert not view.cards
    assert view.error is not None
    assert "no way from a history to a user" in view.error
    assert home_view(snapshot, PageQuery(user="3")).cards


def test_scores_by_least_squares_are_not_explained_as_sums(runs: dict[str, Path]) -> None:
    snapshot = Snapshot.open(runs["mf"])
    assert home_view(snapshot, PageQuery(user="3")).cards[0].reasons is not None
    folded = home_view(snapshot, PageQuery(added=("101",)))
    assert folded.cards[0].reasons is None
    assert "fitted to it by least squares" in folded.notes[0]


def test_similar_items_of_a_model_without_vectors_come_from_histories(runs: dict[str, Path]) -> None:
    assert home_view(Snapshot.open(runs["films"]), PageQuery(similar="101")).similar.by == "cosine"
    similar = home_view(Snapshot.open(runs["mult-vae"]), PageQuery(similar="101")).similar
    assert similar is not None
    assert similar.by == "history"
    assert len(similar.rows) == 8


def test_unknown_users_and_items_are_reported(films: Snapshot) -> None:
    assert home_view(films, PageQuery(user="nobody")).error.startswith("User 'nobody' was not in training.")
    view = home_view(films, PageQuery(added=("101", "nothing"), similar="none"))
    assert view.notes == (
        "No item none is in this model, so nothing is similar to it.",
        "No item nothing is in this model; it was left out.",
    )
    assert len(view.history) == 1


def test_an_empty_history_gets_the_popular_items(films: Snapshot) -> None:
    own = tuple(str(item) for item in films.history(3)["item"])
    view = home_view(films, PageQuery(user="3", removed=own))
    assert (view.cards, len(view.starters)) == ((), 12)
    counts = films.counts[[films.names.item_ids.encode_one(item.id) for item in view.starters]]
    assert torch.equal(counts, films.counts.sort(descending=True).values[:12])
