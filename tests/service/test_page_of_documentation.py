"""The page about the service is true: its three clients get the same list, and its table has every setting."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import io
import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from docs.test_documentation import blocks, rows
from ltocf.service.settings import ServiceSettings
from service_samples import Service

PAGE = Path(__file__).resolve().parents[2] / "docs" / "service.md"
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the films that the page names."""
    import ltocf

    folder = tmp_path_factory.mktemp("films") / "run"
    ltocf.train("movielens-small", folder, model="lightgcn", epochs=1, dim=8, n_negatives=256, show_progress=False)
    service = Service(folder)
    yield service
    assert service.stop() == 0


def expected_lines(films: Service) -> list[str]:
    answer = httpx.post(f"{films.url}/v1/recommend", json={"history": [1, 3114, 588], "k": 5}).json()
    assert len(answer["items"]) == 5
    assert answer["ignored"] == []
    return [f"{row['item']} {row['title']} {row['score']:.2f}".rstrip("0") for row in answer["items"]]


def test_the_python_client_prints_the_list(films: Service) -> None:
    code = blocks(PAGE, "py")[0][1].replace(ADDRESS, films.url)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, {})
    assert [line.rstrip("0") for line in printed.getvalue().splitlines()] == expected_lines(films)


def test_the_shell_client_gets_the_list(films: Service) -> None:
    command = shlex.split(blocks(PAGE, "bash")[0][1].replace(ADDRESS, films.url))
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    if subprocess.run(["curl", "--json", "", "--version"], capture_output=True, check=False).returncode:
        position = command.index("--json")
        command[position : position + 1] = ["-H", "Content-Type: application/json", "--data"]  # curl before 7.82
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    lines = [f"{row['item']} {row['title']} {row['score']:.2f}".rstrip("0") for row in json.loads(done.stdout)["items"]]
    assert lines == expected_lines(films)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_the_javascript_client_prints_the_list(films: Service, tmp_path: Path) -> None:
    script = tmp_path / "client.mjs"
    script.write_text(blocks(PAGE, "js")[0][1].replace(ADDRESS, films.url))
    done = subprocess.run(["node", str(script)], capture_output=True, text=True, check=True, timeout=60)
    assert [line.rstrip("0") for line in done.stdout.splitlines()] == expected_lines(films)


def test_the_table_of_settings_has_every_default() -> None:
    documented = {name: ast.literal_eval(default) for name, default, _ in rows("service.md", "Limits and switches")}
    assert documented == {field.name: field.default for field in dataclasses.fields(ServiceSettings)}


def test_the_table_of_paths_has_every_operation(films: Service) -> None:
    operations = httpx.get(f"{films.url}/openapi.json").json()["paths"]
    documented = [path for row in rows("service.md", "Paths") for path in row[0].replace("`", "").split(", ")]
    described = [f"{method.upper()} {path}" for path, methods in operations.items() for method in methods]
    assert sorted(documented) == sorted(described)
