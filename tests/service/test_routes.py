"""Answers over HTTP are those of the snapshot, ids keep their type, and every error has a rule and a remedy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient

import ltocf
from ltocf.service.app import create_app
from ltocf.service.settings import ServiceSettings
from ltocf.serving import Snapshot
from service_samples import TITLES, VISITS

SETTINGS = ServiceSettings(max_k=25, max_history=10, max_users=12, max_query=10, max_body_bytes=2000, watch_seconds=0)


@pytest.fixture(scope="module")
def client(run: Path) -> Iterator[TestClient]:
    with TestClient(create_app(run, SETTINGS), raise_server_exceptions=False) as client:
        yield client


def listed_pairs(items: list[dict[str, Any]]) -> list[tuple[object, float]]:
    return [(row["item"], pytest.approx(row["score"], rel=1e-6)) for row in items]


def frame_pairs(frame: pl.DataFrame) -> list[tuple[object, float]]:
    return list(zip(frame["item"].to_list(), frame["score"].to_list(), strict=True))


def test_a_user_gets_the_list_of_the_snapshot(client: TestClient, snapshot: Snapshot) -> None:
    answer = client.get("/v1/recommend/3?k=5").json()
    assert (answer["user"], answer["by"], answer["generation"]) == (3, "model", 1)
    assert frame_pairs(snapshot.recommend(3, k=5)) == listed_pairs(answer["items"])
    assert [row["title"] for row in answer["items"]] == [TITLES[row["item"]] for row in answer["items"]]


def test_only_chosen_items_are_listed(client: TestClient, snapshot: Snapshot) -> None:
    answer = client.get("/v1/recommend/3?k=5&exclude_seen=false&only=1&only=2&only=7&exclude=2").json()
    frame = snapshot.recommend(3, k=5, exclude_seen=False, only=[1, 2, 7], exclude=[2])
    assert {row["item"] for row in answer["items"]} == {1, 7}
    assert frame_pairs(frame) == listed_pairs(answer["items"])
    body = {"users": [3], "k": 5, "exclude_seen": False, "only": [1, 2, 7], "exclude": [2]}
    assert client.post("/v1/recommend", json=body).json()["lists"][0]["items"] == answer["items"]


def test_many_users_get_the_lists_of_the_snapshot(client: TestClient, snapshot: Snapshot) -> None:
    users = list(range(12))
    answer = client.post("/v1/recommend", json={"users": users, "k": 3}).json()
    assert [user_list["user"] for user_list in answer["lists"]] == users
    for user_list in answer["lists"]:
        assert frame_pairs(snapshot.recommend(user_list["user"], k=3)) == listed_pairs(user_list["items"])


def test_unknown_users_get_an_error_or_popular_items_or_are_skipped(client: TestClient) -> None:
    assert client.get("/v1/recommend/nobody").status_code == 404
    popular = client.get("/v1/recommend/nobody?unknown=popular&k=2").json()
    assert (popular["user"], popular["by"], len(popular["items"])) == ("nobody", "popular", 2)
    skipped = client.post("/v1/recommend", json={"users": [1, "nobody"], "unknown": "skip"}).json()
    assert [user_list["user"] for user_list in skipped["lists"]] == [1]


def test_a_history_gets_the_list_of_folding_in(client: TestClient, snapshot: Snapshot) -> None:
    answer = client.post("/v1/recommend", json={"history": [1, "nothing", 2], "k": 4}).json()
    assert frame_pairs(snapshot.fold_in([[1, 2]], k=4)) == listed_pairs(answer["items"])
    assert (answer["ignored"], answer["by"]) == (["nothing"], "model")


def test_a_history_without_a_known_item_gets_an_error_or_popular_items_or_none(client: TestClient) -> None:
    answer = client.post("/v1/recommend", json={"history": ["nothing"]})
    assert (answer.status_code, answer.json()["error"]["value"]) == (404, "'nothing'")
    popular = client.post("/v1/recommend", json={"history": ["nothing"], "unknown": "popular", "k": 3}).json()
    assert (popular["by"], len(popular["items"])) == ("popular", 3)
    skipped = client.post("/v1/recommend", json={"history": ["nothing"], "unknown": "skip"}).json()
    assert skipped["items"] == []
    assert client.post("/v1/explain", json={"history": ["nothing"], "item": 1}).status_code == 404


def test_similar_items_are_those_of_the_snapshot(client: TestClient, snapshot: Snapshot) -> None:
    for by in ("cosine", "inner_product", "history"):
        answer = client.get(f"/v1/similar/4?k=6&by={by}").json()
        assert (answer["item"], answer["by"]) == (4, by)
        assert frame_pairs(snapshot.similar_items(4, 6, by=by)) == listed_pairs(answer["items"])


def test_explanations_sum_to_the_score(client: TestClient, snapshot: Snapshot) -> None:
    listed = client.get("/v1/recommend/3?k=1").json()["items"][0]
    of_user = client.get(f"/v1/explain/3/{listed['item']}").json()
    assert of_user["score"] == pytest.approx(listed["score"], rel=1e-5)
    assert (of_user["user"], of_user["item"]) == (3, listed["item"])
    folded = client.post("/v1/recommend", json={"history": [4, 5, 9], "k": 1}).json()["items"][0]
    history_body = {"history": [4, "nothing", 5, 9], "item": folded["item"]}
    of_history = client.post("/v1/explain", json=history_body).json()
    assert of_history["score"] == pytest.approx(folded["score"], rel=1e-5)
    assert (of_history["user"], of_history["own"], of_history["ignored"]) == (None, 0.0, ["nothing"])
    assert {row["item"] for row in of_history["history"]} == {4, 5, 9}
    for why in (of_user, of_history):
        total = sum(row["contribution"] for row in why["history"])
        assert total + why["own"] + why["popularity"] == pytest.approx(why["score"], rel=1e-6)
    body = {"user": 3, "item": listed["item"]}
    assert client.post("/v1/explain", json=body).json() == of_user


def test_search_finds_titles_and_ids(client: TestClient) -> None:
    found = client.get("/v1/items?q=FILM%2017").json()["items"]
    assert [(row["item"], row["title"]) for row in found] == [(17, TITLES[17])]
    assert found[0]["count"] == len({user for user, item in VISITS if item == 17})
    assert client.get("/v1/items?q=29&k=3").json()["items"][0]["item"] == 29, "the id itself comes first"
    assert client.get("/v1/items?q=").json()["items"], "the most popular items"
    assert client.get("/v1/items?q=zzz").json()["items"] == []


def test_ids_keep_their_type(tmp_path: Path) -> None:
    visits = [(f"u/{user}", f"0{item}") for user, item in VISITS[:200]]
    ltocf.fit(visits, tmp_path / "texts", model="rp3beta", show_progress=False)
    with TestClient(create_app(tmp_path / "texts", SETTINGS)) as client:
        answer = client.get("/v1/recommend/u%2F1?k=1&exclude_seen=false").json()
        assert (answer["user"], answer["items"][0]["item"][0], answer["items"][0]["title"]) == ("u/1", "0", None)
        assert client.get("/v1/similar/01").json()["error"]["rule"].startswith("`rp3beta` has no vectors")
        assert client.get("/v1/similar/01?by=history&k=1").status_code == 200
        folded = client.post("/v1/recommend", json={"history": ["01"], "k": 1, "exclude_seen": False}).json()
        assert isinstance(folded["items"][0]["item"], str)


def test_runs_are_chosen_by_name(run: Path, newer: Path) -> None:
    with TestClient(create_app([run, newer], SETTINGS)) as client:
        names = [(run_facts["name"], run_facts["n_users"]) for run_facts in client.get("/v1/runs").json()]
        assert names == [("shop", 40), ("shop-2", 41)]
        assert client.get("/v1/recommend/99").status_code == 404
        assert client.get("/v1/recommend/99?run=shop-2").status_code == 200
        answer = client.get("/v1/recommend/99?run=none")
        assert (answer.status_code, answer.json()["error"]["value"]) == (404, "'none'")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "rule", "value"),
    [
        ("GET", "/v1/recommend/1?k=26", None, 422, "`k` must be in 1..25", "26"),
        ("GET", "/v1/recommend/1?k=0", None, 422, "`k`: Input should be greater", "0"),
        ("GET", "/v1/recommend/1?k=x", None, 422, "`k`: Input should be a valid integer", "x"),
        ("GET", "/v1/recommend/1?unknown=skip", None, 422, "`unknown`: Input", "skip"),
        ("GET", "/v1/items?q=" + "x" * 11, None, 422, "the number of characters in `q`", "11"),
        ("GET", "/v1/similar/zz", None, 404, "1 of 1 items were not in training", "'zz'"),
        ("GET", "/nothing", None, 404, "there is no such path", "GET /nothing"),
        ("DELETE", "/v1/runs", None, 405, "this path does not take this method", "DELETE /v1/runs"),
        ("POST", "/v1/recommend", '{"k": 1}', 422, "give either `users` or `history`", "{'k': 1}"),
        ("POST", "/v1/recommend", '{"users": [1], "history": [1]}', 422, "give either", None),
        ("POST", "/v1/recommend", '{"users": [true]}', 422, "`users.0.int`", True),
        ("POST", "/v1/recommend", '{"users": [1.5]}', 422, "`users.0.int`", 1.5),
        ("POST", "/v1/recommend", '{"users": []}', 422, "`users`: List should have", "[]"),
        ("POST", "/v1/recommend", '{"history": [1], "kk": 1}', 422, "`kk`: Extra inputs", 1),
        ("POST", "/v1/recommend", json.dumps({"history": [1] * 11}), 422, "the number of items in `history`", "11"),
        ("POST", "/v1/recommend", json.dumps({"users": [1] * 13}), 422, "the number of `users`", "13"),
        ("POST", "/v1/recommend", "{nonsense", 422, "", None),
        ("POST", "/v1/recommend", "", 422, "", None),
        ("POST", "/v1/recommend", "[" * 1900, 422, "", None),
        ("POST", "/v1/recommend", '{"users": [1' + "0" * 1900 + "]}", 404, "1 of 1 users", None),
        ("POST", "/v1/recommend", '{"users": ["\\ud800"]}', 422, "`users.0`: a text must be of whole characters", None),
        ("POST", "/v1/recommend", b"\xff\xfe\x00", 422, "", None),
        ("POST", "/v1/recommend", '{"users": ["' + "x" * 2000 + '"]}', 413, "a body must be at most 2000 bytes", 2015),
        ("POST", "/v1/explain", '{"item": 1}', 422, "give either `user` or `history`", None),
        ("POST", "/v1/explain", '{"item": 99, "user": 1}', 404, "1 of 1 items were not in training", "99"),
    ],
)
def test_errors_have_a_status_a_rule_and_a_remedy(
    client: TestClient, method: str, path: str, body: str | bytes | None, status: int, rule: str, value: object
) -> None:
    answer = client.request(method, path, content=body, headers={"Content-Type": "application/json"} if body else {})
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}
    error = answer.json()["error"]
    assert set(error) == {"rule", "value", "remedy"}
    assert error["rule"].startswith(rule)
    assert error["remedy"]
    assert value is None or error["value"] == value


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "%00", "%ff%fe", "'; drop table users", "a" * 3000, "%F0%9F%98%80", "007", "1.0", "-1"]
)
def test_hostile_ids_are_unknown(client: TestClient, name: str) -> None:
    for path in (f"/v1/recommend/{name}", f"/v1/similar/{name}", f"/v1/explain/{name}/{name}"):
        answer = client.get(path)
        assert answer.status_code == 404, path
        assert len(answer.text) < 1000
