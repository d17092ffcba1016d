"""Run the tests with every Python from 3.11 to 3.13 that is found and for which there is a CPU build of torch.

    make test-pythons                 or  make test-pythons ANY_TORCH=1

Interpreters are looked for on the PATH and among pyenv's. The environment of each is `.venv-python3.12` and so on.
With ANY_TORCH another build of torch will do, though it is gigabytes of CUDA. Writes results/supply/versions.json.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from outcomes import ROOT, run_tests
from versions import PACKAGES

VERSIONS = ("3.11", "3.12", "3.13")
COMPILE = """
from pathlib import Path
for folder in ("src", "tests", "benchmarks", "supply"):
    for path in Path(folder).rglob("*.py"):
        compile(path.read_text("utf-8"), str(path), "exec")
"""


def interpreter(version: str) -> str | None:
    """A Python of this version, if there is one."""
    programs = [shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    programs += [str(path / "bin" / "python") for path in sorted(pyenv.glob(f"{version}.*"))]
    for program in filter(None, programs):
        command = [program, "-c", "import sys; print('.'.join(map(str, sys.version_info[:2])))"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return program
    return None


def torch_build(python: Path) -> str | None:
    """The version of torch that pip would install, which names the build, such as ``+cpu``; or None."""
    options = ["--dry-run", "--quiet", "--no-deps", "--ignore-installed", "--report", "-", "-c", "constraints.txt"]
    command = [python, "-m", "pip", "install", *options, "torch"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.search(r"\{.*\}", done.stdout, re.DOTALL)
    return json.loads(found[0])["install"][0]["metadata"]["version"] if found else None


def tested(version: str, arguments: list[str]) -> str:
    """Run the tests with one version; how it went."""
    program = interpreter(version)
    if program is None:
        return "not found on this machine"
    subprocess.run([program, "-c", COMPILE], cwd=ROOT, check=True)
    folder = ROOT / f".venv-python{version}"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([program, "-m", "venv", folder], check=True)
    build = torch_build(python)
    cuda = sys.platform == "linux" and "+cpu" not in str(build)
    if build is None or (cuda and not os.environ.get("ANY_TORCH")):
        return f"no CPU build of torch was found; pip would take {build}, as does ANY_TORCH=1"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "-c", "constraints.txt", "-e", ".[test]"], cwd=ROOT, check=True
    )
    command: list[str | Path] = [python, "-m", "pytest", "-q", *PACKAGES, *arguments]
    status = run_tests(f"python{version}", command, ROOT, torch=build)
    return "passed" if status == 0 else f"failed with status {status}"


def main() -> None:
    results = {version: tested(version, sys.argv[1:]) for version in VERSIONS}
    for version, result in results.items():
        print(f"Python {version}: {result}")
    sys.exit(any(result.startswith("failed") for result in results.values()) or "passed" not in results.values())


if __name__ == "__main__":
    main()
