"""A command that is killed at any moment and called again ends with the same bits; no reader sees half a file."""

from __future__ import annotations

import random
import signal
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fault_scenarios import OTHERS, TRAININGS, WORKS, Scenes, Work, read_everything

KILLS = 100
SHORT = ("train ltocf", "ingest", "update", "table3")
"""Commands of a short run, each killed once."""
SHORT_AT_FILES = ("train ltocf", "ingest", "update", "recommend-all", "export parquet", "export numpy")
"""Commands of a short run, each killed at two changes of files."""
TWICE = 4
"""One in this many is killed a second time, while it continues."""


def killed(scenes: Scenes, folder: Path, seconds: float, arguments: tuple[str, ...], **faults: Any) -> int:
    """Kill a command after ``seconds``, reading all its files meanwhile; return how many were read."""
    ends, n_read = time.monotonic() + seconds, 0
    command = scenes.server.start(arguments, folder, **faults)
    while time.monotonic() < ends and not command.ended():
        n_read += read_everything(folder)
    command.send(signal.SIGKILL)
    assert command.code() in (0, -signal.SIGKILL), command.said()
    return n_read


@pytest.mark.parametrize("name", WORKS)
def test_a_command_killed_at_any_moment_ends_with_the_same_bits(
    name: str, scenes: Scenes, full: bool, figures: Counter[str]
) -> None:
    if not full and name not in SHORT:
        pytest.skip("in a full run only")
    work, draw = WORKS[name], random.Random(zlib.crc32(name.encode()))
    _, seconds = scenes.undisturbed(work)
    for trial in range(KILLS if full else 1):
        folder = scenes.fresh(work)
        faults = {"checkpoint_always": True} if trial % 2 == 0 else {}
        n_read = killed(scenes, folder, draw.uniform(0, seconds), work.arguments, **faults)
        if draw.randrange(TWICE) == 0 and (again := work.again(folder)) is not None:
            n_read += killed(scenes, folder, draw.uniform(0, seconds), again, **faults)
            figures["kills"] += 1
        scenes.finish(work, folder)
        figures.update({"kills": 1, "files_read_meanwhile": n_read})
    figures["commands"] += 1


@pytest.mark.parametrize("work", [TRAININGS[0], *OTHERS], ids=lambda work: work.name)
def test_a_command_killed_at_any_change_of_a_file_ends_with_the_same_bits(
    work: Work, scenes: Scenes, full: bool, figures: Counter[str]
) -> None:
    """Before each creation, sync, rename and removal of a file; for one command also after it."""
    if not full and work.name not in SHORT_AT_FILES:
        pytest.skip("in a full run only")
    scenes.undisturbed(work)
    moments = range(0, 2 * len(scenes.server.changes(work.arguments, scenes.fresh(work))), 1 + (work in OTHERS))
    if not full:
        moments = moments[len(moments) // 3 :: max(1, len(moments) - 1)]
    for moment in moments[:: work.every]:
        folder = scenes.fresh(work)
        code, said = scenes.server.run(work.arguments, folder, checkpoint_always=True, killed_at=moment)
        assert code == -signal.SIGKILL or not code, said  # there is no moment after a change that fails
        scenes.finish(work, folder)
        figures["kills_at_changes_of_files"] += 1
