"""Files are replaced whole or not at all, and what goes wrong is an error of the file."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ltocf.files import locked_name, making_file, making_folder, read_arrays, replacing, write_text


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_who_may_read_a_file_is_what_the_umask_says(mask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "text", "1")
        with replacing(tmp_path / "arrays") as temporary:
            save_file({"a": np.zeros(2)}, temporary)
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("text", "arrays")] == [mode, mode]


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "text", "new \ud800")
    assert (tmp_path / "text").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "text"]


def test_what_safetensors_cannot_write_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"arrays cannot be written: No space left"), replacing(tmp_path / "arrays"):
        raise SafetensorError("No space left on device (os error 28)")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_safetensors_file_is_a_value_error_with_its_name(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "not arrays")
    with pytest.raises(ValueError, match="text is not a safetensors file, or a damaged one"):
        read_arrays(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "nothing")
    save_file({"a": np.arange(3)}, tmp_path / "arrays", {"key": "value"})
    arrays, metadata = read_arrays(tmp_path / "arrays")
    assert arrays["a"].tolist() == [0, 1, 2]
    assert metadata == {"key": "value"}


WHY = r"lists.parquet cannot be written: No space left on device"


def test_a_full_disk_is_an_error_of_the_file_also_where_a_library_has_its_own_words(tmp_path: Path) -> None:
    said = "parquet: File out of specification: underlying IO error: No space left on device (os error 28)"
    for error in (pl.exceptions.ComputeError(said), OSError("No space left on device (os error 28)")):
        with pytest.raises(OSError, match=WHY) as found, replacing(tmp_path / "lists.parquet"):
            raise error
        assert ".part" not in str(found.value)
    with pytest.raises(OSError, match=WHY), replacing(tmp_path / "lists.parquet"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "error", [pl.exceptions.ComputeError("no column"), FileNotFoundError(errno.ENOENT, "No such file", "other.csv")]
)
def test_an_error_of_something_else_stays_as_it_is(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as found, replacing(tmp_path / "text"):
        raise error
    assert found.value is error


def test_what_a_killed_process_left_of_a_file_goes_when_it_is_made_again(tmp_path: Path) -> None:
    for name in (".vectors.npz.0123abcd.part", ".other.npz.0123abcd.part"):
        (tmp_path / name).touch()
    with making_file(tmp_path / "vectors.npz") as temporary:
        temporary.write_text("1")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.npz.0123abcd.part", "vectors.npz"]


def test_what_a_killed_process_left_of_a_folder_goes_when_it_is_made_again(tmp_path: Path) -> None:
    (tmp_path / ".out.part" / "half").mkdir(parents=True)
    with making_folder(tmp_path / "out") as temporary:
        (temporary / "whole").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole"]


def make_and_remove(path: Path) -> None:
    with making_folder(path) as temporary:
        shutil.rmtree(temporary)
        write_text(temporary / "second", "2")


def test_a_folder_that_was_removed_while_it_was_made_is_not_half_of_it(tmp_path: Path) -> None:
    """What is written after makes it again."""
    with pytest.raises(FileNotFoundError, match=r"out cannot be written: No such file"):
        make_and_remove(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("making", [making_file, making_folder, locked_name])
def test_the_second_who_makes_it_is_told(making: Any, tmp_path: Path) -> None:
    with making(tmp_path / "out") as temporary:
        with (
            pytest.raises(BlockingIOError, match=r"another process is at work in .*out; wait"),
            making(tmp_path / "out"),
        ):
            pytest.fail("two at once")
        if making is making_file:
            temporary.write_text("1")
    assert [path.name for path in tmp_path.iterdir()] == ([] if making is locked_name else ["out"])
