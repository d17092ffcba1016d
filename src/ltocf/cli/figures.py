"""``ltocf plot``: a run as a picture."""

from __future__ import annotations

from pathlib import Path

from ltocf.cli.output import say


def plot(folder: Path, /, *, out: Path) -> None:
    """Draw the learned response and the history of a run (needs the `plots` extra).

    Parameters
    ----------
    folder
        The run.
    out
        An .svg, .png or .pdf file.
    """
    from ltocf.report.run_figures import draw_run

    draw_run(folder, out)
    say(f"wrote {out}")
