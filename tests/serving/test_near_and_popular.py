"""Similar users and items, and popular items: against numbers computed from the sets themselves."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.serving import Snapshot, UnknownItemError
from ltocf.serving.popular import seconds_of
from samples import random_interactions

DAY = 86_400
LOG = Interactions.from_pairs(
    [0, 0, 1, 1, 2, 2, 3], [0, 1, 0, 2, 0, 2, 3], 4, 5, timestamps=[0, DAY, 2 * DAY, 2 * DAY, 3 * DAY, 4 * DAY, 9 * DAY]
)
NAMES = Names(IdMap(["ann", "bob", "cid", "dan"]), IdMap([10, 20, 30, 40, 50]), ("A", "B", "C", "D", "E"))


def snapshot_of(log: Interactions = LOG, names: Names = NAMES, name: str = "mf", **options: Any) -> Snapshot:
    return Snapshot.of(name, build_model(name, BipartiteGraph.from_interactions(log), options), log, names)


def test_popular_items_with_their_counts() -> None:
    frame = snapshot_of().popular(3)
    assert frame.to_dicts() == [
        {"rank": 1, "item": 10, "count": 3, "title": "A"},
        {"rank": 2, "item": 30, "count": 2, "title": "C"},
        {"rank": 3, "item": 20, "count": 1, "title": "B"},
    ]
    assert snapshot_of().popular(5)["item"].to_list() == [10, 30, 20, 40, 50]
    assert snapshot_of().popular(5, exclude=[10], only=[10, 40, 50])["item"].to_list() == [40, 50]
    attributed = Names(NAMES.user_ids, NAMES.item_ids, None, pl.DataFrame({"stock": [0, 3, 1, 0, 0]}))
    assert snapshot_of(names=attributed).popular(5, where="stock > 0")["item"].to_list() == [30, 20]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({"since": 2 * DAY}, {30: 2, 10: 2, 40: 1}),
        ({"since": 2 * DAY, "until": 4 * DAY}, {10: 2, 30: 1}),
        ({"until": "1970-01-02"}, {10: 1}),
        ({"until": date(1970, 1, 3)}, {10: 1, 20: 1}),
        ({"since": "1970-01-10T00:00:00Z"}, {40: 1}),
        ({"days": 1}, {40: 1}),
        ({"days": 7}, {30: 1, 40: 1, 10: 1}),
        ({"days": 1.5, "until": 3 * DAY}, {10: 1, 30: 1}),
    ],
    ids=str,
)
def test_popular_items_in_a_time_window(window: dict[str, Any], expected: dict[int, int]) -> None:
    frame = snapshot_of().popular(5, **window)
    assert dict(frame.select("item", "count").rows()) == expected
    assert frame["count"].is_sorted(descending=True)


def test_impossible_time_windows_are_refused() -> None:
    snapshot = snapshot_of()
    for window, message in (
        ({"days": 1, "since": 3}, "give `days` or `since`, not both"),
        ({"days": 0}, "`days` must be > 0, got 0"),
        ({"since": 5, "until": 5}, "`since` must be before `until`, got 5 and 5"),
        ({"since": "yesterday"}, "a moment must be seconds since 1970 or a date .*, got 'yesterday'"),
    ):
        with pytest.raises(ValueError, match=message):
            snapshot.popular(2, **window)
    with pytest.raises(ValueError, match="a time window needs timestamps, but this model was trained without any"):
        snapshot_of(random_interactions(4, 5)).popular(2, days=1)
    with pytest.raises(UnknownItemError, match="none of the items of `only`"):
        snapshot.popular(2, only=[7])


def test_a_moment_without_a_zone_is_utc() -> None:
    assert seconds_of("2024-05-31T18:00+02:00") == datetime(2024, 5, 31, 16, tzinfo=UTC).timestamp()
    assert seconds_of("2024-05-31T16:00") == seconds_of(datetime(2024, 5, 31, 16))
    assert seconds_of(date(1970, 1, 2)) == DAY


def test_similarity_by_history_is_the_cosine_of_sets() -> None:
    snapshot = snapshot_of(name="neumf", dim=4)
    similar = snapshot.similar_users("bob", 3, by="history")
    assert similar["user"].to_list() == ["cid", "ann", "dan"]
    np.testing.assert_allclose(similar["score"], [1, 0.5, 0], rtol=1e-6)
    similar = snapshot.similar_items(10, 4, by="history")
    assert similar["item"].to_list() == [30, 20, 40, 50]
    np.testing.assert_allclose(similar["score"], [2 / np.sqrt(6), 1 / np.sqrt(3), 0, 0], rtol=1e-6)
    assert similar.columns == ["rank", "item", "score", "title"]


@pytest.mark.parametrize("name", ["ltocf", "mf", "ngcf"])
@pytest.mark.parametrize("by", ["cosine", "inner_product"])
def test_similar_users_are_near_in_their_final_vectors(name: str, by: str) -> None:
    log = random_interactions()
    snapshot = snapshot_of(log, Names.identity(30, 40), name, dim=4, popularity=0.5, ranking="cosine")
    with torch.no_grad():
        vectors = snapshot.model.eval().propagate(snapshot.model.initial_embeddings)[:30].numpy()
    scores = vectors @ vectors[4]
    if by == "cosine":
        scores = scores / np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[4])
    scores[4] = -np.inf
    found = snapshot.similar_users("4", 5, by=by)
    assert found["user"].to_list() == np.argsort(-scores)[:5].tolist()
    np.testing.assert_allclose(found["score"], np.sort(-scores)[:5] * -1, rtol=1e-4)
    assert by == "inner_product" or found["score"].is_between(-1, 1).all()
    assert len(snapshot.similar_users(4, 30)) == 29


def test_users_without_a_history_are_similar_to_nobody() -> None:
    wider = Interactions.from_pairs(LOG.users, LOG.items, 5, 5)
    names = Names(IdMap([*"abcde"]), NAMES.item_ids)
    for by in ("cosine", "history"):
        assert sorted(snapshot_of(wider, names).similar_users("a", 4, by=by)["user"]) == ["b", "c", "d"]
