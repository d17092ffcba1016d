"""Damage valid files: change bits, bytes, lines, lengths and types. The same seed gives the same damage."""

from __future__ import annotations

import json
import random
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPLACEMENTS = (
    *(b"0", b"-1", b"1e999", b"NaN", b"null", b"true", b'""', b"[]", b"{}", b"9" * 40, b"2147483648", b"1000000000000"),
    *(b"\x00", b"\xff", b"\n", b"\r", b"\t", b'"', b",", b"\\", b"=1+1", b"\x1b[31m", b"../../x", b"\xef\xbb\xbf"),
)
SPECIAL_BYTES = (0, 1, 127, 128, 255)


def damaged(content: bytes, generator: random.Random, others: list[bytes]) -> bytes:
    """The content with one, two or four kinds of damage applied.

    Args:
        content: a valid file.
        generator: chooses the kinds and the places.
        others: valid files from which a piece may be spliced in.
    """
    for _ in range(generator.choice([1, 1, 1, 2, 4])):
        content = generator.choice(DAMAGES)(content or b" ", generator, generator.choice(others))
    return content


def _flipped_bit(content: bytes, generator: random.Random, other: bytes) -> bytes:
    changed = bytearray(content)
    changed[generator.randrange(len(changed))] ^= 1 << generator.randrange(8)
    return bytes(changed)


def _replaced_byte(content: bytes, generator: random.Random, other: bytes) -> bytes:
    changed = bytearray(content)
    changed[generator.randrange(len(changed))] = generator.choice(SPECIAL_BYTES)
    return bytes(changed)


def _truncated(content: bytes, generator: random.Random, other: bytes) -> bytes:
    return content[: generator.randrange(len(content) + 1)]


def _removed_piece(content: bytes, generator: random.Random, other: bytes) -> bytes:
    start, end = sorted(generator.randrange(len(content) + 1) for _ in range(2))
    return content[:start] + content[end:]


def _spliced(content: bytes, generator: random.Random, other: bytes) -> bytes:
    return content[: generator.randrange(len(content) + 1)] + other[generator.randrange(len(other) + 1) :]


def _doubled_line(content: bytes, generator: random.Random, other: bytes) -> bytes:
    lines = content.split(b"\n")
    lines.insert(generator.randrange(len(lines)), generator.choice(lines))
    return b"\n".join(lines)


def _replaced_piece(content: bytes, generator: random.Random, other: bytes) -> bytes:
    start = generator.randrange(len(content) + 1)
    end = min(len(content), start + generator.randrange(6))
    return content[:start] + generator.choice(REPLACEMENTS) + content[end:]


def _repeated_piece(content: bytes, generator: random.Random, other: bytes) -> bytes:
    start, end = sorted(generator.randrange(len(content) + 1) for _ in range(2))
    return content[:start] + content[start:end] * generator.choice([2, 3, 50]) + content[end:]


DAMAGES: tuple[Callable[[bytes, random.Random, bytes], bytes], ...] = (
    *(_flipped_bit, _flipped_bit, _replaced_byte, _truncated, _removed_piece, _spliced, _doubled_line),
    *(_replaced_piece, _replaced_piece, _repeated_piece),
)


def changed_tree(tree: Any, generator: random.Random) -> Any:
    """A copy of nested dictionaries and lists in which one value is replaced by nonsense or removed."""
    tree = json.loads(json.dumps(tree))
    node = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return tree
        key = generator.choice(keys)
        if isinstance(node[key], (dict, list)) and node[key] and generator.random() < 0.8:
            node = node[key]
            continue
        if generator.random() < 0.2:
            del node[key]
        else:
            node[key] = generator.choice(NONSENSE)
        return tree


NONSENSE: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 2**31, 2**63, 10**12, 10**40, 0.5, -0.0, 1e-300, 1e300, float("inf"), float("nan")),
    *("", "x", "../../x", "\x00", "²", [], [[]], {}, {"": {}}, [None], ["x"], [1, 2, 3], {"name": "mf"}, "a" * 5000),
)


@contextmanager
def bounded(megabytes: int = 2000, seconds: int = 120) -> Iterator[None]:
    """Limit memory and processor time in the block: beyond them, a MemoryError or an AssertionError, not a hang."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + megabytes * 10**6, hard))

    def out_of_time(*_: object) -> None:
        raise AssertionError(f"took more than {seconds} s of processor time")

    previous_handler = signal.signal(signal.SIGVTALRM, out_of_time)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous_handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
