"""Sizes that a request may have; the same for routes, tools and pages."""

from __future__ import annotations

from collections.abc import Sized

from ltocf.service.settings import ServiceSettings
from ltocf.serving import RequestError


def check_sizes(
    settings: ServiceSettings,
    *,
    k: int | None = None,
    history: Sized | None = None,
    users: Sized | None = None,
    typed: str | None = None,
) -> None:
    """Check that what was given is within the limits.

    Raises:
        RequestError: the rule, the value, and the option that changes the limit.

    Example:
        >>> check_sizes(ServiceSettings(max_k=30), k=31)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ltocf.serving.errors.RequestError: `k` must be in 1..30, got 31; ask for fewer, or start ...
    """
    if k is not None and not 1 <= k <= settings.max_k:
        raise _outside("`k` must be in 1..", settings.max_k, k, "--max-k")
    if history is not None and len(history) > settings.max_history:
        raise _outside("the number of items in `history` must be in 1..", settings.max_history, len(history))
    if users is not None and len(users) > settings.max_users:
        raise _outside("the number of `users` must be in 1..", settings.max_users, len(users), "--max-users")
    rows = (k or 0) * len(users or ())
    if rows > settings.max_rows:
        raise _outside("`k` times the number of `users` must be in 1..", settings.max_rows, rows, "--max-rows")
    if typed is not None and len(typed) > settings.max_query:
        raise _outside("the number of characters in `q` must be in 0..", settings.max_query, len(typed), "--max-query")


def _outside(rule: str, limit: int, value: int, option: str = "--max-history") -> RequestError:
    remedy = f"ask for fewer, or start the service with a larger `{option}`"
    return RequestError(f"{rule}{limit}", str(value), remedy)
