"""The former name of `ltocf.report.run_figures`."""

from ltocf.report.run_figures import SHADES, draw_run, response_figure, run_figure, save_figure

__all__ = ["SHADES", "draw_run", "response_figure", "run_figure", "save_figure"]
