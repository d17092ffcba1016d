"""Workers of `recommend_all` that die, in a module of their own so that another process can import them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from ltocf.scale.recommend_all import Job, Worker


def dies_once(share: tuple[Job, tuple[int, ...]]) -> int:
    """Write a share; at the first try the process is killed before the second part."""
    job, parts = share
    marker = Path(job.out).parent / f"killed-{parts[0]}"
    worker = Worker(job)
    for number, part in enumerate(parts):
        if number == 1 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        worker.write(part)
    return 0


def always_dies(_: tuple[Job, tuple[int, ...]]) -> int:
    """Kill every process that takes this share."""
    os._exit(9)


class DiesOnce(Worker):
    """A worker that kills its process before it writes part 2 and after it has written part 3, once each."""

    def write(self, part: int) -> int:
        if part == 2:
            self._die_once(part)
        n_users = super().write(part)
        if part == 3:
            self._die_once(part)
        return n_users

    def _die_once(self, part: int) -> None:
        marker = Path(self.job.out).parent / f"killed-{part}"
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
