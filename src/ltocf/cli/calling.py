"""How this program was called, so that the commands it prints can be pasted into the same shell."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

COMMAND = re.compile(r"`ltocf (?=[a-z])")
"""Where a message quotes a command of this program."""


def command(*arguments: object) -> str:
    """A command line of this program: by its name if the shell finds it, else by the path it was called by.

    Example:
        >>> command("recommend", Path("my runs"), "--k", 10).partition("recommend")[2]
        " 'my runs' --k 10"
    """
    return " ".join([program(), *(shlex.quote(str(argument)) for argument in arguments)])


def torchrun(*arguments: object) -> str:
    """A command line that runs this program in N processes by this environment's torchrun; the reader replaces N."""
    found = shutil.which("torchrun")
    of_this_environment = found is not None and Path(found).parent == Path(sys.executable).parent
    launcher = "torchrun" if of_this_environment else f"{_interpreter()} -m torch.distributed.run"
    words = ("--nproc-per-node", "N", "-m", "ltocf", *arguments)
    return " ".join([launcher, *(shlex.quote(str(word)) for word in words)])


def as_called(message: str) -> str:
    """The message, with its quoted commands as they can be typed in this shell.

    Example:
        >>> as_called("`ltocf models` lists them").replace(program(), "./ltocf")
        '`./ltocf models` lists them'
    """
    return COMMAND.sub(lambda _: f"`{program()} ", message)


def program() -> str:
    """The beginning of a command line: ``ltocf``, its path, or the interpreter with ``-m ltocf``."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py" and called.parent.name == "ltocf":
        return f"{_interpreter()} -m ltocf"
    if called.stem != "ltocf" or not called.exists():
        return "ltocf"
    found = shutil.which("ltocf")
    if found is not None and Path(found).samefile(called):
        return "ltocf"
    return _short(called)


def _interpreter() -> str:
    """The interpreter by its name if the shell finds this one, else by its path."""
    path = Path(sys.executable)
    # Not `samefile`: the interpreters of all environments are links to one file.
    return path.name if shutil.which(path.name) == sys.executable else _short(path)


def _short(path: Path) -> str:
    """The path relative to the current folder if it is below it, else the path as given."""
    short = os.path.relpath(path)
    return shlex.quote(str(path) if short.startswith("..") else short)
