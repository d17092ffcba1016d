"""``python -m ltocf``: the command line."""

from ltocf.cli import main

main()
