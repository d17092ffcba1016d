"""One run that answers: the newest model of its folder, exchanged while requests run. No web in here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from ltocf.service.settings import DEFAULTS, ServiceSettings
from ltocf.serving import Snapshot


class Loaded(NamedTuple):
    """What one request sees from its beginning to its end.

    Args:
        snapshot: what answers.
        generation: how many models were served before this one, plus one.
        loaded_at: when it was put in place, in seconds since 1970.
    """

    snapshot: Snapshot
    generation: int
    loaded_at: float


class Engine:
    """The current model of a run, behind one reference.

    Args:
        run: the folder of a finished run, or a model file.
        settings: limits and switches.

    Raises:
        FileNotFoundError: no finished run.
        ValueError: a damaged model file.
    """

    def __init__(self, run: str | Path, settings: ServiceSettings = DEFAULTS) -> None:
        self.run, self.settings = Path(run), settings
        self.loaded = Loaded(Snapshot.open(self.run), 1, time.time())

    @property
    def name(self) -> str:
        """What people call the run: the name of its folder."""
        return self.run.resolve().name

    @property
    def snapshot(self) -> Snapshot:
        """What answers now."""
        return self.loaded.snapshot

    @property
    def generation(self) -> int:
        """How many models were served before the one that answers now, plus one."""
        return self.loaded.generation

    @property
    def loaded_at(self) -> float:
        """When the current model was put in place, in seconds since 1970."""
        return self.loaded.loaded_at
