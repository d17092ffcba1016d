"""Memory in large pages: whether a tensor gets them, and when nothing is asked for."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ltocf.training import memory
from ltocf.training.memory import prefer_huge_pages

SETTING = Path("/sys/kernel/mm/transparent_hugepage/enabled")
ON_REQUEST = SETTING.exists() and "[madvise]" in SETTING.read_text()
PROGRAM = """
import re, resource, sys, torch
from pathlib import Path
from ltocf.training.memory import prefer_huge_pages, return_unused_memory
from ltocf.training.runtime import keep_freed_memory

def megabytes(file, field):
    return sum(int(found) for found in re.findall(rf"^{field}:\\s+(\\d+)", Path(file).read_text(), re.M)) // 1024

before = megabytes("/proc/self/smaps", "AnonHugePages")
sizes = megabytes("/proc/self/status", "VmSize"), megabytes("/proc/self/status", "VmRSS")
exec(sys.argv[1])
sizes_now = megabytes("/proc/self/status", "VmSize"), megabytes("/proc/self/status", "VmRSS")
tensor = torch.ones(2**26)  # 256 MB
huge = megabytes("/proc/self/smaps", "AnonHugePages") - before
print(huge, *(now - then for now, then in zip(sizes_now, sizes)))
"""


def megabytes_after(statements: str, **environment: str) -> tuple[int, int, int]:
    """Of a tensor of 256 MB what lies in huge pages, and by how much ``statements`` changed the process before it."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    command = [sys.executable, "-c", PROGRAM, statements]
    done = subprocess.run(command, env=plain | environment, capture_output=True, text=True, check=True)
    huge, size, resident = map(int, done.stdout.split())
    return huge, size, resident


@pytest.mark.skipif(not ON_REQUEST, reason="the system never gives huge pages, or gives them without being asked")
@pytest.mark.parametrize("statements", ["keep_freed_memory()", "keep_freed_memory(); return_unused_memory()"])
def test_memory_comes_in_huge_pages_where_malloc_keeps_it(statements: str) -> None:
    huge, _, resident = megabytes_after(statements)
    assert huge > 128, "most of it; a machine may lack some huge pages"
    assert resident < 20, "what is only marked is not taken"


@pytest.mark.skipif(not ON_REQUEST, reason="the system never gives huge pages, or gives them without being asked")
@pytest.mark.parametrize(
    ("statements", "environment"),
    [
        ("prefer_huge_pages()", {}),
        ("keep_freed_memory()", {"MALLOC_MMAP_MAX_": "65536"}),
        ("resource.setrlimit(resource.RLIMIT_AS, (2**36, resource.RLIM_INFINITY)); keep_freed_memory()", {}),
        ("resource.setrlimit(resource.RLIMIT_DATA, (2**36, resource.RLIM_INFINITY)); keep_freed_memory()", {}),
    ],
)
def test_elsewhere_a_process_stays_as_it_is(statements: str, environment: dict[str, str]) -> None:
    huge, size, resident = megabytes_after(statements, **environment)
    assert (huge < 20, size < 100, resident < 20) == (True, True, True)


class Library:
    """Stands for the C library, whose `malloc` returns ``block``."""

    def __init__(self, block: int | None) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.malloc = self.function("malloc", block)
        self.madvise, self.free = self.function("madvise", 0), self.function("free", None)

    def function(self, name: str, result: int | None) -> Any:
        """A function that records its calls."""

        def call(*arguments: int) -> int | None:
            self.calls.append((name, *arguments))
            return result

        return call


@pytest.fixture
def free_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with 1,000,000 bytes available and no limits; the file of its rule for reserved memory."""
    rule = tmp_path / "overcommit_memory"
    rule.write_text("0\n")
    monkeypatch.setattr(memory, "OVERCOMMIT", rule)
    monkeypatch.setattr(memory, "available_bytes", lambda device: 1_000_000)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return rule


def calls_with(block: int | None, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The calls of the C library."""
    library = Library(block)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    prefer_huge_pages()
    return library.calls


@pytest.mark.usefixtures("free_memory")
@pytest.mark.parametrize(("block", "first"), [(8192, 8192), (8193, 12_288), (12_287, 12_288)])
def test_whole_pages_of_the_block_are_marked(block: int, first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.mmap, "PAGESIZE", 4096)
    marked = ("madvise", first, block + 1_000_000 - first, 14)
    assert calls_with(block, monkeypatch) == [("malloc", 1_000_000), marked, ("free", block)]


@pytest.mark.usefixtures("free_memory")
def test_a_block_that_the_system_refuses_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    assert calls_with(None, monkeypatch) == [("malloc", 1_000_000)]


def test_nothing_is_reserved_where_reserved_memory_counts_or_none_is_known(
    free_memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_memory.write_text("2\n")
    assert calls_with(8192, monkeypatch) == []
    free_memory.unlink()
    assert calls_with(8192, monkeypatch) != []
    monkeypatch.setattr(memory, "available_bytes", lambda device: memory.WITHOUT_LIMIT)
    assert calls_with(8192, monkeypatch) == []


@pytest.mark.usefixtures("free_memory")
def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise OSError(name)

    for library in (missing, lambda _: object()):
        monkeypatch.setattr(ctypes, "CDLL", library)
        prefer_huge_pages()
