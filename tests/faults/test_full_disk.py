"""A full, read-only or missing disk, too little memory or too few files: a clear error, and work continues later."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fault_scenarios import TRAININGS, WORKS, Scenes, Work, contents

NAMES = ("fit", "search", "table3", "ingest", "recommend-all", "update", "export parquet", "export numpy", "export hub")
WRITING = [TRAININGS[0], *(WORKS[name] for name in NAMES)]
SHORT = ("train ltocf", "ingest", "export parquet")
NOBODY = 65534
GONE = "No such file or directory|holds no run|no configuration file|must be a folder that stays"
"""What an error says about a folder that was removed."""
MEBIBYTE = 2**20


def wanted(work: Work, full: bool) -> None:
    if not full and work.name not in SHORT:
        pytest.skip("in a full run only")


def is_clear(said: str, *, names: str = "", by_a_library: bool = False) -> None:
    """One line says what went wrong; Polars may have printed its own message before it."""
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    assert lines, said
    assert not re.search(r"Traceback|Exception ignored", said), said
    assert by_a_library or "panicked" not in said, said
    assert names in said, said


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """A separate file system of the given size."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("needs a user who may mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@pytest.mark.parametrize("work", WRITING, ids=lambda work: work.name)
def test_a_disk_full_at_any_file_is_an_error_that_names_it(
    work: Work, scenes: Scenes, full: bool, figures: Counter[str]
) -> None:
    wanted(work, full)
    changes = scenes.server.changes(work.arguments, scenes.fresh(work))
    grows = ("open", "mkdir", "fsync", "replace")
    growing = [
        number
        for number, (kind, place, *_) in enumerate(changes)
        if kind in grows and not place.endswith("lock")  # filelock tries again
    ]
    for place in growing[:: work.every] if full else growing[len(growing) // 2 :][:1]:
        folder = scenes.fresh(work)
        code, said = scenes.server.run(work.arguments, folder, full_at=2 * place, checkpoint_always=True)
        if code:  # a folder that exists already needs no room
            assert code == 2, f"{changes[place]}: {said}"
            is_clear(said, names="No space left on device")
        else:
            assert changes[place][0] == "mkdir", f"{changes[place]}: {said}"
        scenes.finish(work, folder)
        figures["full_at_a_file"] += 1


@pytest.mark.parametrize("work", WRITING, ids=lambda work: work.name)
def test_a_small_disk_is_an_error_and_the_work_continues_with_more_room(
    work: Work, scenes: Scenes, full: bool, figures: Counter[str]
) -> None:
    """Files that libraries write themselves reach the end of the disk too."""
    wanted(work, full)
    scenes.undisturbed(work)
    folder = scenes.root / work.name.replace(" ", "_")
    needed = sum(-(-file.stat().st_size // 4096) * 4 + 4 for file in scenes.template.rglob("*"))
    for more in (8, 16, 24, 32, 40, 48, 64, 80, 96, 128, 160, 200, 256, 320, 400) if full else (24,):
        shutil.rmtree(folder, ignore_errors=True)
        with mounted(folder, "64m"):
            shutil.copytree(scenes.template, folder, dirs_exist_ok=True)
            remount(folder, f"size={needed + more}k")
            code, said = scenes.server.run(work.arguments, folder)
            remount(folder, "size=64m")
            if code:
                assert code == 2, f"{more} KiB: {said}"
                is_clear(said, names="No space left on device")
                figures["small_disks"] += 1
            scenes.finish(work, folder)


@pytest.mark.parametrize("work", WRITING, ids=lambda work: work.name)
def test_a_read_only_disk_is_an_error(work: Work, scenes: Scenes, full: bool, figures: Counter[str]) -> None:
    wanted(work, full)
    scenes.undisturbed(work)
    folder = scenes.root / work.name.replace(" ", "_")
    shutil.rmtree(folder, ignore_errors=True)
    with mounted(folder, "64m"):
        shutil.copytree(scenes.template, folder, dirs_exist_ok=True)
        remount(folder, "ro")
        code, said = scenes.server.run(work.arguments, folder)
        remount(folder, "rw")
        assert code == 2, said
        is_clear(said, names="Read-only file system")
        scenes.finish(work, folder)
        figures["read_only_disks"] += 1


@pytest.mark.parametrize("work", WRITING, ids=lambda work: work.name)
def test_a_folder_of_another_user_is_an_error(work: Work, scenes: Scenes, full: bool, figures: Counter[str]) -> None:
    wanted(work, full)
    if os.getuid():
        pytest.skip("needs root, who can become another user")
    before = contents(scenes.fresh(work))
    folder = scenes.root / work.name.replace(" ", "_")
    for above in (folder, *folder.parents):
        above.chmod(above.stat().st_mode | 0o055)
    code, said = scenes.server.run(work.arguments, folder, user=NOBODY)
    assert code == 2, said
    is_clear(said, names="Permission denied")
    assert contents(folder) == before
    figures["forbidden_folders"] += 1


@pytest.mark.parametrize("work", [work for work in WRITING if work.name != "table3"], ids=lambda work: work.name)
def test_a_folder_that_is_removed_meanwhile_is_an_error(
    work: Work, scenes: Scenes, full: bool, figures: Counter[str]
) -> None:
    wanted(work, full)
    scenes.undisturbed(work)
    made = [kind for kind, *_ in scenes.server.changes(work.arguments, scenes.fresh(work))]
    synced = [2 * place + 1 for place, kind in enumerate(made) if kind == "fsync"][:-2]
    for moment in synced if full else synced[len(synced) // 2 :][:1]:
        folder = scenes.fresh(work)
        command = scenes.server.start(work.arguments, folder, stopped_at=moment, checkpoint_always=True)
        command.wait_until_stopped()
        for place in folder.iterdir():
            if place.is_dir() and place.name not in ("base", "configs"):
                shutil.rmtree(place)
        command.send(signal.SIGCONT)
        code = command.code()
        if code:
            assert code == 2, command.said()
            is_clear(command.said())
            assert re.search(GONE, command.said()), command.said()
            figures["removed_folders"] += 1
        scenes.finish(work, folder)


@pytest.mark.parametrize("work", WRITING, ids=lambda work: work.name)
def test_a_clock_that_goes_backwards_changes_nothing(
    work: Work, scenes: Scenes, full: bool, figures: Counter[str]
) -> None:
    wanted(work, full)
    expected, _ = scenes.undisturbed(work)
    folder = scenes.fresh(work)
    scenes.server.done(work.arguments, folder, clock_back=1000.0)
    assert contents(folder) == expected
    figures["clocks_set_back"] += 1


@pytest.mark.parametrize("work", WRITING, ids=lambda work: work.name)
def test_too_few_open_files_are_an_error(work: Work, scenes: Scenes, full: bool, figures: Counter[str]) -> None:
    wanted(work, full)
    for n_files in range(6, 24) if full else (8,):
        folder = scenes.fresh(work)
        code, said = scenes.server.run(work.arguments, folder, open_files=n_files)
        if code:
            assert code == 2, said
            is_clear(said, by_a_library=True)
            figures["few_open_files"] += 1
        scenes.finish(work, folder)


@pytest.mark.parametrize("work", WRITING, ids=lambda work: work.name)
def test_too_little_memory_is_an_error(work: Work, scenes: Scenes, full: bool, figures: Counter[str]) -> None:
    """Polars may end the process, or wait forever for a thread that it did not get; the work continues all the same."""
    wanted(work, full)
    for n_bytes in (size * MEBIBYTE for size in ((0, 1, 2, 4, 8, 16, 32, 64, 128) if full else (4,))):
        folder = scenes.fresh(work)
        command = scenes.server.start(work.arguments, folder, memory=n_bytes)
        held_up = command.is_held_up()
        if (code := command.code()) == 2:
            is_clear(command.said(), by_a_library=True)
        figures["little_memory"] += code != 0
        figures["little_memory_ended_by_a_library"] += code not in (0, 2) and not held_up
        figures["little_memory_held_up_by_a_library"] += held_up
        scenes.finish(work, folder)
