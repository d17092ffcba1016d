"""Messages of the Python interface worded for a shell: flags in place of arguments."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection

from cyclopts import App

ARGUMENT = re.compile(r"`([a-z_0-9]+)(?:\s*=\s*([^`]+))?`")
"""A name, or a name with a value, as messages quote them."""


def for_the_shell(message: str, flags: Collection[str]) -> str:
    """The message with the flags of a command in place of the arguments that it names.

    A setting that has no flag of its own is given by ``--set``.

    Example:
        >>> for_the_shell("`k` must be in 1..30, got 31", ["--k"])
        '`--k` must be in 1..30, got 31'
        >>> for_the_shell('choose another `out`, or pass `unknown="popular"`', ["--out", "--unknown"])
        'choose another `--out`, or pass `--unknown popular`'
        >>> for_the_shell("`dim` must be >= 1; use `init = 'random'`, see `ltocf models`", ["--set"])
        '`dim` must be >= 1; use `--set init=random`, see `ltocf models`'
    """

    def as_flag(found: re.Match[str]) -> str:
        name, value = found[1], found[2]
        flag = f"--{name.replace('_', '-')}"
        word = None if value is None else shlex.quote(value.strip().strip("\"'"))
        if flag in flags:
            return f"`{flag}`" if word is None else f"`{flag} {word}`"
        return f"`--set {name}={word}`" if word is not None and "--set" in flags else found[0]

    return ARGUMENT.sub(as_flag, message)


def flags_of(app: App, arguments: list[str]) -> list[str]:
    """The flags of the command that these arguments call."""
    path, _, _ = app.parse_commands(arguments)
    command = app
    for name in path:
        command = command[name]
    if command.default_command is None:
        return []
    return [name for argument in command.assemble_argument_collection() for name in argument.names]
