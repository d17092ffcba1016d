"""Freed memory stays with a process that trains on a CPU, which only a process of its own can show."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ltocf
from ltocf.training import runtime

STATUS = Path("/proc/self/status")
PROGRAM = """
import sys, torch
from pathlib import Path
from ltocf.training.runtime import keep_freed_memory

def resident():
    found = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(found[0].split()[1]) / 1024

keep_freed_memory()
before = resident()
tensor = torch.ones(2**26)  # 256 MB
del tensor
print(resident() - before)
"""


def held_after_freeing(**environment: str) -> float:
    """Megabytes that stay with the process of the 256 that it freed."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=plain | environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.skipif(not STATUS.exists() or sys.platform != "linux", reason="reads /proc")
def test_freed_memory_is_kept_unless_the_environment_tunes_malloc() -> None:
    assert held_after_freeing() > 200
    assert held_after_freeing(MALLOC_MMAP_MAX_="65536") < 50


def test_the_commit_is_that_of_the_package_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment inside somebody's repository is not that repository's work."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "theirs"], check=True)
    installed = tmp_path / "venv" / "runtime.py"
    installed.parent.mkdir()
    installed.write_text("")
    monkeypatch.setattr(runtime, "__file__", str(installed))
    assert runtime.environment(torch.device("cpu"))["commit"] == ""
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "kept there"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert runtime.environment(torch.device("cpu"))["commit"] == head[:12]
    installed.write_text("changed")
    assert runtime.environment(torch.device("cpu"))["commit"] == head[:12] + "-dirty"


def test_training_in_python_leaves_malloc_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runtime, "keep_freed_memory", lambda: pytest.fail("a setting of the whole process"))
    log = Path(__file__).parents[1] / "runs" / "earlier_version" / "log.csv"
    ltocf.train(log, tmp_path / "run", model="mf", preset="paper", epochs=1, dim=2, select_by="recall@5")


def test_processor_and_versions_are_recorded() -> None:
    found = runtime.environment(torch.device("cpu"))
    assert found["torch"] == torch.__version__
    assert found["threads"] == torch.get_num_threads()
    assert (found["device"], found["cores"]) == ("cpu", os.cpu_count())
    assert found["processor"]
