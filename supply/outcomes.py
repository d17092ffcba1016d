"""How the tests ended in each environment that is not `.venv`: results/supply/versions.json."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "results" / "supply" / "versions.json"
COUNTS = ("passed", "failed", "errors", "skipped")


def run_tests(
    environment: str, command: Sequence[str | Path], cwd: Path, variables: dict[str, str] | None = None, **facts: Any
) -> int:
    """Run pytest, show and record how it ended as ``environment`` with these facts; the exit status."""
    print("$", *command, flush=True)
    with subprocess.Popen(command, cwd=cwd, env=variables, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        output = []
        for line in tests.stdout:
            output.append(line)
            print(line, end="", flush=True)
    python = subprocess.run([command[0], "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    keep(environment, {"python": python, **counts("".join(output)), **facts})
    return tests.returncode


def counts(output: str) -> dict[str, int]:
    """How many tests passed, failed, had errors and were skipped, from the last line of pytest."""
    lines = [line for line in output.splitlines() if re.search(r"\d+ (passed|failed|errors?)\b", line)]
    found = {name: count for count, name in re.findall(r"(\d+) (\w+)", lines[-1])} if lines else {}
    found.setdefault("errors", found.get("error", 0))
    return {name: int(found.get(name, 0)) for name in COUNTS}


def keep(environment: str, found: dict[str, Any]) -> None:
    """Put the record of one environment in the place of its last one."""
    record: dict[str, Any] = json.loads(RESULT.read_text("utf-8")) if RESULT.exists() else {}
    record[environment] = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "commit": commit(), **found}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(dict(sorted(record.items())), indent=1) + "\n", encoding="utf-8")


def commit() -> str:
    """The commit that was tested, marked if files other than results differ from it."""
    git = ["git", "-C", str(ROOT)]
    name = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=False)
    status = [*git, "status", "--porcelain", "-uno", "--", ":/", ":!/results"]
    changed = subprocess.run(status, capture_output=True, text=True, check=False).stdout
    return (name.stdout.strip() or "unknown") + ("-dirty" if changed else "")
