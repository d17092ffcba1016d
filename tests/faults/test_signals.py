"""A command that is terminated or interrupted ends soon, without a traceback, and can be continued."""

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
"""Seconds within which a command must end: far more than it takes, so that a busy machine causes no failure."""
NAMES = ("train ltocf", "table3", "recommend-all")
SIGNALS = 20
SHORT = ("train ltocf", "recommend-all")


def at_work(scenes: Scenes, name: str, share: float) -> tuple[Command, Path]:
    """A running command that has done about this share of its work."""
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
@pytest.mark.parametrize(
    ("signals", "codes", "figure"),
    [((signal.SIGTERM,), (0, -signal.SIGTERM), "terminated"), ((signal.SIGINT,) * 2, (0, 130), "interrupted_twice")],
    ids=["terminated", "interrupted twice"],
)
def test_a_command_ends_at_a_signal_and_can_be_continued(
    signals: tuple[signal.Signals, ...],
    codes: tuple[int, ...],
    figure: str,
    name: str,
    scenes: Scenes,
    full: bool,
    figures: Counter[str],
) -> None:
    if not full and name not in SHORT:
        pytest.skip("in a full run only")
    draw = random.Random(NAMES.index(name))
    for _ in range(SIGNALS if full else 1):
        command, folder = at_work(scenes, name, draw.random())
        for place, each in enumerate(signals):
            time.sleep(draw.choice([0, 0.001, 0.02]) if place else 0)
            command.send(each)
        assert ended(command, figures) in codes
        scenes.finish(WORKS[name], folder)
        figures[figure] += 1
