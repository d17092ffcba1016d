"""Build wheel and sdist, install the wheel outside of this folder, and run the sdist's tests with it.

    make test-wheel

The wheel is made from the sdist. It is installed without its dependencies into an environment in a temporary folder,
which takes them from `.venv`; the tests run in the unpacked sdist, whose `src` is removed. Writes
results/supply/versions.json.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from outcomes import ROOT, run_tests

INSTALLED = ROOT / ".venv"
LEFT_OUT = (
    "docs",
    "real",
    "deploy",
    "faults",
    "test_installation.py",
    "test_no_special_cases.py",
    "test_distribution.py",
    "contracts",
)
"""Tests of the pages, of real data and of the sources themselves."""


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    print("$", *command, flush=True)
    return subprocess.run(command, check=True, text=True, **options)  # type: ignore[call-overload, no-any-return]


def built(folder: Path) -> tuple[Path, Path]:
    """The unpacked sdist, and the wheel made from it."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    unpacked = next(path for path in folder.iterdir() if path.is_dir())
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=unpacked)
    return unpacked, next(folder.glob("*.whl"))


def environment(folder: Path, wheel: Path) -> Path:
    """A Python that has the wheel, and everything else from `.venv`."""
    run(sys.executable, "-m", "venv", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel)
    where = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", stdout=subprocess.PIPE)
    # The path is added as text, not as a site folder, whose own .pth files would add the clone.
    others = run(
        INSTALLED / "bin" / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", stdout=-1
    )
    Path(where.stdout.strip(), "others.pth").write_text(others.stdout, encoding="utf-8")
    return python


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ltocf-wheel-") as name:
        folder = Path(name)
        unpacked, wheel = built(folder)
        python = environment(folder, wheel)
        (unpacked / "src").rename(folder / "src-removed")
        variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        origin = run(python, "-c", "import ltocf; print(ltocf.__file__)", cwd=unpacked, env=variables, stdout=-1).stdout
        if not origin.startswith(str(folder / "venv")):
            raise SystemExit(f"the package must come from the wheel, got {origin}")
        ignored = [f"--ignore=tests/{name}" for name in LEFT_OUT]
        tests: list[str | Path] = ["-q", "-p", "no:cacheprovider", "tests", *ignored, *sys.argv[1:]]
        status = run_tests("wheel", [python, "-m", "pytest", *tests], unpacked, variables, wheel=wheel.name)
    raise SystemExit(status)


if __name__ == "__main__":
    main()
