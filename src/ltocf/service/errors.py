"""Every error is one JSON object: the rule, the value that broke it, and the remedy."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from ltocf.serving import RequestError, UnknownItemError, UnknownUserError

LONGEST_VALUE = 200
REMEDIES = {
    404: "`/docs` lists the paths there are",
    405: "`/docs` says which method each path takes",
    400: "send a body of JSON in UTF-8, as `/docs` shows it",
}
CORRECT = "correct the request; `/docs` says what each field means"


class UnknownRunError(RequestError):
    """A request for a run that is not served."""


def problem(status: int, rule: str, value: object, remedy: str, headers: Mapping[str, str] | None = None) -> Response:
    """The response of an error."""
    # ASCII: half of a surrogate pair in what a client sent could not be written as UTF-8.
    body = json.dumps({"error": {"rule": _shown(rule), "value": _shown(value), "remedy": remedy}})
    return Response(body, status, headers, "application/json")


def _shown(value: object) -> object:
    """A value as a number or a short text: what a client sent may be anything of any size."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or (isinstance(value, int) and abs(value) < 2**63):
        return value
    try:
        text = value if isinstance(value, str) else repr(value)
    except (ValueError, RecursionError):  # integers of thousands of digits, lists in lists in lists
        text = type(value).__name__
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "..."


def answer_errors(app: FastAPI) -> None:
    """Answer errors in this package's form in place of FastAPI's."""
    # No other ValueError: it would be a bug, which the gate logs.
    app.add_exception_handler(RequestError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _refused(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, (UnknownUserError, UnknownItemError, UnknownRunError)) else 422
    refusal = error if isinstance(error, RequestError) else RequestError(str(error))
    return problem(status, refusal.rule, refusal.value, refusal.remedy or CORRECT)


async def _invalid(request: Request, error: Exception) -> Response:
    details: Any = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    location = details.get("loc", ())
    content_type = request.headers.get("content-type", "")
    if location[:1] == ("body",) and not _is_json(content_type):
        rule, remedy = "the header `Content-Type` must be application/json", "send `Content-Type: application/json`"
        return problem(422, rule, content_type or "none", remedy)
    field = ".".join(str(part) for part in location if part not in ("body", "query", "path"))
    message = str(details.get("msg", error)).removeprefix("Value error, ")
    rule = f"`{field}`: {message}" if field else message
    return problem(422, rule, details.get("input"), "`/docs` says what the request may hold")


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" or (media_type.startswith("application/") and media_type.endswith("+json"))


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    # A body that is not JSON gets the status of a body with a wrong field.
    answered, rule = (422 if status == 400 else status), HTTPStatus(status).phrase
    if status in (404, 405):
        rule = {404: "there is no such path", 405: "this path does not take this method"}[status]
    elif isinstance(error, HTTPException):
        rule = str(error.detail)
    value = f"{request.method} {request.url.path}" if status in (404, 405) else None
    headers = error.headers if isinstance(error, HTTPException) else None
    return problem(answered, rule, value, REMEDIES.get(status, "`/docs` says how to ask"), headers)
