"""A trained model and its file: the caller's ids, their seen items, and nothing lost on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.numpy import save_file

from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import LTOCF
from ltocf.serving import TrainedModel, UnknownUserError
from samples import random_interactions

OPTIONS = {"dim": 4, "horizon": 2.0}


@pytest.fixture
def trained(interactions: Interactions) -> TrainedModel:
    model = LTOCF(BipartiteGraph.from_interactions(interactions), **OPTIONS, seed=5)
    with torch.no_grad():
        model.times.values.mul_(1.1)
    users = IdMap([f"{user:03d}" for user in range(interactions.n_users)])
    items = IdMap([10 * item for item in range(interactions.n_items)])
    titles = tuple(f"Título {item}" for item in range(interactions.n_items))
    return TrainedModel("ltocf", OPTIONS, model, interactions, Names(users, items, titles), {"dataset": "tiny"})


def test_the_best_unseen_items_are_recommended(trained: TrainedModel) -> None:
    scores = trained.model.scores(torch.tensor([7]))[0].numpy()
    unseen = np.setdiff1d(np.arange(40), trained.seen.items[trained.seen.users == 7])
    best = unseen[np.argsort(-scores[unseen])][:5]
    frame = trained.recommend(["007"], k=5)
    assert frame["item"].to_list() == [10 * item for item in best]
    assert frame["title"].to_list() == [f"Título {item}" for item in best]
    np.testing.assert_allclose(frame["score"], scores[best], rtol=1e-5)
    assert frame["rank"].to_list() == [1, 2, 3, 4, 5]


def test_seen_items_are_recommended_on_request(trained: TrainedModel) -> None:
    everything = trained.recommend(["007"], k=40, exclude_seen=False)
    unseen = trained.recommend(["007"], k=40)
    seen = set(trained.history("007")["item"])
    assert sorted(everything["item"]) == [10 * item for item in range(40)]
    assert set(everything["item"]) - set(unseen["item"]) == seen


def test_the_file_holds_the_whole_model(trained: TrainedModel, tmp_path: Path) -> None:
    trained.save(tmp_path / "model.safetensors")
    loaded = TrainedModel.load(tmp_path / "model.safetensors")
    users = ["029", "000", "007"]
    assert loaded.recommend(users).equals(trained.recommend(users))
    assert loaded.history("003").equals(trained.history("003"))
    assert loaded.notes == {"dataset": "tiny"}
    assert loaded.model.state_dict()["times.values"].equal(trained.model.state_dict()["times.values"])


def test_without_titles_there_is_no_title_column(trained: TrainedModel, tmp_path: Path) -> None:
    replace(trained, names=replace(trained.names, titles=None)).save(tmp_path / "model.safetensors")
    frame = TrainedModel.load(tmp_path / "model.safetensors").recommend(["007"])
    assert frame.columns == ["user", "rank", "item", "score"]


def test_unknown_users_are_an_error_or_get_the_most_popular(trained: TrainedModel) -> None:
    with pytest.raises(UnknownUserError, match="2 of 3 users were not in training: 'x', 'y'"):
        trained.recommend(["x", "001", "y"])
    frame = trained.recommend(["x", "001"], k=3, unknown="popular")
    counts = trained.seen.item_degrees
    assert frame.filter(user="x")["score"].to_list() == sorted(counts.tolist(), reverse=True)[:3]
    assert frame.filter(user="001").drop("by").equals(trained.recommend(["001"], k=3))
    with pytest.raises(UnknownUserError, match="'x'"):
        trained.history("x")


def test_a_user_of_nearly_all_items_gets_the_rest() -> None:
    log = Interactions.from_pairs([0, 0, 1], [0, 1, 2])
    model = LTOCF(BipartiteGraph.from_interactions(log), dim=2)
    trained = TrainedModel("ltocf", {"dim": 2}, model, log, Names.identity(2, 3))
    assert trained.recommend([0], k=3)["item"].to_list() == [2]
    assert trained.recommend([0], k=4)["item"].to_list() == [2]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no model file at"):
        TrainedModel.load(tmp_path / "nothing")
    (tmp_path / "text").write_text("not a model")
    with pytest.raises(ValueError, match="is not a safetensors file"):
        TrainedModel.load(tmp_path / "text")
    save_file({"x": np.zeros(1)}, tmp_path / "other")
    with pytest.raises(ValueError, match="does not have the format ltocf-model-2 or ltocf-model-1"):
        TrainedModel.load(tmp_path / "other")


def test_its_repr_is_one_line_and_its_html_a_small_table(trained: TrainedModel) -> None:
    shown = f"TrainedModel(model='ltocf', dataset='tiny', n_users=30, n_items=40, n_pairs={len(trained.seen)})"
    assert repr(trained) == shown
    table = trained._repr_html_()
    assert "<tr><th>n_users</th><td>30</td></tr>" in table
    assert len(table) < 1000


def test_the_snapshot_is_made_once(trained: TrainedModel) -> None:
    assert trained.snapshot is trained.snapshot
    assert trained.recommend(["007"], k=5).equals(trained.snapshot.recommend("007", k=5))


def test_ten_unseen_items_are_listed_by_default(trained: TrainedModel) -> None:
    snapshot = trained.snapshot
    history = trained.history("007")["item"].to_list()
    for frame in (
        trained.recommend("007"),
        snapshot.recommend("007"),
        pl.concat(snapshot.recommend_all()).filter(user="007"),
        snapshot.fold_in([history]),
    ):
        assert len(frame) == 10
        assert not set(frame["item"]) & set(history)
    everything = pl.concat(snapshot.recommend_all(k=40, exclude_seen=False)).filter(user="007")
    assert set(everything["item"]) > set(history)
    allowed = pl.concat(snapshot.recommend_all(k=40, only=range(0, 100, 10), exclude=[20])).filter(user="007")
    assert set(allowed["item"]) == {item for item in range(0, 100, 10) if item not in [*history, 20]}
    similar = snapshot.similar_items(40)
    assert len(similar) == 10
    assert similar.equals(snapshot.similar_items(40, by="cosine"))
    assert not similar.equals(snapshot.similar_items(40, by="inner_product"))
    assert len(snapshot.similar_items(40, 1)) == 1
    assert len(snapshot.similar_items(40, 39)) == 39


def test_a_new_snapshot_is_warm_and_has_no_version(trained: TrainedModel) -> None:
    assert trained.snapshot.version == ""
    for ids in (trained.user_ids, trained.item_ids):
        assert "_indices" in vars(ids), "the first answer would have to build the table"


def test_integer_ids_may_be_typed_as_text() -> None:
    log = random_interactions(5, 8)
    model = LTOCF(BipartiteGraph.from_interactions(log), dim=2)
    trained = TrainedModel("ltocf", {"dim": 2}, model, log, Names(IdMap([10, 20, 30, 40, 50]), IdMap.identity(8)))
    assert trained.recommend(["20"], k=2)["item"].equals(trained.recommend([20], k=2)["item"])
