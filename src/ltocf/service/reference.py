"""The page /docs: every path with its fields and a line to try it with, made from the OpenAPI schema on the server."""

from __future__ import annotations

import json
import secrets
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from jinja2 import Environment, FileSystemLoader

router = APIRouter(include_in_schema=False)

TEMPLATES = Path(__file__).parent / "templates"
EXAMPLES: dict[str, dict[str, object]] = {
    "/v1/recommend": {"history": [1, 2, 3], "k": 10},
    "/v1/explain": {"history": [1, 2, 3], "item": 4},
}


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)


@router.get("/docs")
async def docs(request: Request) -> Response:
    schema, nonce = request.app.openapi(), secrets.token_urlsafe(16)
    base = str(request.base_url).rstrip("/")
    asks_token = request.app.state.settings.token is not None
    page = (
        _environment()
        .get_template("reference.html")
        .render(info=schema["info"], paths=described(schema, base, asks_token=asks_token), nonce=nonce)
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}
    return Response(page, media_type="text/html; charset=utf-8", headers=headers)


def described(schema: dict[str, Any], base: str, *, asks_token: bool) -> list[dict[str, Any]]:
    """Each method of each path: its fields, its answers, and a command that calls it."""
    found = []
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            body = _body(schema, operation)
            answers = [(status, answer["description"]) for status, answer in operation["responses"].items()]
            found.append(
                {
                    "name": f"{method.upper()} {path}",
                    "anchor": f"{method}-{path.strip('/').replace('/', '-').replace('{', '').replace('}', '')}",
                    "summary": operation["summary"],
                    "fields": [*map(_parameter, operation.get("parameters", ())), *body],
                    "answers": answers,
                    "shape": _answer(schema, operation),
                    "line": _line(method, path, base, asks_token=asks_token and path.startswith("/v1")),
                }
            )
    return found


def _parameter(parameter: dict[str, Any]) -> tuple[str, str, str, str]:
    field = parameter["schema"]
    default = "required" if parameter.get("required") else _default(field)
    return parameter["name"], _kind(field), default, parameter.get("description", "")


def _body(schema: dict[str, Any], operation: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    if "requestBody" not in operation:
        return []
    content = _resolved(schema, operation["requestBody"]["content"]["application/json"]["schema"])
    required = content.get("required", ())
    return [
        (name, _kind(field), "required" if name in required else _default(field), field.get("description", ""))
        for name, field in content["properties"].items()
    ]


def _answer(schema: dict[str, Any], operation: dict[str, Any]) -> str:
    """The names and kinds of the fields of an answer."""
    content = operation["responses"]["200"].get("content", {}).get("application/json")
    if content is None:
        return ""
    kinds = content["schema"].get("anyOf", [content["schema"]])
    return "  or  ".join(_outline(schema, kind) for kind in kinds)


def _outline(schema: dict[str, Any], kind: dict[str, Any]) -> str:
    """The shape of an answer on one line: names and kinds, nested like the answer."""
    if kind.get("type") == "array":
        return f"[{_outline(schema, kind['items'])}]"
    if "$ref" not in kind:
        return _kind(kind)
    fields = _resolved(schema, kind).get("properties", {})
    return "{" + ", ".join(f"{name}: {_outline(schema, field)}" for name, field in fields.items()) + "}"


def _resolved(schema: dict[str, Any], kind: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["components"]["schemas"][kind["$ref"].rsplit("/", 1)[1]] if "$ref" in kind else kind
    return found


def _kind(field: dict[str, Any]) -> str:
    if "enum" in field:
        return " | ".join(map(str, field["enum"]))
    if "anyOf" in field:
        return " | ".join(dict.fromkeys(map(_kind, field["anyOf"])))
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}"
    return str(field.get("const", field.get("type", "any")))


def _default(field: dict[str, Any]) -> str:
    return json.dumps(field["default"]) if field.get("default") is not None else ""


def _line(method: str, path: str, base: str, *, asks_token: bool) -> str:
    token = " -H 'Authorization: Bearer TOKEN'" if asks_token else ""
    url = base + path.replace("{user}", "1").replace("{item}", "2")
    if method == "get":
        return f"curl{token} '{url}'"
    return f"curl{token} '{url}' --json '{json.dumps(EXAMPLES.get(path, {}))}'"
