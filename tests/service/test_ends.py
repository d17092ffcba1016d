"""A stopped service leaves no process and no folder; the folder of a killed one is removed at the next start."""

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
    """Ids of the processes whose command names a run."""
    ids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str(run) in (folder / "cmdline").read_text():
                ids.append(int(folder.name))
    return ids


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def put_endless_model(run: Path) -> None:
    """Replace the model by a file whose reader waits forever."""
    os.mkfifo(run / "endless")
    (run / "endless").replace(run / "model.safetensors")


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
def test_a_service_that_ends_while_it_reads_a_newer_model_leaves_nothing(
    copy: Path, temporary: Path, start: Callable[..., Service], sent: signal.Signals
) -> None:
    from ltocf.service.owned_folder import owned_folder  # exists on Linux only

    service = start(copy, "--workers", "2", "--watch-seconds", "0.05")
    put_endless_model(copy)
    until(lambda: len(processes_of(copy)) == 4)  # a parent, two workers and a reader
    service.process.send_signal(sent)
    service.process.wait(timeout=20)
    if sent == signal.SIGTERM:
        assert processes_of(copy) == []
    until(lambda: not processes_of(copy))
    assert len(list(temporary.glob("ltocf-*"))) == (sent == signal.SIGKILL)
    (temporary / "ltocf-of-something-else").mkdir()

    def abandoned_folder_is_removed() -> bool:
        with owned_folder() as first, owned_folder() as second:
            assert first.exists(), "the folder of a living owner stays"
            return {first, second} == {owner.parent for owner in temporary.glob("ltocf-*/owner")}

    until(abandoned_folder_is_removed)  # an ending process has no command any more, but holds its lock for a moment
    assert [path.name for path in temporary.iterdir()] == ["ltocf-of-something-else"]


def test_a_service_that_ends_while_it_reads_its_first_model_leaves_nothing(copy: Path, temporary: Path) -> None:
    put_endless_model(copy)
    stopper = threading.Thread(target=stop_parent_of, args=(copy,))
    stopper.start()
    with pytest.raises(AssertionError, match="no 'serving") as caught:
        Service(copy)
    stopper.join()
    assert "Traceback" not in str(caught.value)
    assert processes_of(copy) == []
    assert list(temporary.iterdir()) == []


def stop_parent_of(run: Path) -> None:
    """Terminate the parent once its first reader runs."""
    until(lambda: len(processes_of(run)) == 2)
    os.kill(min(processes_of(run)), signal.SIGTERM)
