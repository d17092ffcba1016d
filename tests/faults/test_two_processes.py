"""Of two processes on one folder the second is refused, and the first ends as if it had been alone."""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Iterator

import pytest

from fault_scenarios import TRAININGS, WORKS, Scenes, Work, contents

BUSY, DONE = "another process (is at work in|writes|searches)", "already holds a run|exists already|is already a store"
TOLD = f"(?s)error: .*({BUSY}|{DONE})"
NAMES = ("fit", "train --replace", "search", "table3", "ingest", "recommend-all", "update")
EXPORTS = ("export parquet", "export numpy", "export hub")
SHORT = ("train ltocf", "ingest", "recommend-all", "update", "export parquet")
ALL = [TRAININGS[0], *(WORKS[name] for name in (*NAMES, *EXPORTS))]


def moments(work: Work, scenes: Scenes) -> Iterator[list[int]]:
    """Moments at which a file has reached the disk: those before the command has its lock, and those with it."""
    changes = scenes.server.changes(work.arguments, scenes.fresh(work))
    locks = [path for kind, path, *_ in changes if kind == "open" and path.endswith("lock")]
    locked = changes.index(["open", locks[0]])
    freed = next((place for place, change in enumerate(changes) if change == ["unlink", locks[0]]), len(changes) - 1)
    synced = [place for place, (kind, *_) in enumerate(changes) if kind == "fsync" and place < freed]
    return ([2 * place + 1 for place in synced if (place > locked) is held] for held in (False, True))


@pytest.mark.parametrize("work", ALL, ids=lambda work: work.name)
def test_the_second_of_two_processes_is_refused(work: Work, scenes: Scenes, full: bool, figures: Counter[str]) -> None:
    if not full and work.name not in SHORT:
        pytest.skip("in a full run only")
    expected, _ = scenes.undisturbed(work)
    _, late = moments(work, scenes)
    for moment in late[:: work.every] if full else late[len(late) // 2 :][:1]:
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


@pytest.mark.parametrize("work", ALL, ids=lambda work: work.name)
def test_the_process_that_gets_the_lock_first_does_the_work(
    work: Work, scenes: Scenes, full: bool, figures: Counter[str]
) -> None:
    """The one that began earlier, but got the lock later, is refused or finds the work done."""
    if not full and work.name != "ingest":
        pytest.skip("in a full run only")
    expected, _ = scenes.undisturbed(work)
    early, _ = moments(work, scenes)
    for moment in early if full else early[:1]:
        folder = scenes.fresh(work)
        slower = scenes.server.start(work.arguments, folder, stopped_at=moment, checkpoint_always=True)
        slower.wait_until_stopped()
        scenes.server.done(work.arguments, folder)
        assert contents(folder) == expected
        slower.send(signal.SIGCONT)
        code = slower.code()
        assert not code or (code == 2 and re.search(TOLD, slower.said())), slower.said()
        assert contents(folder) == expected
        figures["second_processes"] += 1
