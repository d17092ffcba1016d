"""A checkpoint of any layout of processes is read by any other, to the last bit, or an error says why not."""

from __future__ import annotations

import errno
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from ltocf.evaluation.ranks import ALONE
from rank_workers import fail_to_write, in_group, read_checkpoints, start, write_checkpoints

WRITERS = ("one", "four", "two by two")
READERS = ("one", "three", "four", "one by four")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint and the state of each writer, and the state that each reader has read from each checkpoint.

    Neither 6 columns over 4 processes nor 71 nodes over 2 blocks divide evenly.
    """
    folder = tmp_path_factory.mktemp("checkpoints")
    write_checkpoints(folder, {"one": ALONE})
    assert start(4, in_group, write_checkpoints, folder, {"four": 1, "two by two": 2}) == [0] * 4
    read_checkpoints(folder, WRITERS, {"one": ALONE})
    assert start(3, in_group, read_checkpoints, folder, WRITERS, {"three": 1}) == [0] * 3
    assert start(4, in_group, read_checkpoints, folder, WRITERS, {"four": 1, "one by four": 4}) == [0] * 4
    return folder


def assert_read(folder: Path, writer: str, reader: str) -> None:
    """The reader got the numbers of the writer."""
    (expected, counters), (found, counters_read) = (
        pickle.loads((folder / name).read_bytes()) for name in (writer, f"{writer} read by {reader}")
    )
    assert counters_read == counters
    assert found.keys() == expected.keys()
    assert {name for name in expected if found[name].equal(expected[name])} == expected.keys()
    assert not expected["best.initial_embeddings"].equal(expected["model.initial_embeddings"])


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("writer", WRITERS)
def test_any_layout_reads_what_any_other_has_written(writer: str, reader: str, checkpoints: Path) -> None:
    assert_read(checkpoints, writer, reader)


@pytest.mark.parametrize("writer", ["four", "two by two"])
def test_each_number_is_stored_once(writer: str, checkpoints: Path) -> None:
    folder = checkpoints / f"{writer}-shards-2"
    stored: dict[str, int] = {}
    for file in folder.iterdir():
        for name, tensor in load_file(file).items():
            stored[name] = stored.get(name, 0) + tensor.numel()
    whole: dict[str, Any] = pickle.loads((checkpoints / writer).read_bytes())[0]
    assert len(stored) == 4
    assert stored == {name: whole[name].numel() for name in stored}
    assert not stored.keys() & load_file(checkpoints / f"{writer}.safetensors").keys()


@pytest.fixture
def copied(checkpoints: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint of four processes."""
    shutil.copy(checkpoints / "four.safetensors", tmp_path)
    shutil.copytree(checkpoints / "four-shards-2", tmp_path / "four-shards-2")
    return tmp_path


@pytest.mark.parametrize("damage", ["no folder", "missing", "cut", "other"])
def test_a_damaged_part_is_an_error(damage: str, copied: Path) -> None:
    folder = copied / "four-shards-2"
    file = sorted(folder.iterdir())[0]
    if damage == "no folder":
        shutil.rmtree(folder)
    elif damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(file.read_bytes()[:-8])
    else:
        save_file({name: tensor[:3] for name, tensor in load_file(file).items()}, file)
    with pytest.raises(ValueError, match=r"four.safetensors is damaged; remove it to train this phase again: "):
        read_checkpoints(copied, ["four"], {"one": ALONE})


def test_a_folder_that_a_killed_run_has_left_is_replaced(copied: Path) -> None:
    """Four processes died after writing their parts, before the first one wrote the file; three go on."""
    (copied / "four-shards-2").rename(copied / "three-shards-2")
    assert start(3, in_group, write_checkpoints, copied, {"three": 1}) == [0] * 3
    read_checkpoints(copied, ["three"], {"one": ALONE})
    assert_read(copied, "three", "one")
    write_checkpoints(copied, {"three": ALONE})
    assert not (copied / "three-shards-2").exists()


@pytest.mark.parametrize(
    ("raised", "reported"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "OSError: .* cannot be written: process 1: .*No space left"),
        (ConnectionError("another process has ended"), "ConnectionError: another process has ended"),
    ],
)
def test_a_process_that_cannot_write_ends_all_and_leaves_nothing(
    raised: Exception, reported: str, tmp_path: Path
) -> None:
    assert start(2, in_group, fail_to_write, tmp_path, raised) == [0] * 2
    for rank in range(2):
        assert re.fullmatch(f"{reported}.*", (tmp_path / f"error-{rank}").read_text())
    assert not [*tmp_path.glob("*shards*"), *tmp_path.glob("*.safetensors")]
