"""Valid files made bad: bits, ends, lines and types changed; the same seed makes the same damage."""

from __future__ import annotations

import json
import random
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SWAPS = (
    *(b"0", b"-1", b"1e999", b"NaN", b"null", b"true", b'""', b"[]", b"{}", b"9" * 40, b"2147483648", b"1000000000000"),
    *(b"\x00", b"\xff", b"\n", b"\r", b"\t", b'"', b",", b"\\", b"=1+1", b"\x1b[31m", b"../../x", b"\xef\xbb\xbf"),
)
SPECIAL = (0, 1, 127, 128, 255)


def damaged(content: bytes, generator: random.Random, others: list[bytes]) -> bytes:
    """One of many ways to be wrong, one to four times over.

    Args:
        content: a valid file.
        generator: chooses.
        others: valid files that a piece may come from.
    """
    for _ in range(generator.choice([1, 1, 1, 2, 4])):
        content = generator.choice(WAYS)(content or b" ", generator, generator.choice(others))
    return content


def _flip(content: bytes, generator: random.Random, other: bytes) -> bytes:
    changed = bytearray(content)
    changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
    return bytes(changed)


def _byte(content: bytes, generator: random.Random, other: bytes) -> bytes:
    changed = bytearray(content)
    changed[generator.randrange(len(changed))] = generator.choice(SPECIAL)
    return bytes(changed)


def _cut(content: bytes, generator: random.Random, other: bytes) -> bytes:
    return content[: generator.randrange(len(content) + 1)]


def _without(content: bytes, generator: random.Random, other: bytes) -> bytes:
    start, end = sorted(generator.randrange(len(content) + 1) for _ in range(2))
    return content[:start] + content[end:]


def _splice(content: bytes, generator: random.Random, other: bytes) -> bytes:
    return content[: generator.randrange(len(content) + 1)] + other[generator.randrange(len(other) + 1) :]


def _doubled_line(content: bytes, generator: random.Random, other: bytes) -> bytes:
    lines = content.split(b"\n")
    lines.insert(generator.randrange(len(lines)), generator.choice(lines))
    return b"\n".join(lines)


def _swapped(content: bytes, generator: random.Random, other: bytes) -> bytes:
    start = generator.randrange(len(content) + 1)
    end = min(len(content), start + generator.randrange(6))
    return content[:start] + generator.choice(SWAPS) + content[end:]


def _repeated(content: bytes, generator: random.Random, other: bytes) -> bytes:
    start, end = sorted(generator.randrange(len(content) + 1) for _ in range(2))
    return content[:start] + content[start:end] * generator.choice([2, 3, 50]) + content[end:]


WAYS: tuple[Callable[[bytes, random.Random, bytes], bytes], ...] = (
    *(_flip, _flip, _byte, _cut, _without, _splice, _doubled_line, _swapped, _swapped, _repeated),
)


def changed_tree(tree: Any, generator: random.Random) -> Any:
    """A copy of nested tables and lists with one value of another type, size or number, or without one."""
    tree = json.loads(json.dumps(tree))
    place = tree
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return tree
        key = generator.choice(keys)
        if isinstance(place[key], (dict, list)) and place[key] and generator.random() < 0.8:
            place = place[key]
            continue
        if generator.random() < 0.2:
            del place[key]
        else:
            place[key] = generator.choice(NONSENSE)
        return tree


NONSENSE: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 2**31, 2**63, 10**12, 10**40, 0.5, -0.0, 1e-300, 1e300, float("inf"), float("nan")),
    *("", "x", "../../x", "\x00", "²", [], [[]], {}, {"": {}}, [None], ["x"], [1, 2, 3], {"name": "mf"}, "a" * 5000),
)


@contextmanager
def bounded(megabytes: int = 2000, seconds: int = 120) -> Iterator[None]:
    """Inside, so much more memory and processor time are to be had: a MemoryError or a TimeoutError, and not a hang."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + megabytes * 10**6, hard))

    def end(*_: object) -> None:
        raise AssertionError(f"took more than {seconds} s of processor time")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
