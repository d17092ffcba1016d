"""Where a run computes, and what is recorded about the machine."""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

import ltocf
from ltocf.training import Runtime, environment, runtime
from ltocf.training.runtime import keep_freed_memory

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
    """Of 256 megabytes that the process freed, those that it keeps."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=plain | environment, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has two GPUs according to PyTorch."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU number {device.index}")


@pytest.mark.usefixtures("gpus")
@pytest.mark.parametrize(
    ("requested", "device"),
    [("auto", "cuda"), ("cuda", "cuda"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1"), ("cpu", "cpu")],
)
def test_a_device_is_found_by_its_name(requested: str, device: str) -> None:
    assert Runtime(requested).torch_device() == torch.device(device)


@pytest.mark.usefixtures("gpus")
def test_a_missing_gpu_is_refused() -> None:
    with pytest.raises(ValueError, match="`device` is 'cuda:2' but there are 2 CUDA GPUs, from 0"):
        Runtime("cuda:2").torch_device()


@pytest.mark.parametrize("requested", ["cuda", "cuda:0"])
def test_without_a_gpu_cuda_is_refused_and_auto_is_the_cpu(requested: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ValueError, match=f"`device` is '{requested}' but PyTorch finds no CUDA GPU; use `auto` or `cpu`"
    ):
        Runtime(requested).torch_device()
    assert Runtime().torch_device() == torch.device("cpu")


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cpu:0", "AUTO", "xauto", "cudax", ""])
def test_unknown_devices_are_refused(device: str) -> None:
    with pytest.raises(ValueError, match=rf"must be one of auto, cpu, cuda \(or cuda:1, ...\), got '{device}'"):
        Runtime(device)


def test_negative_threads_are_refused() -> None:
    assert Runtime(threads=0).threads == 0
    with pytest.raises(ValueError, match=r"`threads` must be >= 0 .* got -1"):
        Runtime(threads=-1)


def test_the_environment_describes_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    record = environment(torch.device("cpu"))
    known = {
        "ltocf": version("ltocf"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(terse=True),
        "cores": 12,
        "threads": torch.get_num_threads(),
        "device": "cpu",
    }
    assert {name: record[name] for name in known} == known
    assert set(record) - set(known) == {"commit", "processor"}
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert environment(torch.device("cpu"))["cores"] == 1


@pytest.mark.usefixtures("gpus")
def test_the_environment_names_the_gpu() -> None:
    assert environment(torch.device("cuda:1"))["device"] == "GPU number 1"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_the_package_or_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit() -> object:
        return environment(torch.device("cpu"))["commit"]

    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    file = tmp_path / "runtime.py"
    file.write_text("# one\n")
    monkeypatch.setattr("ltocf.training.runtime.__file__", str(file))
    assert commit() == ""  # no repository
    git("init", "--quiet")
    for name, value in {"user.name": "test", "user.email": "test@example.org", "commit.gpgsign": "false"}.items():
        git("config", name, value)
    (tmp_path / "other.txt").write_text("somebody's project\n")
    git("add", "other.txt")
    git("commit", "--quiet", "-m", "other")
    git("tag", "v1")
    assert commit() == ""  # another repository, which does not track this file
    git("add", "runtime.py")
    git("commit", "--quiet", "-m", "package")
    git("tag", "-a", "v2", "-m", "a name that is not wanted")
    assert commit() == git("rev-parse", "--short=12", "HEAD")
    file.write_text("# two\n")
    assert commit() == git("rev-parse", "--short=12", "HEAD") + "-dirty"


@pytest.mark.parametrize(
    ("cpuinfo", "processor"),
    [
        ("processor\t: 0\nmodel name\t: Abacus 9: fast \nmodel name\t: other\n", "Abacus 9: fast"),
        ("processor\t: 0\n", "some-processor"),
        (None, "some-processor"),
    ],
)
def test_the_processor_is_that_of_cpuinfo_or_of_the_platform(
    cpuinfo: str | None, processor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpuinfo"
    if cpuinfo is not None:
        file.write_text(cpuinfo)
    monkeypatch.setattr("ltocf.training.runtime.Path", lambda path: file if path == "/proc/cpuinfo" else Path(path))
    monkeypatch.setattr(platform, "processor", lambda: "some-processor")
    assert environment(torch.device("cpu"))["processor"] == processor
    if processor == "some-processor":
        monkeypatch.setattr(platform, "processor", lambda: "")
        assert environment(torch.device("cpu"))["processor"] == platform.machine()


class FakeC:
    """Stands for the C library: records the parameters that malloc is given."""

    def __init__(self, calls: list[object]) -> None:
        self.calls = calls

    def mallopt(self, parameter: int, value: int) -> None:
        """Record a call."""
        self.calls.append((parameter, value))


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("UNRELATED_MALLOC_", ["libc.so.6", (-1, -1), (-4, 0), "huge pages"]),
        ("MALLOC_ARENA_MAX", []),
        ("MALLOC_TRIM_THRESHOLD_", []),
        ("GLIBC_TUNABLES", []),
    ],
)
def test_malloc_is_tuned_unless_the_environment_tunes_it(
    variable: str, expected: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("MALLOC_", "GLIBC_TUNABLES"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(variable, "1")
    calls: list[object] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda name: calls.append(name) or FakeC(calls))
    monkeypatch.setattr(runtime, "prefer_huge_pages", lambda: calls.append("huge pages"))
    keep_freed_memory()
    assert calls == expected


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise OSError(name)

    for library in (missing, lambda _: object()):
        monkeypatch.setattr(ctypes, "CDLL", library)
        keep_freed_memory()


@pytest.mark.skipif(not STATUS.exists() or sys.platform != "linux", reason="reads /proc")
def test_freed_memory_is_kept_unless_the_environment_tunes_malloc() -> None:
    assert held_after_freeing() > 200
    assert held_after_freeing(MALLOC_MMAP_MAX_="65536") < 50


def test_training_from_python_leaves_malloc_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(runtime, "keep_freed_memory", lambda: pytest.fail("a setting of the whole process"))
    log = Path(__file__).parents[1] / "runs" / "earlier_version" / "log.csv"
    ltocf.train(log, tmp_path / "run", model="mf", preset="paper", epochs=1, dim=2, select_by="recall@5")
