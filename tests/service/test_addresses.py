"""Ids in paths are read literally, whatever characters they have; unknown parameters are refused."""

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
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A client of a run whose ids have special characters."""
    users = dict(enumerate(USERS))
    items = dict(enumerate(ITEMS))
    visits = [(users.get(user, f"u{user}"), items.get(item, f"i{item}")) for user, item in VISITS]
    run = tmp_path_factory.mktemp("special") / "shop"
    ltocf.fit(visits, run, **SETTINGS)
    with TestClient(create_app(run, ServiceSettings(watch_seconds=0)), raise_server_exceptions=False) as test_client:
        yield test_client


def quoted(id: str) -> str:
    """An id for a path. Dots are quoted too: a client would read `..` as the parent folder."""
    return quote(id, safe="").replace(".", "%2E")


@pytest.mark.parametrize("user", USERS, ids=repr)
def test_user_ids_with_special_characters_are_read_from_paths(client: TestClient, user: str) -> None:
    answer = client.get(f"/v1/recommend/{quoted(user)}?k=3").json()
    posted = client.post("/v1/recommend", json={"users": [user], "k": 3}).json()["lists"][0]
    assert (answer["user"], answer["items"]) == (user, posted["items"])


@pytest.mark.parametrize("item", ITEMS, ids=repr)
def test_item_ids_with_special_characters_are_read_from_paths(client: TestClient, item: str) -> None:
    assert client.get(f"/v1/similar/{quoted(item)}?k=1").json()["item"] == item


@pytest.mark.parametrize("user", USERS, ids=repr)
def test_explanations_by_path_equal_those_by_body(client: TestClient, user: str) -> None:
    for item in ITEMS:
        answer = client.get(f"/v1/explain/{quoted(user)}/{quoted(item)}").json()
        assert (answer["user"], answer["item"]) == (user, item)
        assert answer == client.post("/v1/explain", json={"user": user, "item": item}).json()


def test_an_id_followed_by_a_line_break_is_unknown(client: TestClient) -> None:
    for path in ("/v1/recommend/a%0A", "/v1/similar/c%0A", "/v1/explain/a/c%0A", "/v1/explain/a%0A/c"):
        assert client.get(path).status_code == 404


@pytest.mark.parametrize(("path", "status"), [("/v1/explain/a%2Fb", 422), ("/v1/explain/a", 404)])
def test_an_explanation_needs_two_ids(client: TestClient, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_a_server_without_raw_paths_refuses_ambiguous_explanations(client: TestClient) -> None:
    async def without_raw_path(scope: Any, receive: Any, send: Any) -> None:
        await client.app({name: value for name, value in scope.items() if name != "raw_path"}, receive, send)

    client_without_raw_path = TestClient(without_raw_path)
    assert client_without_raw_path.get("/v1/explain/a/c").json()["item"] == "c"
    answer = client_without_raw_path.get("/v1/explain/a%2Fb/c")
    assert (answer.status_code, answer.json()["error"]["value"]) == (422, "'a/b/c'")
    assert "`POST /v1/explain`" in answer.json()["error"]["remedy"]


def test_explanations_work_in_a_mounted_application(client: TestClient) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Mount

    site = TestClient(Starlette(routes=[Mount("/at/shop", client.app)]))
    answer = site.get("/at/shop/v1/explain/a%2Fb/b%2Fc").json()
    assert (answer["user"], answer["item"]) == ("a/b", "b/c")


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ({"users": ["a; rm -rf"]}, "'a; rm -rf'"),
        ({"users": ["x, got z: y; w"]}, "'x, got z: y; w'"),
        ({"history": ["h; i"]}, "'h; i'"),
        ({"users": ["a"], "only": ["o; p"]}, "'o; p'"),
    ],
)
def test_errors_contain_the_whole_value(client: TestClient, body: dict[str, object], value: str) -> None:
    error = client.post("/v1/recommend", json=body).json()["error"]
    assert error["value"] == value
    last_part = value.rpartition("; ")[2]
    assert last_part not in error["rule"] + error["remedy"]


def test_an_unknown_run_is_refused(client: TestClient) -> None:
    assert client.get("/v1/runs", params={"run": "a"}).status_code == 422
    error = client.get("/v1/items", params={"run": "a; b, got c"}).json()["error"]
    assert (error["rule"], error["value"], error["remedy"]) == (
        "`run` must be one of shop",
        "'a; b, got c'",
        "`/v1/runs` lists them",
    )


@pytest.mark.parametrize("path", ["/v1/recommend/a", "/v1/similar/c", "/v1/items", "/v1/explain/a/c", "/v1/runs"])
def test_unknown_parameters_of_the_api_are_refused(client: TestClient, path: str) -> None:
    answer = client.get(f"{path}?kk=1")
    assert (answer.status_code, answer.json()["error"]["rule"]) == (422, "`kk`: Extra inputs are not permitted")
    assert answer.json()["error"]["value"] == "1"
    assert client.post("/v1/recommend?runn=shop", json={"users": ["a"]}).status_code == 422
    assert client.get("/healthz?probe=1").status_code == 200
    assert client.get("/?utm=1").status_code == 200


@pytest.mark.parametrize("media", ["text/plain", "application/xml", ""])
def test_bodies_without_the_content_type_of_json_are_refused(client: TestClient, media: str) -> None:
    answer = client.post("/v1/recommend", content=b'{"users": ["a"]}', headers={"Content-Type": media})
    error = answer.json()["error"]
    assert (answer.status_code, error["rule"]) == (422, "the header `Content-Type` must be application/json")
    assert error["value"] == (media or "none")
    assert "Content-Type: application/json" in error["remedy"]


@pytest.mark.parametrize("field", ["users", "history", "only", "exclude"])
def test_lone_surrogates_are_refused(client: TestClient, field: str) -> None:
    body = (
        f'{{"users": ["a"], "{field}": ["\\ud800"]}}' if field in ("only", "exclude") else f'{{"{field}": ["\\ud800"]}}'
    )
    answer = client.post("/v1/recommend", content=body.encode(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["error"]["rule"].startswith(f"`{field}.0`: a text must be of whole characters")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_checks_answer_head_requests(client: TestClient, path: str) -> None:
    assert client.head(path).status_code == 200
    assert "head" not in client.get("/openapi.json").json()["paths"][path]
