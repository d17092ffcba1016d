"""How a value shows itself: one line in a terminal, a small table in a notebook, whatever its size."""

from __future__ import annotations

import html
import reprlib
from abc import ABC, abstractmethod

_LINE = reprlib.Repr()
_LINE.maxstring = _LINE.maxother = 40


class Shown(ABC):
    """Gives a class its ``repr`` of one line and its table in Jupyter, both from `facts`.

    Example:
        >>> class Box(Shown):
        ...     def facts(self):
        ...         return {"name": "<b>", "pairs": 62106}
        >>> Box()
        Box(name='<b>', pairs=62106)
        >>> "<td>&lt;b&gt;</td>" in Box()._repr_html_(), "<td>62,106</td>" in Box()._repr_html_()
        (True, True)
    """

    @abstractmethod
    def facts(self) -> dict[str, object]:
        """What to show: numbers and short texts by their name."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_LINE.repr(value)}" for name, value in self.facts().items())
        return f"{type(self).__name__}({shown})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(_cell(value))}</td></tr>"
            for name, value in self.facts().items()
        )
        return f"<table><caption>{html.escape(type(self).__name__)}</caption>{rows}</table>"


def _cell(value: object) -> str:
    if isinstance(value, str):
        return _LINE.repr(value)[1:-1]
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _LINE.repr(value)
