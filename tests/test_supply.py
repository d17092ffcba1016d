"""Locks, constraints and pyproject.toml agree; the committed licences, SBOM and audit are of the locked packages."""

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
BUILD_PACKAGES = {"editables", "hatchling", "tomlkit", "trove-classifiers"}
"""What pip installs into a temporary environment to build the package."""
COPYLEFT = re.compile(r"\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE)


def project() -> dict[str, Any]:
    content: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return content


def entries(*names: str) -> dict[str, tuple[Requirement, list[str]]]:
    """The requirement and the hashes of each locked package."""
    text = "".join((SUPPLY / name).read_text("utf-8") for name in names)
    found = {}
    for head, hashes in re.findall(r"^([a-z0-9].*?) \\\n((?: .*\n)+)", text, re.MULTILINE):
        requirement = Requirement(head)
        found[requirement.name] = requirement, re.findall(r"--hash=sha256:([0-9a-f]{64})", hashes)
    return found


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def requirements_of(extra: str) -> list[Requirement]:
    """All requirements of an installation with an extra, including the extras that it names."""
    extras, found, pending = project()["project"]["optional-dependencies"], [], [extra]
    found += map(Requirement, project()["project"]["dependencies"])
    while pending:
        for requirement in map(Requirement, extras[pending.pop()]):
            pending += requirement.extras if requirement.name == "ltocf" else ()
            found += [requirement] if requirement.name != "ltocf" else []
    return found


@pytest.mark.parametrize("extra", ["serve", "test"])
def test_a_lock_has_every_requirement_and_its_hashes(extra: str) -> None:
    locked = entries(*LOCKS[extra])
    for requirement in requirements_of(extra):
        version = str(locked[canonicalize_name(requirement.name)][0].specifier).removeprefix("==")
        assert requirement.specifier.contains(version), requirement
    assert all(hashes for _, hashes in locked.values())
    lines = "".join((SUPPLY / name).read_text("utf-8") for name in LOCKS[extra]).splitlines()
    assert {line.strip()[:14] for line in lines if line.startswith(" ")} == {"--hash=sha256:"}


@pytest.mark.parametrize("extra", ["serve", "test"])
def test_a_lock_and_the_constraints_have_the_same_versions(extra: str) -> None:
    pins = constraints()
    for name, (requirement, _) in entries(*LOCKS[extra]).items():
        if name in pins:
            assert str(requirement.specifier) == f"=={pins[name]}"
        else:  # a package that only another kind of machine needs
            assert ELSEWHERE.search(str(requirement.marker)), f"{name} must be in constraints.txt"


def test_the_build_backend_is_pinned_to_one_version_everywhere() -> None:
    (backend,) = map(Requirement, project()["build-system"]["requires"])
    assert str(backend.specifier) == f"=={constraints()[backend.name]}"
    assert str(backend) in (SUPPLY / "tools.txt").read_text("utf-8").splitlines()
    for extra in LOCKS:
        assert entries(f"{extra}.txt")[backend.name][0].specifier == backend.specifier


def test_both_builds_of_torch_have_the_version_of_the_constraints() -> None:
    versions = {str(entries(name)["torch"][0].specifier).partition("+")[0] for name in ("torch.txt", "torch-cpu.txt")}
    assert versions == {f"=={constraints()['torch']}"}


def test_every_installed_package_has_a_known_licence_and_none_that_runs_is_copyleft() -> None:
    listed = {package["name"]: package for package in json.loads((RESULTS / "licences.json").read_text("utf-8"))}
    locked = entries("test.txt", "torch-cpu.txt")
    installed = {name for name, (requirement, _) in locked.items() if requirement.marker is None}
    assert installed - set(listed) <= BUILD_PACKAGES
    unknown = [name for name, package in listed.items() if package["licence"] in ("", "UNKNOWN")]
    assert unknown == []
    copyleft = [name for name, package in listed.items() if COPYLEFT.search(package["licence"]) and package["runs"]]
    assert copyleft == []


def test_the_bill_of_materials_lists_the_locked_packages() -> None:
    bill = json.loads((RESULTS / "sbom.json").read_text("utf-8"))
    listed = {component["name"]: component["version"] for component in bill["components"]}
    locked = {name: str(requirement.specifier)[2:] for name, (requirement, _) in entries(*LOCKS["serve"]).items()}
    assert listed == locked
    assert bill["metadata"]["component"]["name"] == "ltocf"


def test_the_audit_covers_the_locked_packages_and_finds_none_vulnerable() -> None:
    audit = json.loads((RESULTS / "audit.json").read_text("utf-8"))
    locked = [requirement for requirement, _ in entries(*LOCKS["test"]).values()]
    unconditional = [requirement for requirement in locked if requirement.marker is None]
    assert len(unconditional) <= audit["packages"] <= len(locked)
    assert audit["known_to_the_database"] > 0 or audit["finding"].startswith("none either way")
    assert audit["vulnerable"] == []


def test_no_file_names_a_path_of_a_machine_or_a_package_index() -> None:
    for path in (*SUPPLY.glob("*.txt"), *RESULTS.glob("*.json")):
        text = path.read_text("utf-8")
        assert not re.search(r"file://|(?<![\w.])/(opt|root|home|work|tmp)/|pypi\.org|index-url", text), path.name
