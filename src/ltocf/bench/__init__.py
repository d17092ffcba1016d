"""How fast this package is beside other programs, measured where it runs: a training step and an evaluation."""

from ltocf.bench.quick import quick_bench
from ltocf.bench.synthetic import power_law

__all__ = ["power_law", "quick_bench"]
