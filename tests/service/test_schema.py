"""The service against its own schema: it never fails, and answers as the schema says, to valid and invalid requests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ltocf.service.app import create_app
from ltocf.service.settings import ServiceSettings

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
SETTINGS = ServiceSettings(watch_seconds=0, max_body_bytes=5000, access_log=False)
N_OPERATIONS = 10


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "forbidden"])
def test_service_keeps_to_its_schema(run: Path, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(run, SETTINGS))
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == N_OPERATIONS
    n_answered = 0
    for operation in operations:

        @settings(max_examples=8, suppress_health_check=list(HealthCheck), phases=[Phase.generate], database=None)
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            nonlocal n_answered
            case.call_and_validate(checks=CHECKS)
            n_answered += 1

        try:
            check()
        except Unsatisfiable:  # a path without parameters has no invalid requests
            assert mode is GenerationMode.NEGATIVE
    assert n_answered > 3 * N_OPERATIONS
