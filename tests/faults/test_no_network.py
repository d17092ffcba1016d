"""Importing and using the package opens no connection to another machine; only the download of a named set does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from service_samples import Service

SCRIPT = Path(__file__).resolve().parents[1] / "no_network.py"
PAIRS = [(user, item) for user in range(30) for item in range(20) if (user * 7 + item * 3) % 4]
CLOSED = """
import sys
sys.path.insert(0, {tests!r})
from no_network import close
sys.addaudithook(close)
"""


def log(folder: Path) -> Path:
    path = folder / "visits.csv"
    path.write_text("user,item\n" + "".join(f"{user},{item}\n" for user, item in PAIRS), encoding="utf-8")
    return path


def closed(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_commands_without_a_network(tmp_path: Path, record: Any) -> None:
    done = closed(str(SCRIPT), str(tmp_path), str(log(tmp_path)))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["failed"], found["tried"]) == ({}, [])
    assert found["modules"] > 150
    figures = {"modules_imported": found["modules"], "commands": found["commands"], "attempts": len(found["tried"])}
    record("no-network", figures)


def test_the_guard_stops_a_download(tmp_path: Path) -> None:
    """So the other tests would notice a connection."""
    program = CLOSED.format(tests=str(SCRIPT.parent)) + "import ltocf; ltocf.load_dataset('gowalla')"
    variables = os.environ | {"LTOCF_DATA": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "could not download https://" in done.stderr
    assert "there is no network" in done.stderr


def test_a_service_starts_without_a_network(tmp_path: Path, monkeypatch: Any) -> None:
    import ltocf

    ltocf.fit(PAIRS, tmp_path / "run", model="mf", dim=4, epochs=1, show_progress=False)
    (tmp_path / "sitecustomize.py").write_text(CLOSED.format(tests=str(SCRIPT.parent)), encoding="utf-8")
    path = [str(tmp_path), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    service = Service(tmp_path / "run", "--workers", "2")
    assert service.stop() == 0
    assert "there is no network" not in service.log()
