"""Mutation testing of one folder of the package: is there a test that notices a change of its code?

Usage: python benchmarks/mutation/run.py training [--processes 2] [NAME ...]

NAME is a mutant or a pattern, as `mutmut` prints them: `ltocf.training.checkpoint*`. Everything is done in a copy of
the sources, `mutants/FOLDER`; what was found there stays until the source or its tests change.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COPIED = ("src", "tests", "configs", "docs")

TESTS = {
    "runs": ["tests/runs"],
    "reproduce": ["tests/reproduce"],
    "serving": ["tests/serving"],
    "training": ["tests/training"],
}
"""The folders whose mutants must die, and the tests that must kill them."""

SLOW: dict[str, list[str]] = {
    "runs": ["test_a_dead_process_holds_no_lock"],
    "reproduce": [
        "test_committed",
        "test_only_missing_cells_are_run",
        "test_cells_that_run_out_of_time_are_left",
        "test_the_command_writes_a_report",
        "test_the_command_searches",
    ],
    "training": ["test_freed_memory_is_kept_unless_the_environment_tunes_malloc"],
}
"""Names of tests, or of their files, that take long and kill no mutant.

Processes that tests start import the package without mutants; `results` is not copied; a whole call of the command,
with its training and its drawing, covers what other tests cover one by one.
"""

DEAD = ("killed", "timeout", "segfault")

NEEDS_GPU = ["src/ltocf/training/cuda_graphs.py"]

# Messages and bars are for people: tests check what they must name, not each word of them.
NOT_MUTATED = [r"logger\.\w+\(", r"raise \w+\(", r"\bbar\.\w+\("]


def main() -> None:
    """Copy, mutate, run, print the score and what survived."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", choices=TESTS)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_intermixed_args()
    copy = ROOT / "mutants" / arguments.folder
    _copy_sources(copy)
    with (copy / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(_settings(arguments.folder))
    _mutmut(copy, "run", "--max-children", str(arguments.processes), *arguments.names)
    _report(copy)


def _mutmut(copy: Path, *arguments: str, show: bool = True) -> str:
    """Run a command of mutmut; its output, unless this is shown as it comes."""
    environment = os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=copy, env=environment, check=False, capture_output=not show, text=True)
    if done.returncode:
        sys.exit(f"mutmut {arguments[0]} failed {done.stderr or ''}; run it in {copy} with `debug = true` to see why")
    return done.stdout or ""


def _report(copy: Path) -> None:
    lines = [
        line.strip().rpartition(": ") for line in _mutmut(copy, "results", "--all", "true", show=False).splitlines()
    ]
    found = [(name, status) for name, _, status in lines if name and status != "not checked"]
    counts = Counter(status for _, status in found)
    for name, status in found:
        if status not in DEAD:
            changed = _mutmut(copy, "show", name, show=False).splitlines()[3:]
            print("", f"{name}: {status}", *(line for line in changed if line[:1] in "+-"), sep="\n")
    if counts["timeout"] > counts["killed"]:  # mutmut reports a worker that could not even begin as a timeout
        sys.exit(f"more mutants ran out of time than failed a test, which is a fault of the set-up: {dict(counts)}")
    dead = sum(counts[status] for status in DEAD)
    print(f"\n{dead} of {len(found)} mutants die, {dead / max(len(found), 1):.1%}: {dict(counts)}")


def _copy_sources(copy: Path) -> None:
    for name in COPIED:
        shutil.rmtree(copy / name, ignore_errors=True)
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", copy)


def _settings(folder: str) -> str:
    # pytest takes the last `-k` only.
    deselected = ["-k", " and ".join(f"not {test}" for test in slow)] if (slow := SLOW.get(folder)) else []
    values = {
        "source_paths": ["src"],
        "only_mutate": [f"src/ltocf/{folder}/*"],
        "do_not_mutate": [] if torch.cuda.is_available() else NEEDS_GPU,
        "also_copy": list(COPIED[2:]),
        "pytest_add_cli_args_test_selection": [*TESTS[folder], *deselected],
        "pytest_add_cli_args": ["--jaxtyping-packages=", "-p", "mutation_plugin", "-p", "no:cacheprovider"],
        "do_not_mutate_patterns": NOT_MUTATED,
        # A test that has trained in the parent must not be forked: torch's threads would not come along.
        "process_isolation": "forkserver",
        "timeout_multiplier": 4.0,
        "timeout_constant": 5.0,
        "use_git_change_detection": False,
    }
    # JSON is TOML for lists, strings and numbers.
    return "\n[tool.mutmut]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


if __name__ == "__main__":
    main()
