"""A power cut leaves the old file or the new one: content is on the disk before its name, a name before the next."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

import ltocf
from fault_scenarios import TRAININGS, WORKS, Scenes, Work

NAMES = ("fit", "search", "table3", "ingest", "recommend-all", "update", "export parquet", "export numpy", "export hub")
SHORT = ("train ltocf", "update", "ingest")
SOURCE = Path(ltocf.__file__).parent
WRITERS = {
    *("write_bytes", "save_file", "write_parquet", "write_csv", "write_ndjson", "sink_parquet", "savez", "save"),
    *("savefig", "tofile", "rename", "replace", "touch"),
}
TEMPORARY = "temporary"
"""The name of what `replacing` and `making_folder` give."""
ELSEWHERE = {
    "training/memory.py": "a file of the kernel",
    "scale/merge.py": "in the working folder of `ingest`, which sees it to the disk before it moves it",
    "scale/ingest.py": "the same, and a journal of which a lost end is read again",
    "serving/indexes.py": "into what `export` gives, which is a temporary file or folder",
    "serving/writing.py": "the same, by `write_frames`",
    "cli/output.py": "to standard output",
    "service": "as long as the server runs",
    "data/readers/download.py": "into a temporary file",
    "data/storage.py: names.attributes.write_parquet(buffer)": "into memory",
    "bench": "in a folder that goes with the measurement",
    "runs/folder.py: self.history_file.open('a'": "the history, see the test above",
}


@pytest.mark.parametrize("work", [TRAININGS[0], *(WORKS[name] for name in NAMES)], ids=lambda work: work.name)
def test_content_is_on_the_disk_before_its_name_and_the_name_before_anything_else(
    work: Work, scenes: Scenes, full: bool, figures: Counter[str]
) -> None:
    if not full and work.name not in SHORT:
        pytest.skip("in a full run only")
    changes = scenes.server.changes(work.arguments, scenes.fresh(work))
    waiting: set[str] = set()
    on_disk: set[str] = set()
    for kind, place, *rest in changes:
        if kind == "fsync":
            on_disk.add(place)
            waiting.discard(place)
        elif rest and rest[0].endswith(".part") and Path(place).parent.name.startswith("."):
            on_disk.discard(rest[0])  # no reader looks for this name yet
        elif kind in ("replace", "rename"):
            together = work.name == "ingest" and not place.endswith(".part")  # its index is what counts
            assert together or not waiting, f"{rest[0]} is named before the names in {waiting} are on the disk"
            assert place in on_disk, f"{place} is renamed to {rest[0]} before it is on the disk"
            waiting.add(str(Path(rest[0]).parent))
            figures["files"] += 1
        elif kind in ("open", "mkdir"):
            on_disk.discard(place)
    assert not waiting
    assert figures["files"]


def test_the_history_is_on_the_disk_before_the_checkpoint_that_relies_on_it(scenes: Scenes) -> None:
    changes = scenes.server.changes(TRAININGS[0].arguments, scenes.fresh(TRAININGS[0]))
    synced = 0
    for kind, place, *rest in changes:
        if kind == "fsync" and place == "run/history.jsonl":
            synced += 1
        elif kind == "replace" and rest[0].startswith(("run/checkpoint", "run/metrics")):
            assert synced, f"{rest[0]} relies on a history that is not on the disk"
            synced = 0


def test_the_package_writes_no_file_in_another_way() -> None:
    found = [
        f"{file.relative_to(SOURCE)}: {ast.unparse(call)}"
        for file in sorted(SOURCE.rglob("*.py"))
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and writes(call)
    ]
    assert [one for one in found if not one.startswith(tuple(ELSEWHERE))] == []
    assert all(any(one.startswith(place) for one in found) for place in ELSEWHERE)


def writes(call: ast.Call) -> bool:
    """Whether a call writes a file other than the temporary one of `replacing`."""
    function, words = call.func, ast.unparse(call)
    name = words.partition("(")[0].rpartition(".")[2] if not isinstance(function, ast.Attribute) else function.attr
    if TEMPORARY in words:
        return False
    modes = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    if name == "open":
        return any(isinstance(mode, str) and set(mode) & set("wax+") and len(mode) <= 3 for mode in modes)
    if name == "write_text":  # the function of `ltocf.files` keeps the order, the method of a path does not
        return isinstance(function, ast.Attribute)
    return name in WRITERS and is_about_a_file(name, call)


def is_about_a_file(name: str, call: ast.Call) -> bool:
    """Whether a `replace`, `rename` or `save` is of a file; other objects have methods of these names."""
    if name == "rename":
        return isinstance(call.func, ast.Attribute) and "path" in ast.unparse(call.func.value)
    if name in ("replace", "save"):
        return name == "replace" and len(call.args) == 1 and not call.keywords and isinstance(call.func, ast.Attribute)
    return True
