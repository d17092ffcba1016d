"""Paths for monitoring: whether the service is alive, whether it is ready, and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ltocf.service.errors import problem
from ltocf.service.schemas import ErrorBody, Status

router = APIRouter(tags=["operation"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Whether the process is alive")
async def health() -> Status:
    return Status(status="ok")


@router.head("/readyz", include_in_schema=False, response_model=None)
@router.get(
    "/readyz", response_model=Status, summary="Whether new requests are welcome", responses={503: {"model": ErrorBody}}
)
async def ready(request: Request) -> Status | Response:
    """An application that answers at all has its models."""
    if request.app.state.traffic.stopping:
        return problem(503, "the service is stopping", None, "ask another one", {"Retry-After": "1"})
    return Status(status="ready")


@router.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
async def numbers(request: Request) -> Response:
    return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
