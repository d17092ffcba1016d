"""Whatever a file, a configuration or a request contains, only the package's own errors come out."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from starlette.testclient import TestClient

import ltocf
from bad_inputs import ABORTING, OWN, READERS, refused
from damage import NONSENSE, bounded, changed_tree, damaged
from ltocf.runs.config import Config
from ltocf.service.app import create_app
from ltocf.service.settings import ServiceSettings
from model_samples import OPTIONS, parts_of, sealed

CORPUS = Path(__file__).parent / "corpus"
SHORT, FULL = 4, 1000
TESTS = Path(__file__).resolve().parents[1]
Record = Callable[[str, dict[str, Any]], None]
seeds = st.integers(0, 2**40)


def many(n: int) -> settings:
    return settings(max_examples=n, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None)


@pytest.mark.parametrize("name", [name for name in READERS if name not in ABORTING])
def test_a_damaged_file_is_read_or_refused(name: str, full: bool, record: Record) -> None:
    """Valid files with bits flipped, ends cut, lines doubled or types changed."""
    reader, counts = READERS[name], {"cases": 0, "refused": 0, "other_errors": 0}
    valid = reader.seeds()

    @many(FULL if full else SHORT)
    @given(seed=seeds)
    def keeps(seed: int) -> None:
        generator = random.Random(seed)
        content = damaged(generator.choice(valid), generator, valid)
        with tempfile.TemporaryDirectory() as folder, bounded():
            counts["cases"] += 1
            counts["refused"] += refused(reader, content, Path(folder)) is not None

    keeps()
    assert counts["cases"] > 1
    record(f"bad-input-{name}", counts)


@pytest.mark.parametrize("name", READERS)
def test_a_valid_file_is_read(name: str, tmp_path: Path) -> None:
    for place, content in enumerate(READERS[name].seeds()):
        (tmp_path / str(place)).mkdir()
        assert refused(READERS[name], content, tmp_path / str(place)) is None


@pytest.mark.parametrize("file", sorted(CORPUS.glob("*/*")), ids=lambda file: f"{file.parent.name}-{file.name}")
def test_a_file_that_once_gave_a_traceback_is_read_or_refused(file: Path, tmp_path: Path) -> None:
    """The folder of each file is named after its reader."""
    with bounded():
        refused(READERS[file.parent.name], file.read_bytes(), tmp_path)


@pytest.mark.parametrize("name", OPTIONS)
def test_a_model_file_of_nonsense_is_read_or_refused(name: str, full: bool, record: Record, tmp_path: Path) -> None:
    """Options and arrays of other types, sizes and shapes, with a correct checksum."""
    reader, counts = READERS[f"model-{name}"], {"cases": 0, "refused": 0, "other_errors": 0}
    arrays, metadata = parts_of(reader.seeds()[0])

    @many(500 if full else 3)
    @given(seed=seeds)
    def keeps(seed: int) -> None:
        generator = random.Random(seed)
        content = sealed(_nonsense(dict(arrays), generator), _changed(metadata, generator))
        with bounded():
            counts["cases"] += 1
            counts["refused"] += refused(reader, content, tmp_path) is not None

    keeps()
    record(f"bad-input-nonsense-{name}", counts)


def _changed(metadata: dict[str, Any], generator: random.Random) -> dict[str, Any]:
    """The metadata with one change, most often of an option."""
    if generator.random() < 0.3:
        return metadata
    if generator.random() < 0.2:
        return dict(changed_tree(metadata, generator))
    options = dict(metadata["options"].items())
    known = [*ltocf.MODELS[metadata["model"]].options(), "unknown"]
    options[generator.choice(known)] = generator.choice(NONSENSE)
    return metadata | {"options": options}


def _nonsense(arrays: dict[str, np.ndarray], generator: random.Random) -> dict[str, np.ndarray]:
    if generator.random() < 0.4:
        return arrays
    name = generator.choice(sorted(arrays))
    if name == "attributes.parquet":
        return arrays
    array = arrays[name]
    change = generator.randrange(7)
    if change == 0:
        del arrays[name]
    elif change == 1:
        arrays[name] = array.astype(generator.choice([np.float64, np.int64, np.uint8, np.bool_, np.float16]))
    elif change == 2:
        arrays[name] = np.ascontiguousarray(np.repeat(array.reshape(-1), 3))
    elif change == 3:
        arrays[name] = array.reshape(-1)[: generator.randrange(array.size + 1)].copy()
    elif change == 4:
        arrays[name] = np.full_like(array, generator.choice([0, 1, 2**7 - 1]))
    elif change == 5:
        arrays[name] = np.zeros((0, *array.shape[1:]), array.dtype)
    elif array.size:
        arrays[name] = array.copy()
        largest = np.finfo(array.dtype).max if array.dtype.kind == "f" else np.iinfo(array.dtype).max
        arrays[name].reshape(-1)[generator.randrange(array.size)] = largest
    return arrays


def test_a_configuration_of_nonsense_is_read_or_refused(full: bool, record: Record) -> None:
    counts = {"cases": 0, "refused": 0, "other_errors": 0}
    names = [*OPTIONS, "auto"]
    tables = {name: Config.from_toml("", "log.csv", {"model": name}).tables() for name in names}

    @many(10_000 if full else 60)
    @given(seed=seeds)
    def keeps(seed: int) -> None:
        generator = random.Random(seed)
        tree = changed_tree(tables[generator.choice(names)], generator)
        try:
            text = tomli_w.dumps(tree)
        except (TypeError, ValueError, AttributeError):  # values that TOML cannot express
            return
        counts["cases"] += 1
        with bounded():
            try:
                Config.from_toml(text).to_toml()
            except (*OWN, TypeCheckError):
                counts["refused"] += 1

    keeps()
    record("bad-input-nonsense-configuration", counts)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    visits = [(user, item) for user in range(20) for item in range(12) if (user * 7 + item * 3) % 4]
    run = tmp_path_factory.mktemp("served") / "run"
    ltocf.fit(visits, run, model="lightgcn", dim=4, epochs=1, show_progress=False)
    settings = ServiceSettings(watch_seconds=0, max_body_bytes=20_000, access_log=False)
    with TestClient(create_app(run, settings), raise_server_exceptions=False, base_url="http://localhost") as found:
        yield found


REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/recommend": {"users": [1, 2], "k": 3, "only": [1, 2, 3], "exclude": [4], "unknown": "skip"},
    "/v1/explain": {"user": 1, "item": 2},
}


@pytest.mark.parametrize("path", REQUESTS)
def test_a_request_of_nonsense_is_answered_or_refused(
    path: str, client: TestClient, full: bool, record: Record
) -> None:
    """In JSON, and never with a status of 500."""
    whole = [REQUESTS[path], {"history": [1, 2, 3], **({"k": 2} if path == "/v1/recommend" else {"item": 5})}]
    assert [client.post(path, json=body).status_code for body in whole] == [200, 200]
    valid = [json.dumps(body).encode() for body in whole]
    counts = {"cases": 0, "refused": 0, "other_errors": 0}

    @many(2500 if full else 20)
    @given(seed=seeds)
    def keeps(seed: int) -> None:
        generator = random.Random(seed)
        body = damaged(generator.choice(valid), generator, valid)
        if generator.random() < 0.5:
            body = json.dumps(changed_tree(generator.choice(whole), generator)).encode()
        counts["cases"] += 1
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (200, 404, 413, 422), (answer.status_code, body)
        assert isinstance(answer.json(), dict)
        counts["refused"] += answer.status_code != 200

    keeps()
    record(f"bad-input-bodies{path.replace('/', '-')}", counts)


PARQUET = """
import random, sys, tempfile
from pathlib import Path
from bad_inputs import READERS, refused
from damage import bounded, damaged
reader, first, last = READERS[sys.argv[1]], int(sys.argv[2]), int(sys.argv[3])
valid, n_refused = reader.seeds(), 0
for seed in range(first, last):
    print("at", seed, flush=True)
    generator = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, bounded(4000):
        content = damaged(generator.choice(valid), generator, valid)
        print("refused" if refused(reader, content, Path(folder)) else "read", flush=True)
"""


@pytest.mark.parametrize("name", ABORTING)
def test_damaged_parquet_is_read_or_refused(name: str, full: bool, record: Record) -> None:
    """In a child process, which polars may end by asking for more memory than there is, see docs/data.md."""
    counts = {"cases": 0, "refused": 0, "ends_of_the_process": 0, "other_errors": 0}
    start, end = 0, FULL if full else 6
    while start < end:
        command = [sys.executable, "-W", "error", "-c", PARQUET, name, str(start), str(end)]
        done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, errors="replace", timeout=3600)
        seen = [int(number) for number in re.findall(r"^at (\d+)$", done.stdout, re.MULTILINE)]
        counts["cases"] += len(seen)
        counts["refused"] += len(re.findall("^refused", done.stdout, re.MULTILINE))
        start = seen[-1] + 1 if seen else end
        if done.returncode:
            assert "memory allocation of" in done.stderr, done.stderr[-3000:]
            counts["ends_of_the_process"] += 1
    assert counts["cases"] == end
    record(f"bad-input-{name}", counts)
