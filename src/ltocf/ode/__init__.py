"""The operator becomes final embeddings: learnable times, solvers, the frequency response and its filter."""

from ltocf.ode.filter import chebyshev_filter
from ltocf.ode.response import chebyshev_coefficients, evaluate_series
from ltocf.ode.scalar import OPERATORS, MeanResponse
from ltocf.ode.solvers import CONNECTIONS, SOLVERS, Solver, states
from ltocf.ode.times import LearnableTimes

__all__ = [
    "CONNECTIONS",
    "OPERATORS",
    "SOLVERS",
    "LearnableTimes",
    "MeanResponse",
    "Solver",
    "chebyshev_coefficients",
    "chebyshev_filter",
    "evaluate_series",
    "states",
]
