"""Users without a history get no noise, and nobody is recommended what they have seen but not liked."""

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
from ltocf.serving import Snapshot, TrainedModel, UnknownUserError
from samples import random_interactions

USER_IDS = [f"u{user}" for user in range(12)]
LOG = random_interactions(10, 8, density=0.3)
WIDER = Interactions.from_pairs(LOG.users, LOG.items, 12, 8)
"""Users 10 and 11 are known by their ids and have no pair."""


def snapshot_of(name: str = "mf", also_seen: Interactions | None = None) -> Snapshot:
    model = build_model(name, BipartiteGraph.from_interactions(WIDER), {})
    model.prepare()
    return Snapshot.of(name, model, WIDER, Names(IdMap(USER_IDS), IdMap(range(8))), also_seen=also_seen)


def popular_items() -> list[int]:
    counts = LOG.item_degrees
    return sorted(range(8), key=lambda item: (-counts[item], item))


@pytest.mark.parametrize("name", MODELS)
def test_a_user_without_a_history_counts_as_unknown_for_every_model(name: str) -> None:
    snapshot = snapshot_of(name)
    frame = snapshot.recommend(["u10", "u0", "new", "u11"], k=8, unknown="popular")
    for user in ("u10", "new", "u11"):
        of_user = frame.filter(user=user)
        assert of_user["item"].to_list() == popular_items()
        assert of_user["by"].to_list() == ["popular"] * 8
    assert frame.filter(user="u0").drop("by").equals(snapshot.recommend("u0", k=8))
    assert frame["user"].unique(maintain_order=True).to_list() == ["u10", "u0", "new", "u11"]


def test_the_policies_for_unknown_users() -> None:
    snapshot = snapshot_of()
    expected = (
        "1 of 4 users were not in training: 'new'; 2 of 4 users have no history in training: 'u11', 'u10'; "
        'ask for `unknown="popular"` to give them the most popular items, or `unknown="skip"` to leave them out'
    )
    with pytest.raises(UnknownUserError) as caught:
        snapshot.recommend(["u11", "new", "u0", "u10"], k=2)
    assert str(caught.value) == expected
    skipped = snapshot.recommend(["u11", "new", "u0", "u10"], k=2, unknown="skip")
    assert skipped.equals(snapshot.recommend("u0", k=2))
    assert len(snapshot.recommend(["u11", "new"], k=2, unknown="skip")) == 0
    for policy in ("raise", "eror", ""):
        with pytest.raises(ValueError, match=f"`unknown` must be one of error, popular, skip, got '{policy}'"):
            snapshot.recommend("u0", k=2, unknown=policy)


def test_recommend_all_says_what_made_each_list() -> None:
    snapshot = snapshot_of()
    everybody = pl.concat(snapshot.recommend_all(k=2, rows=5))
    assert everybody.filter(by="popular")["user"].unique(maintain_order=True).to_list() == ["u10", "u11"]
    assert everybody["user"].unique(maintain_order=True).to_list() == USER_IDS
    skipped = pl.concat(snapshot.recommend_all(k=2, rows=5, unknown="skip"))
    assert skipped["user"].unique(maintain_order=True).to_list() == USER_IDS[:10]
    assert skipped.columns == ["user", "rank", "item", "score"]
    some = pl.concat(snapshot.recommend_all(k=2, users=["u11", "x", "u0"], rows=2))
    assert some.equals(snapshot.recommend(["u11", "x", "u0"], k=2, unknown="popular"))
    with pytest.raises(UnknownUserError, match="1 of 2 users were not in training: 'x'"):
        snapshot.recommend_all(k=2, users=["x", "u0"], unknown="error")
    (nobody,) = snapshot.recommend_all(k=2, users=[])
    assert (len(nobody), nobody.columns) == (0, everybody.columns)


def test_items_rated_low_are_not_recommended_and_explain_nothing() -> None:
    rated_low = Interactions.from_pairs([0, 0, 10], [popular_items()[0], popular_items()[1], popular_items()[0]], 12, 8)
    rated_low = rated_low.where(~np.isin(rated_low.keys, WIDER.keys))
    snapshot, plain = snapshot_of(also_seen=rated_low), snapshot_of()
    low = set(rated_low.items[rated_low.users == 0])
    assert low
    found, without = snapshot.recommend("u0", k=8)["item"].to_list(), plain.recommend("u0", k=8)["item"].to_list()
    assert found == [item for item in without if item not in low]
    assert snapshot.recommend("u0", k=8, exclude_seen=False)["item"].n_unique() == 8
    assert snapshot.history("u0").equals(plain.history("u0"))
    assert snapshot.explain("u0", 1).history.equals(plain.explain("u0", 1).history)
    newest = snapshot.recommend(["u10", "u11", "x"], k=8, unknown="popular")
    assert newest.filter(user="u10")["item"].to_list() == popular_items()[1:]
    assert newest.filter(user="u11")["item"].to_list() == newest.filter(user="x")["item"].to_list() == popular_items()


def test_items_rated_low_are_in_the_file(tmp_path: Any) -> None:
    model = build_model("mf", BipartiteGraph.from_interactions(WIDER), {"dim": 3})
    low = Interactions.from_pairs([0, 11], [2, 7], 12, 8)
    names = Names(IdMap(USER_IDS), IdMap(range(8)))
    trained = TrainedModel("mf", {"dim": 3}, model, WIDER, names, {}, low)
    trained.save(tmp_path / "model.safetensors")
    loaded = TrainedModel.load(tmp_path / "model.safetensors")
    assert loaded.also_seen is not None
    assert loaded.also_seen.keys.tolist() == low.keys.tolist()
    opened = Snapshot.open(tmp_path / "model.safetensors")
    assert opened.hidden.rows(torch.tensor([11])).items.tolist() == [7]
    with pytest.raises(ValueError, match="`also_seen` must be over the 12 users and 8 items of `seen`, got 10 and 8"):
        TrainedModel("mf", {"dim": 3}, model, WIDER, names, {}, LOG)


def test_only_the_candidates_of_a_user_are_recommended() -> None:
    snapshot = snapshot_of()
    unseen = snapshot.recommend("u0", k=8)["item"].to_list()
    candidates = {"u0": unseen[::2], "x": [3, 1], "u10": [5]}
    frame = snapshot.recommend(["x", "u0", "u10"], k=4, unknown="popular", candidates=candidates)
    assert frame.filter(user="u0")["item"].to_list() == unseen[::2][:4]
    assert frame.filter(user="x")["item"].to_list() == [item for item in popular_items() if item in (3, 1)]
    assert frame.filter(user="u10")["item"].to_list() == [5]
    alone = snapshot.recommend(["x", "u0"], k=4, unknown="skip", candidates=candidates, exclude=unseen[:1])
    assert alone["item"].to_list() == unseen[::2][1:5]
    history = snapshot.history("u0")["item"].to_list()
    assert snapshot.recommend("u0", candidates={"u0": history}, k=8).is_empty()
    seen = snapshot.recommend("u0", candidates={"u0": history}, k=8, exclude_seen=False)
    assert sorted(seen["item"]) == history


def test_a_user_without_a_history_has_no_explanation_and_no_similar_users() -> None:
    snapshot = snapshot_of()
    for answer in (lambda: snapshot.explain("u10", 1), lambda: snapshot.similar_users("u10", 2)):
        with pytest.raises(UnknownUserError, match="user 'u10' has no history in training"):
            answer()
    assert snapshot.history("u10").is_empty()
