"""Paths and queries taken literally: ids with a line break or a slash, and unknown parameters."""

from __future__ import annotations

from urllib.parse import quote, unquote

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from starlette.convertors import Convertor, register_url_convertor

from ltocf.serving import RequestError


class IdConvertor(Convertor[str]):
    """The rest of a path, whatever it holds; Starlette's own ``path`` loses a line break at the end."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("id", IdConvertor())


def two_ids(request: Request, both: str) -> tuple[str, str]:
    """The two ids at the end of a path, divided at the first slash that the client did not write as ``%2F``.

    Args:
        request: it has the path as the client wrote it, if the server keeps that.
        both: the decoded end of the path: the ids and a slash between them.

    Raises:
        RequestError: there is no such slash, or several and the server does not say which of them divides the ids.
    """
    path, raw = request.scope["path"], request.scope.get("raw_path") or b""
    written = raw.partition(b"?")[0].decode("latin-1")
    if unquote(written) == path:
        end = written.split("/", path.removesuffix(both).count("/"))[-1]
    else:
        end = quote(both, safe="/") if both.count("/") == 1 else ""
    first, slash, second = map(unquote, end.partition("/"))
    if not slash or f"{first}/{second}" != both:
        remedy = "send them as `user` and `item` in the body of `POST /v1/explain`"
        raise RequestError("a user and an item must be divided by one slash", repr(both), remedy)
    return first, second


async def only_known_parameters(request: Request) -> None:
    """Refuse a mistyped parameter, as a mistyped field of a body is refused."""
    given = request.query_params
    if unknown := given.keys() - _parameters(request.scope["route"].dependant):
        name = min(unknown)
        error = {"loc": ("query", name), "msg": "Extra inputs are not permitted", "input": given[name]}
        raise RequestValidationError([error])


def _parameters(dependant: Dependant) -> set[str]:
    inner = (_parameters(each) for each in dependant.dependencies)
    return {field.alias for field in dependant.query_params}.union(*inner)
