"""How this package was installed, so that advice on its extras works on this machine."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

CLONE = Path(__file__).resolve().parents[2]
"""The folder of the repository, if the package runs from one."""


def needs_extra(who_needs: str, extra: str) -> ImportError:
    """The error for packages that are missing: who needs which extra, and the command that installs it here.

    Args:
        who_needs: the beginning of the message, such as ``figures need``.
        extra: a key of ``[project.optional-dependencies]``.

    Example:
        >>> str(needs_extra("figures need", "plots")).partition(": ")[0]
        'figures need the `plots` extra'
    """
    return ImportError(f"{who_needs} the `{extra}` extra: {how_to_install(extra)}")


def how_to_install(extra: str) -> str:
    """The command that installs an extra: from the clone, from the package's origin, or else from the index."""
    if (CLONE / "pyproject.toml").is_file() and (CLONE / "constraints.txt").is_file():
        return f"pip install -c constraints.txt -e '.[{extra}]' (in {CLONE})"
    origin = _origin()
    return f"pip install 'ltocf[{extra}]'" if origin is None else f"pip install 'ltocf[{extra}] @ {origin}'"


def _origin() -> str | None:
    """The address the package was installed from; None for an index, which leaves no record."""
    try:
        text = distribution("ltocf").read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    if text is None:
        return None
    record = json.loads(text)
    if "vcs_info" in record:
        return f"{record['vcs_info']['vcs']}+{record['url']}@{record['vcs_info']['commit_id']}"
    return str(record["url"])
