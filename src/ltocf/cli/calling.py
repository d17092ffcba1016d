"""How this program was called, so that the commands it prints can be pasted into the same shell."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def command(*arguments: object) -> str:
    """A command line of this program: by its name if the shell finds it, else by the path it was called by.

    Example:
        >>> command("recommend", Path("my runs"), "--k", 10).partition("recommend")[2]
        " 'my runs' --k 10"
    """
    return " ".join([_program(), *(shlex.quote(str(argument)) for argument in arguments)])


def _program() -> str:
    called = Path(sys.argv[0])
    if called.name == "__main__.py" and called.parent.name == "ltocf":
        return f"{shlex.quote(sys.executable)} -m ltocf"
    if called.stem != "ltocf" or not called.exists():
        return "ltocf"
    found = shutil.which("ltocf")
    if found is not None and Path(found).samefile(called):
        return "ltocf"
    # An absolute path is what a script of the environment has in its place; below this folder the short one is enough.
    short = os.path.relpath(called)
    return shlex.quote(str(called) if short.startswith("..") else short)
