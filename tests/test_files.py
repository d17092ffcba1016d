"""Files are replaced whole or not at all, and errors name the file."""

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
def test_a_new_file_has_the_permissions_of_the_umask(mask: int, mode: int, tmp_path: Path) -> None:
    previous_mask = os.umask(mask)
    try:
        write_text(tmp_path / "text", "1")
        with replacing(tmp_path / "arrays") as temporary:
            save_file({"a": np.zeros(2)}, temporary)
    finally:
        os.umask(previous_mask)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("text", "arrays")] == [mode, mode]


def test_a_failed_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(tmp_path / "text", "new \ud800")
    assert (tmp_path / "text").read_text() == "old"
    assert list(tmp_path.iterdir()) == [tmp_path / "text"]


def test_a_failed_write_of_safetensors_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"arrays cannot be written: No space left"), replacing(tmp_path / "arrays"):
        raise SafetensorError("No space left on device (os error 28)")
    assert list(tmp_path.iterdir()) == []


def test_reading_another_file_as_safetensors_is_a_value_error_with_its_name(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "not arrays")
    with pytest.raises(ValueError, match="text is not a safetensors file, or a damaged one"):
        read_arrays(tmp_path / "text")
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "nothing")
    save_file({"a": np.arange(3)}, tmp_path / "arrays", {"key": "value"})
    arrays, metadata = read_arrays(tmp_path / "arrays")
    assert arrays["a"].tolist() == [0, 1, 2]
    assert metadata == {"key": "value"}


DISK_FULL = r"lists.parquet cannot be written: No space left on device"


def test_a_full_disk_is_an_os_error_of_the_file_whichever_library_reports_it(tmp_path: Path) -> None:
    message = "parquet: File out of specification: underlying IO error: No space left on device (os error 28)"
    for error in (pl.exceptions.ComputeError(message), OSError("No space left on device (os error 28)")):
        with pytest.raises(OSError, match=DISK_FULL) as caught, replacing(tmp_path / "lists.parquet"):
            raise error
        assert ".part" not in str(caught.value)
    with pytest.raises(OSError, match=DISK_FULL), replacing(tmp_path / "lists.parquet"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "error", [pl.exceptions.ComputeError("no column"), FileNotFoundError(errno.ENOENT, "No such file", "other.csv")]
)
def test_other_errors_are_raised_unchanged(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as caught, replacing(tmp_path / "text"):
        raise error
    assert caught.value is error


def test_a_temporary_file_of_a_killed_process_is_removed_when_the_file_is_made_again(tmp_path: Path) -> None:
    for name in (".vectors.npz.0123abcd.part", ".other.npz.0123abcd.part"):
        (tmp_path / name).touch()
    with making_file(tmp_path / "vectors.npz") as temporary:
        temporary.write_text("1")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.npz.0123abcd.part", "vectors.npz"]


def test_a_temporary_folder_of_a_killed_process_is_removed_when_the_folder_is_made_again(tmp_path: Path) -> None:
    (tmp_path / ".out.part" / "half").mkdir(parents=True)
    with making_folder(tmp_path / "out") as temporary:
        (temporary / "whole").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole"]


def make_a_folder_that_is_removed_meanwhile(path: Path) -> None:
    with making_folder(path) as temporary:
        shutil.rmtree(temporary)
        write_text(temporary / "second", "2")


def test_a_folder_removed_while_it_is_made_is_not_left_half_made(tmp_path: Path) -> None:
    """The file written afterwards creates the temporary folder again."""
    with pytest.raises(FileNotFoundError, match=r"out cannot be written: No such file"):
        make_a_folder_that_is_removed_meanwhile(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("making", [making_file, making_folder, locked_name])
def test_only_one_process_at_a_time_makes_a_path(making: Any, tmp_path: Path) -> None:
    with making(tmp_path / "out") as temporary:
        with (
            pytest.raises(BlockingIOError, match=r"another process is at work in .*out; wait"),
            making(tmp_path / "out"),
        ):
            pytest.fail("the second one entered as well")
        if making is making_file:
            temporary.write_text("1")
    assert [path.name for path in tmp_path.iterdir()] == ([] if making is locked_name else ["out"])
