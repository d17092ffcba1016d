"""Errors of a request, each with its rule, value and remedy apart."""

from __future__ import annotations


class RequestError(ValueError):
    """A request that breaks a rule, or that the model cannot answer.

    Args:
        rule: what must hold.
        value: what was given.
        remedy: what to do.
        message: the error as one text; by default rule, value and remedy joined.

    Example:
        >>> error = RequestError("`k` must be in 1..30", "31", "ask for fewer")
        >>> str(error), error.value
        ('`k` must be in 1..30, got 31; ask for fewer', '31')
    """

    before_value = ", got "

    def __init__(
        self, rule: str, value: str | None = None, remedy: str | None = None, *, message: str | None = None
    ) -> None:
        whole = rule if value is None else f"{rule}{self.before_value}{value}"
        whole = whole if remedy is None else f"{whole}; {remedy}"
        super().__init__(whole if message is None else message)
        self.rule, self.value, self.remedy = rule, value, remedy


class UnknownUserError(RequestError):
    """A request for users that the model was not trained on."""

    before_value = ": "


class UnknownItemError(RequestError):
    """A request for items that the model was not trained on."""

    before_value = ": "
