"""What a library says when the system has too little of something is one line, and no traceback."""

from __future__ import annotations

import errno
import os

import pytest
from cyclopts import App

from ltocf.cli import main


class PanicException(BaseException):
    """As each library in Rust has one of its own."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("you tried to allocate 9 bytes"), "error: out of memory: you tried to allocate 9 bytes"),
        (RuntimeError("Failed to initialize cpuinfo!"), "error: too many open files for `ulimit -n`: Failed to"),
        (PanicException(f"code: 24, {os.strerror(errno.EMFILE)}"), "error: too many open files for `ulimit -n`: code"),
        (PanicException("left == right"), "error: a library failed, as with too little memory or too few open"),
    ],
)
def test_it_is_told(
    error: BaseException, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(App, "__call__", broken)
    with pytest.raises(SystemExit) as ended:
        main(["models"])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_other_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a fault of this package")

    monkeypatch.setattr(App, "__call__", broken)
    with pytest.raises(RuntimeError, match="a fault of this package"):
        main(["models"])
