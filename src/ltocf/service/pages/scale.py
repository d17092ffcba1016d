"""Where bars begin and end: one scale for all bars of a list, with room for negative pieces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

N_COLORS = 8
"""Number of colours in the style sheet, taken in turn for parts of a score and lines of a chart."""


@dataclass(frozen=True)
class Segment:
    """One piece of a score.

    Args:
        name: where it comes from: popularity, the user's own, or a state of the ODE.
        color: its class in the style sheet.
        value: what it adds to the score.
        x, width: where it is drawn, in percent of the bar.
    """

    name: str
    color: str
    value: float
    x: float = 0.0
    width: float = 0.0


@dataclass(frozen=True)
class BarScale:
    """Turns scores between ``low`` <= 0 and ``high`` >= 0 into percent of a bar's length.

    Example:
        >>> scale = BarScale.over([[2.0, 1.0], [1.0, -1.0]])
        >>> scale.zero, scale.place(3.0)
        (25.0, 100.0)
    """

    low: float
    high: float

    @classmethod
    def over(cls, bars: Iterable[Sequence[float]]) -> BarScale:
        """The scale that holds every bar, each a list of pieces of which some may be negative."""
        ends = [(sum((v for v in pieces if v < 0), 0.0), sum((v for v in pieces if v > 0), 0.0)) for pieces in bars]
        return cls(min((low for low, _ in ends), default=0.0), max((high for _, high in ends), default=0.0))

    @property
    def zero(self) -> float:
        """Where the bars begin."""
        return self.place(0.0)

    def place(self, value: float) -> float:
        """The position of a value, in percent of the length."""
        return 100 * (value - self.low) / (self.high - self.low) if self.high > self.low else 0.0

    def bar(self, value: float) -> Segment:
        """The bar from zero to a value."""
        x, end = sorted((self.zero, self.place(value)))
        return Segment("score", "piece-score", value, x, end - x)

    def stacked(self, segments: Iterable[Segment]) -> tuple[Segment, ...]:
        """The pieces end to end: positive ones to the right of zero, negative ones to its left."""
        up = down = 0.0
        placed = []
        for segment in segments:
            start = up if segment.value >= 0 else down + segment.value
            x = self.place(start)
            placed.append(replace(segment, x=x, width=self.place(start + abs(segment.value)) - x))
            up, down = up + max(segment.value, 0.0), down + min(segment.value, 0.0)
        return tuple(placed)
