"""One run that answers by the newest model of its folder, which is replaced while requests run. No HTTP in here."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ltocf.service.answers import RunFacts
from ltocf.service.finder import Finder
from ltocf.service.loaded import Loaded
from ltocf.service.settings import DEFAULTS, ServiceSettings
from ltocf.service.sources import FolderSource, Mark, Opened, Source
from ltocf.serving import RequestError, Snapshot

logger = logging.getLogger(__name__)


class Engine:
    """The current model of a run, behind one reference.

    A request takes `loaded` once and keeps it: it sees one model from its beginning to its end, and the memory of an
    old one is free when the last such request has ended.

    Args:
        run: the folder of a finished run, or a model file.
        settings: limits and switches.
        source: where models come from; by default the folder.

    Raises:
        FileNotFoundError: no finished run.
        ValueError: a damaged model file.
    """

    def __init__(self, run: str | Path, settings: ServiceSettings = DEFAULTS, source: Source | None = None) -> None:
        self.run, self.settings = Path(run), settings
        self.source = FolderSource(self.run, settings.follow) if source is None else source
        self.refused = 0
        self.on_change: Callable[[Engine], None] = lambda engine: None
        """Called after a model was put in place or refused."""
        self._lock = threading.Lock()
        self._mark, opened = _opened(self.source)
        self.loaded = _loaded(opened, 1)

    @property
    def name(self) -> str:
        """The name of the run: that of its folder, or of the file without its ending."""
        path = self.run.absolute()
        return path.stem if path.suffix == ".safetensors" else path.name

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that answers now."""
        return self.loaded.snapshot

    @property
    def generation(self) -> int:
        """How many models were served before the one that answers now, plus one."""
        return self.loaded.generation

    @property
    def loaded_at(self) -> float:
        """When the current model was put in place, in seconds since 1970."""
        return self.loaded.loaded_at

    def facts(self) -> RunFacts:
        """The run and its current model."""
        loaded = self.loaded
        snapshot, (n_users, n_items) = loaded.snapshot, loaded.snapshot.names.sizes
        return RunFacts(
            name=self.name,
            model=snapshot.name,
            version=snapshot.version,
            generation=loaded.generation,
            loaded_at=loaded.loaded_at,
            n_users=n_users,
            n_items=n_items,
            titles=snapshot.names.titles is not None,
        )

    def refresh(self) -> bool:
        """Put a newer model in place if there is one; a damaged one is refused once, and the old one stays.

        Returns:
            Whether there is a new model in place.
        """
        with self._lock:
            try:
                mark = self.source.mark()
            except OSError:  # the folder is being replaced: the next look finds the new one
                return False
            if mark == self._mark:
                return False
            self._mark = mark
            try:
                self._mark, opened = _opened(self.source)
                self.loaded = _loaded(opened, self.generation + 1)
            except Exception as error:  # whatever is wrong with the new model, the old one answers
                self.refused += 1
                logger.error("run %s: refused %s, the old one stays: %s", self.name, mark.path, error)
                self.on_change(self)
                return False
            logger.info("run %s: generation %d is %s", self.name, self.generation, mark.path)
            self.on_change(self)
            return True

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look for a newer model every ``watch_seconds`` for as long as the block lasts."""
        if not self.settings.watch_seconds:
            yield
            return
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(float(self.settings.watch_seconds)):
                self.refresh()

        thread = threading.Thread(target=watch, name=f"watch {self.name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=1)


def named(engines: Sequence[Engine]) -> dict[str, Engine]:
    """Engines by their name, in their order. Raises ValueError for none, and for two of one name."""
    found = {engine.name: engine for engine in engines}
    if not engines:
        raise ValueError("there must be a run to serve, got none; give the folder of one, `ltocf serve RUN`")
    if len(found) < len(engines):
        names = ", ".join(engine.name for engine in engines)
        raise ValueError(f"the runs must be of different names, got {names}; rename a folder")
    return found


def _opened(source: Source) -> tuple[Mark, Opened]:
    """The newest model, and its mark; read again if it was replaced meanwhile."""
    while True:
        try:
            mark = source.mark()
        except OSError:
            mark = None  # the error of `open` says more
        opened = source.open()
        if mark is not None and source.mark() == mark:
            return mark, opened


def _loaded(opened: Opened, generation: int) -> Loaded:
    """The model, with everything computed that a first request would wait for."""
    snapshot = opened.snapshot
    warm(snapshot)
    return Loaded(snapshot, Finder(snapshot), opened.generation or generation, time.time())


def warm(snapshot: Snapshot) -> None:
    """Compute what answers look up. What the model cannot do is an error of the request that needs it."""
    _ = snapshot.source
    for ability in ("history_score", "score_map", "item_vectors"):
        try:
            getattr(snapshot, ability)
        except RequestError:
            continue
