"""Ids in paths are taken to the letter, whatever they hold; what nobody asked for is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

import ltocf
from ltocf.service.app import create_app
from ltocf.service.settings import ServiceSettings
from service_samples import SETTINGS, VISITS

USERS = ["a", "a/b", "a/b/c", "/a", "b/", "a; rm", "x, got y", "..", "a\nb", "ü ?#&"]
ITEMS = ["c", "b/c", "/c", "c/", "..", "?q=1", "c\nd"]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A run with ids that other programs take for something else."""
    users = dict(enumerate(USERS))
    items = dict(enumerate(ITEMS))
    visits = [(users.get(user, f"u{user}"), items.get(item, f"i{item}")) for user, item in VISITS]
    run = tmp_path_factory.mktemp("odd") / "shop"
    ltocf.fit(visits, run, **SETTINGS)
    with TestClient(create_app(run, ServiceSettings(watch_seconds=0)), raise_server_exceptions=False) as client:
        yield client


def in_path(id: str) -> str:
    """Dots too: a client would take `..` for the folder above."""
    return quote(id, safe="").replace(".", "%2E")


@pytest.mark.parametrize("user", USERS, ids=repr)
def test_users(odd: TestClient, user: str) -> None:
    answer = odd.get(f"/v1/recommend/{in_path(user)}?k=3").json()
    asked = odd.post("/v1/recommend", json={"users": [user], "k": 3}).json()["lists"][0]
    assert (answer["user"], answer["items"]) == (user, asked["items"])


@pytest.mark.parametrize("item", ITEMS, ids=repr)
def test_items(odd: TestClient, item: str) -> None:
    assert odd.get(f"/v1/similar/{in_path(item)}?k=1").json()["item"] == item


@pytest.mark.parametrize("user", USERS, ids=repr)
def test_explanations(odd: TestClient, user: str) -> None:
    for item in ITEMS:
        answer = odd.get(f"/v1/explain/{in_path(user)}/{in_path(item)}").json()
        assert (answer["user"], answer["item"]) == (user, item)
        assert answer == odd.post("/v1/explain", json={"user": user, "item": item}).json()


def test_what_has_no_line_break_is_not_found_with_one(odd: TestClient) -> None:
    for path in ("/v1/recommend/a%0A", "/v1/similar/c%0A", "/v1/explain/a/c%0A", "/v1/explain/a%0A/c"):
        assert odd.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/v1/explain/a%2Fb", "/v1/explain/a"])
def test_explanation_of_one_id(odd: TestClient, path: str) -> None:
    assert odd.get(path).status_code in (404, 405, 422)


def test_servers_that_keep_no_path_as_it_was_written(odd: TestClient) -> None:
    async def without(scope: Any, receive: Any, send: Any) -> None:
        await odd.app({name: value for name, value in scope.items() if name != "raw_path"}, receive, send)

    client = TestClient(without)
    assert client.get("/v1/explain/a/c").json()["item"] == "c"
    answer = client.get("/v1/explain/a%2Fb/c")
    assert (answer.status_code, answer.json()["error"]["value"]) == (422, "'a/b/c'")
    assert "`POST /v1/explain`" in answer.json()["error"]["remedy"]


def test_explanations_where_the_application_is_mounted(odd: TestClient) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    site = TestClient(Starlette(routes=[Mount("/at/shop", odd.app)]))
    answer = site.get("/at/shop/v1/explain/a%2Fb/b%2Fc").json()
    assert (answer["user"], answer["item"]) == ("a/b", "b/c")


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        ({"users": ["a; rm -rf"]}, "'a; rm -rf'"),
        ({"users": ["x, got z: y; w"]}, "'x, got z: y; w'"),
        ({"history": ["h; i"]}, "'h; i'"),
        ({"users": ["a"], "only": ["o; p"]}, "'o; p'"),
    ],
)
def test_errors_give_back_the_value_whole(odd: TestClient, asked: dict[str, object], value: str) -> None:
    error = odd.post("/v1/recommend", json=asked).json()["error"]
    assert error["value"] == value
    for mark in ("rm", "w'", "h;", "p"):
        assert f"{mark}'" not in error["rule"] + error["remedy"]


def test_run_of_another_name(odd: TestClient) -> None:
    error = odd.get("/v1/runs", params={"run": "a"})
    assert error.status_code == 422
    error = odd.get("/v1/items", params={"run": "a; b, got c"}).json()["error"]
    assert (error["rule"], error["value"], error["remedy"]) == (
        "`run` must be one of shop",
        "'a; b, got c'",
        "`/v1/runs` lists them",
    )


@pytest.mark.parametrize("path", ["/v1/recommend/a", "/v1/similar/c", "/v1/items", "/v1/explain/a/c", "/v1/runs"])
def test_unknown_parameters(odd: TestClient, path: str) -> None:
    answer = odd.get(f"{path}?kk=1")
    assert (answer.status_code, answer.json()["error"]["rule"]) == (422, "`kk`: Extra inputs are not permitted")
    assert answer.json()["error"]["value"] == "1"
    assert odd.post("/v1/recommend?runn=shop", json={"users": ["a"]}).status_code == 422
    assert odd.get("/healthz?probe=1").status_code == 200
    assert odd.get("/?utm=1").status_code == 200


@pytest.mark.parametrize("media", ["text/plain", "application/xml", ""])
def test_bodies_that_are_not_said_to_be_json(odd: TestClient, media: str) -> None:
    answer = odd.post("/v1/recommend", content=b'{"users": ["a"]}', headers={"Content-Type": media})
    error = answer.json()["error"]
    assert (answer.status_code, error["rule"]) == (422, "the header `Content-Type` must be application/json")
    assert error["value"] == (media or "none")
    assert "Content-Type: application/json" in error["remedy"]


@pytest.mark.parametrize("field", ["users", "history", "only", "exclude"])
def test_half_a_character(odd: TestClient, field: str) -> None:
    asked = (
        f'{{"users": ["a"], "{field}": ["\\ud800"]}}' if field in ("only", "exclude") else f'{{"{field}": ["\\ud800"]}}'
    )
    answer = odd.post("/v1/recommend", content=asked.encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"]["rule"].startswith(f"`{field}.0`: a text must be of whole characters")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_heads(odd: TestClient, path: str) -> None:
    assert odd.head(path).status_code == 200
    assert "head" not in odd.get("/openapi.json").json()["paths"][path]
