"""Write the locks beside this file: every package of the two documented installs, with the hashes of its files.

    make lock

Versions are those of constraints.txt. `serve.txt` has what `make demo` installs and `test.txt` what `make test`
installs, both with the packages that build this one and without torch, which has several builds of each version:
`torch.txt` has that of the package index and the CUDA packages that it requires, `torch-cpu.txt` the CPU build that is
tested.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent
EXTRAS = ("serve", "test")
PYTHON = "3.11.5"
"""The first version that all pinned packages support."""
TORCH_PACKAGES = re.compile(r"torch==|triton==|nvidia-|cuda-")
CPU_NOTE = """\
# The CPU build of torch, one file: that for Python 3.11 on Linux x86_64, with which the package is tested. Its index,
# which the README names, has files for other platforms; their hashes could not be fetched where this was made.
"""


def entries(lock: str) -> list[str]:
    """The packages of a lock, each with its hashes."""
    return re.findall(r"^[a-z0-9].*(?:\n .*)*\n", lock, re.MULTILINE)


def compiled(extra: str) -> list[str]:
    """All packages of an install with an extra, for every platform and Python."""
    builds = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]["requires"]
    with tempfile.TemporaryDirectory() as folder:
        build_requirements = Path(folder, "build.in")
        build_requirements.write_text("\n".join([*builds, "editables"]) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes"]
        command += ["--python-version", PYTHON, "--no-annotate", "--no-header"]
        command += ["-c", "constraints.txt", "--extra", extra, "pyproject.toml", str(build_requirements)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return entries(done.stdout)


def write(name: str, about: str, packages: list[str]) -> None:
    text = about + "# Made by `make lock`; not to be edited.\n" + "".join(packages)
    (FOLDER / name).write_text(text, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu-wheel", type=Path, help="the CPU build of torch, to write its hash anew")
    options = parser.parse_args()
    for extra in EXTRAS:
        packages = compiled(extra)
        torch = [package for package in packages if TORCH_PACKAGES.match(package)]
        about = f"# All of `pip install -e '.[{extra}]'` but torch, which is in torch.txt and torch-cpu.txt.\n"
        write(f"{extra}.txt", about, [package for package in packages if package not in torch])
        write("torch.txt", "# torch of the package index and its CUDA packages.\n", torch)
    if options.cpu_wheel is not None:
        version = options.cpu_wheel.name.split("-")[1]
        digest = hashlib.sha256(options.cpu_wheel.read_bytes()).hexdigest()
        write("torch-cpu.txt", CPU_NOTE, [f"torch=={version} \\\n    --hash=sha256:{digest}\n"])


if __name__ == "__main__":
    main()
