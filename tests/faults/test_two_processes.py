"""Of two processes that work on one folder the second is told, and the first ends as if nothing had been."""

from __future__ import annotations

import re
import signal
from collections import Counter

import pytest

from fault_scenarios import TRAININGS, WORKS, Scenes, Work, contents

TOLD = r"(?s)error: .*(another process (is at work in|writes|searches)|already holds a run)"
NAMES = ("fit", "train --replace", "search", "table3", "ingest", "recommend-all", "update")
EXPORTS = ("export parquet", "export numpy", "export hub")
SHORT = ("train ltocf", "ingest", "recommend-all", "update", "export parquet")
ALL = [TRAININGS[0], *(WORKS[name] for name in (*NAMES, *EXPORTS))]


def moments(work: Work, scenes: Scenes) -> list[int]:
    """Where to stop the command: after each time that it has seen a file to the disk."""
    kinds = [kind for kind, *_ in scenes.server.changes(work.arguments, scenes.fresh(work))]
    return [2 * place + 1 for place, kind in enumerate(kinds) if kind == "fsync"]


@pytest.mark.parametrize(
    "work", [TRAININGS[0], *(WORKS[name] for name in (*NAMES, *EXPORTS))], ids=lambda work: work.name
)
def test_the_second_of_two_processes_is_told(work: Work, scenes: Scenes, full: bool, figures: Counter[str]) -> None:
    if not full and work.name not in SHORT:
        pytest.skip("one of the commands of a full run only")
    expected, _ = scenes.undisturbed(work)
    found = moments(work, scenes)
    for moment in found[:-1] if full else found[len(found) // 2 :][:1]:
        folder = scenes.fresh(work)
        first = scenes.server.start(work.arguments, folder, stopped_at=moment, checkpoint_always=True)
        first.wait_until_stopped()
        before = contents(folder)
        code, said = scenes.server.run(work.arguments, folder)
        assert (code, contents(folder)) == (2, before), said
        assert re.search(TOLD, said), said
        first.send(signal.SIGCONT)
        assert first.code() == 0, first.said()
        assert contents(folder) == expected
        figures["second_processes"] += 1
