"""Log lines that name their request, as text or as JSON."""

from __future__ import annotations

import io
import json
import logging
import secrets
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

from ltocf.progress import harmless

request_id: ContextVar[str] = ContextVar("request_id", default="-")
"""The id of the request that is being answered; ``-`` outside of requests."""

LONGEST_ID = 64


def new_request_id(given: bytes | None) -> str:
    """The id that the client gave its request, if it can stand in a log line, else a new one.

    Example:
        >>> new_request_id(b"abc-1"), len(new_request_id(b"a\\nb")), len(new_request_id(None))
        ('abc-1', 16, 16)
    """
    text = (given or b"").decode("latin-1")
    if 0 < len(text) <= LONGEST_ID and text.isascii() and text.replace("-", "").replace("_", "").isalnum():
        return text
    return secrets.token_hex(8)


class TextLines(logging.Formatter):
    """``2026-01-31T12:00:00Z INFO [request] message``, on one line, whatever the message holds."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = _fields(record)
        head = "{time} {level} [{request}] ".format(**fields)
        return harmless(head + "\\n".join(str(fields.get("error", fields["message"])).splitlines()))


class JsonLines(logging.Formatter):
    """One JSON object: time, level, logger, request, message, its details, and error if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return json.dumps(_fields(record) | getattr(record, "about", {}))


def _fields(record: logging.LogRecord) -> dict[str, object]:
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields: dict[str, object] = {"time": moment, "level": record.levelname, "logger": record.name}
    fields |= {"request": request_id.get(), "message": record.getMessage()}
    if record.exc_info:
        fields["error"] = logging.Formatter().formatException(record.exc_info)
    return fields


def write_logs(*, as_json: bool) -> None:
    """Write all log messages of this process to standard error, one line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if as_json else TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
