"""The command line: each command is one call of the Python interface."""

from ltocf.cli.main import app, main

__all__ = ["app", "main"]
