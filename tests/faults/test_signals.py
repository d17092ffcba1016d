"""A command that is told to end does, soon and without a traceback, and what it began can be gone on with."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from fault_scenarios import WORKS, Scenes
from fault_server import Command

LONGEST = 60.0
"""Seconds within which a command must have ended: far more than it takes, so that a busy machine is no failure."""
NAMES = ("train ltocf", "table3", "recommend-all")
SIGNALS = 20
SHORT = ("train ltocf", "recommend-all")


def at_work(scenes: Scenes, name: str, share: float) -> tuple[Command, Path]:
    """A command that has done about this share of its work."""
    work = WORKS[name]
    _, seconds = scenes.undisturbed(work)
    folder = scenes.fresh(work)
    command = scenes.server.start(work.arguments, folder, checkpoint_always=True)
    time.sleep(share * seconds)
    return command, folder


def ended(command: Command, figures: Counter[str]) -> int:
    """Its exit code; it must not hang."""
    started = time.monotonic()
    code = command.code(LONGEST)
    figures["longest_end_ms"] = max(figures["longest_end_ms"], round(1000 * (time.monotonic() - started)))
    assert "Traceback" not in command.said(), command.said()
    return code


@pytest.mark.parametrize("name", NAMES)
def test_told_to_end_it_ends_and_can_be_gone_on_with(
    name: str, scenes: Scenes, full: bool, figures: Counter[str]
) -> None:
    if not full and name not in SHORT:
        pytest.skip("one of the commands of a full run only")
    draw = random.Random(NAMES.index(name))
    for _ in range(SIGNALS if full else 1):
        command, folder = at_work(scenes, name, draw.random())
        command.send(signal.SIGTERM)
        assert ended(command, figures) in (0, -signal.SIGTERM)
        scenes.finish(WORKS[name], folder)
        figures["terminated"] += 1


@pytest.mark.parametrize("name", NAMES)
def test_interrupted_twice_it_ends_at_once(name: str, scenes: Scenes, full: bool, figures: Counter[str]) -> None:
    if not full and name not in SHORT:
        pytest.skip("one of the commands of a full run only")
    draw = random.Random(NAMES.index(name))
    for _ in range(SIGNALS if full else 1):
        command, folder = at_work(scenes, name, draw.random())
        command.send(signal.SIGINT)
        time.sleep(draw.choice([0, 0.001, 0.02]))
        command.send(signal.SIGINT)
        assert ended(command, figures) in (0, 130)
        scenes.finish(WORKS[name], folder)
        figures["interrupted_twice"] += 1
