"""Locks, constraints and pyproject.toml agree; what is committed about the packages names those that are locked."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SUPPLY, RESULTS = ROOT / "supply", ROOT / "results" / "supply"
LOCKS = {"serve": ("serve.txt", "torch.txt"), "test": ("test.txt", "torch.txt")}
ELSEWHERE = re.compile(r"sys_platform|platform_machine")
BUILDS = {"editables", "hatchling", "tomlkit", "trove-classifiers"}
"""What pip takes to build the package, in an environment that it throws away."""
COPYLEFT = re.compile(r"\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE)


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return found


def entries(*names: str) -> dict[str, tuple[Requirement, list[str]]]:
    """The requirement and the hashes of each locked package."""
    text = "".join((SUPPLY / name).read_text("utf-8") for name in names)
    found = {}
    for head, hashes in re.findall(r"^([a-z0-9].*?) \\\n((?: .*\n)+)", text, re.MULTILINE):
        one = Requirement(head)
        found[one.name] = one, re.findall(r"--hash=sha256:([0-9a-f]{64})", hashes)
    return found


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def asked(extra: str) -> list[Requirement]:
    """What an install with an extra asks for, extras of extras included."""
    extras, found, open_ = project()["project"]["optional-dependencies"], [], [extra]
    found += map(Requirement, project()["project"]["dependencies"])
    while open_:
        for one in map(Requirement, extras[open_.pop()]):
            open_ += one.extras if one.name == "ltocf" else ()
            found += [one] if one.name != "ltocf" else []
    return found


@pytest.mark.parametrize("extra", ["serve", "test"])
def test_a_lock_has_all_that_is_asked_for_with_hashes(extra: str) -> None:
    locked = entries(*LOCKS[extra])
    for one in asked(extra):
        version = str(locked[canonicalize_name(one.name)][0].specifier).removeprefix("==")
        assert one.specifier.contains(version), one
    assert all(hashes for _, hashes in locked.values())
    lines = "".join((SUPPLY / name).read_text("utf-8") for name in LOCKS[extra]).splitlines()
    assert {line.strip()[:14] for line in lines if line.startswith(" ")} == {"--hash=sha256:"}


@pytest.mark.parametrize("extra", ["serve", "test"])
def test_a_lock_and_the_constraints_are_of_one_mind(extra: str) -> None:
    pins = constraints()
    for name, (one, _) in entries(*LOCKS[extra]).items():
        if name in pins:
            assert str(one.specifier) == f"=={pins[name]}"
        else:  # what only another kind of machine needs
            assert ELSEWHERE.search(str(one.marker)), f"{name} must be in constraints.txt"


def test_what_builds_the_package_is_pinned_everywhere() -> None:
    (builds,) = map(Requirement, project()["build-system"]["requires"])
    assert str(builds.specifier) == f"=={constraints()[builds.name]}"
    assert str(builds) in (SUPPLY / "tools.txt").read_text("utf-8").splitlines()
    for extra in LOCKS:
        assert entries(f"{extra}.txt")[builds.name][0].specifier == builds.specifier


def test_both_builds_of_torch_are_of_one_version() -> None:
    versions = {str(entries(name)["torch"][0].specifier).partition("+")[0] for name in ("torch.txt", "torch-cpu.txt")}
    assert versions == {f"=={constraints()['torch']}"}


def test_licences_of_all_that_is_installed_are_known_and_none_binds_the_user() -> None:
    listed = {each["name"]: each for each in json.loads((RESULTS / "licences.json").read_text("utf-8"))}
    here = {name for name, (one, _) in entries("test.txt", "torch-cpu.txt").items() if one.marker is None}
    assert here - set(listed) <= BUILDS
    unknown = [name for name, each in listed.items() if each["licence"] in ("", "UNKNOWN")]
    assert unknown == []
    assert [name for name, each in listed.items() if COPYLEFT.search(each["licence"]) and each["runs"]] == []


def test_the_bill_of_materials_is_that_of_the_lock() -> None:
    found = json.loads((RESULTS / "sbom.json").read_text("utf-8"))
    listed = {each["name"]: each["version"] for each in found["components"]}
    locked = {name: str(one.specifier)[2:] for name, (one, _) in entries(*LOCKS["serve"]).items()}
    assert listed == locked
    assert found["metadata"]["component"]["name"] == "ltocf"


def test_the_audit_is_of_the_locked_packages() -> None:
    found = json.loads((RESULTS / "audit.json").read_text("utf-8"))
    everywhere = [one for one, _ in entries(*LOCKS["test"]).values() if one.marker is None]
    assert len(everywhere) <= found["packages"] <= len(entries(*LOCKS["test"]))
    assert found["known_to_the_database"] > 0 or found["finding"].startswith("none either way")
    assert found["vulnerable"] == []


def test_nothing_names_a_machine_or_an_index() -> None:
    for path in (*SUPPLY.glob("*.txt"), *RESULTS.glob("*.json")):
        text = path.read_text("utf-8")
        assert not re.search(r"file://|(?<![\w.])/(opt|root|home|work|tmp)/|pypi\.org|index-url", text), path.name
