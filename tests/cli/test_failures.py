"""An error of a library when the system runs out of memory or files is one line without a traceback."""

from __future__ import annotations

import errno
import os

import pytest
from cyclopts import App

from ltocf.cli import main


class PanicException(BaseException):
    """Like the one that each library in Rust defines for itself."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("you tried to allocate 9 bytes"), "error: out of memory: you tried to allocate 9 bytes"),
        (RuntimeError("Failed to initialize cpuinfo!"), "error: too many open files for `ulimit -n`: Failed to"),
        (PanicException(f"code: 24, {os.strerror(errno.EMFILE)}"), "error: too many open files for `ulimit -n`: code"),
        (PanicException("left == right"), "error: a library failed, as with too little memory or too few open"),
    ],
)
def test_a_lack_of_resources_is_an_error_of_one_line(
    error: BaseException, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(App, "__call__", fail)
    with pytest.raises(SystemExit) as stopped:
        main(["models"])
    assert stopped.value.code == 2
    output = capsys.readouterr().err
    assert message in output
    assert output.count("\n") == 1


def test_other_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of this package")

    monkeypatch.setattr(App, "__call__", fail)
    with pytest.raises(RuntimeError, match="a fault of this package"):
        main(["models"])
