"""Run the tests with the lowest or the newest versions of all packages that this one requires.

    make test-lowest test-newest

Lowest: the minimum in pyproject.toml of every package that is needed to run, in `dependencies` and in the extras of
EXTRAS; packages that only tests need are the newest that fit them. Newest: the newest of all. torch keeps its version
of constraints.txt: its other versions come from the package index with gigabytes of CUDA. The environment is
`.venv-lowest` or `.venv-newest`; arguments after the name go to pytest. Writes results/supply/versions.json.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from outcomes import ROOT, run_tests

EXTRAS = ("plots", "search", "tracking", "sql", "export", "serve", "mcp")
KEPT = "torch"
CHECKERS = ("import-linter", "mypy", "ruff", "scipy-stubs")
"""They read the code and do not run it; some want newer versions than the code does."""
PACKAGES = ("tests", "src", "--ignore=tests/docs", "--ignore=tests/real", "--ignore=tests/faults")
"""Pages, notebooks and faults are checked with `.venv` only: outputs on the pages name its versions."""

QUIETER = ("-W", "default", "-o", "addopts=--strict-markers --strict-config --doctest-modules --import-mode=importlib")
"""Deprecations in other packages are no fault of this one; the plugin that checks shapes needs versions of its own."""


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return found


def minimums() -> dict[str, str]:
    """The lowest version of each package that this one needs to run."""
    requirements = [*project()["dependencies"], *requirements_of(*EXTRAS)]
    matches = (re.match(r"([\w.-]+)>=([\w.]+)", requirement) for requirement in requirements)
    return {match[1]: match[2] for match in matches if match}


def pinned() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


def requirements_of(*extras: str) -> list[str]:
    """The requirements of extras, without the other extras that they include."""
    listed = project()["optional-dependencies"]
    return [requirement for extra in extras for requirement in listed[extra] if not requirement.startswith("ltocf[")]


def to_install(kind: str) -> list[str]:
    """The requirements of the environment."""
    torch = f"{KEPT}=={pinned()[KEPT]}"
    tools = [requirement for requirement in requirements_of("test") if not requirement.startswith(CHECKERS)]
    if kind == "newest":
        return [torch, *project()["dependencies"], *requirements_of(*EXTRAS), *tools]
    low = minimums()
    exact = [f"{name}=={version}" for name, version in low.items() if name != KEPT]
    return [torch, *exact, *(tool for tool in tools if re.split(r"[^\w.-]", tool)[0] not in low)]


def installed(python: Path) -> dict[str, str]:
    done = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True)
    return {package["name"].lower(): package["version"] for package in json.loads(done.stdout)}


def environment_of(kind: str) -> Path:
    """The Python of the environment, which is made if it is missing, with its packages."""
    environment = ROOT / f".venv-{kind}"
    python = environment / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet"]
    upgrade = ["--upgrade", "--upgrade-strategy", "eager"] if kind == "newest" else []
    subprocess.run([*pip, *upgrade, *to_install(kind)], check=True)
    subprocess.run([*pip, "--no-deps", "-e", ROOT], check=True)
    return python


def main() -> None:
    kind, *arguments = sys.argv[1:]
    python = environment_of(kind)
    folders = [] if any(Path(argument).exists() for argument in arguments) else PACKAGES
    command: list[str | Path] = [python, "-m", "pytest", "-q", *QUIETER, *folders, *arguments]
    names, found = set(minimums()), installed(python)
    versions = {name: found[name] for name in sorted(names) if name in found}
    sys.exit(run_tests(kind, command, ROOT, arguments=" ".join(arguments), versions=versions))


if __name__ == "__main__":
    main()
