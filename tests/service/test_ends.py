"""Nothing of a service outlives it: no process, and no folder but that of one that was killed, until the next start."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from service_samples import Service, until

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="processes are forked on Linux only")


def processes_of(run: Path) -> list[int]:
    """The processes whose command names a run."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(run) in (folder / "cmdline").read_text():
                found.append(int(folder.name))
    return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def put_endless_model(run: Path) -> None:
    """A model file whose reader waits for ever."""
    os.mkfifo(run / "endless")
    (run / "endless").replace(run / "model.safetensors")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["asked", "killed"])
def test_end_while_a_newer_model_is_read(
    copy: Path, place: Path, start: Callable[..., Service], number: signal.Signals
) -> None:
    from ltocf.service.owned_folder import owned_folder  # of Linux only

    service = start(copy, "--workers", "2", "--watch-seconds", "0.05")
    put_endless_model(copy)
    until(lambda: len(processes_of(copy)) == 4)  # a parent, two workers and a reader
    service.process.send_signal(number)
    service.process.wait(timeout=20)
    if number == signal.SIGTERM:
        assert processes_of(copy) == []
    until(lambda: not processes_of(copy))
    assert len(list(place.glob("ltocf-*"))) == (number == signal.SIGKILL)
    (place / "ltocf-of-something-else").mkdir()

    def abandoned_is_gone() -> bool:
        with owned_folder() as one, owned_folder() as other:
            assert one.exists(), "whose owner lives stays"
            return {one, other} == {found.parent for found in place.glob("ltocf-*/owner")}

    until(abandoned_is_gone)  # a process that ends has no command any more, but its lock for a moment
    assert [found.name for found in place.iterdir()] == ["ltocf-of-something-else"]


def test_end_while_the_first_model_is_read(copy: Path, place: Path) -> None:
    put_endless_model(copy)
    stopper = threading.Thread(target=stop_parent_of, args=(copy,))
    stopper.start()
    with pytest.raises(AssertionError, match="no 'serving") as caught:
        Service(copy)
    stopper.join()
    assert "Traceback" not in str(caught.value)
    assert processes_of(copy) == []
    assert list(place.iterdir()) == []


def stop_parent_of(run: Path) -> None:
    """Ask the parent to stop when its first reader is at work."""
    until(lambda: len(processes_of(run)) == 2)
    os.kill(min(processes_of(run)), signal.SIGTERM)
