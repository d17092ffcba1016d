"""Files are replaced whole or not at all, and what goes wrong is an error of the file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ltocf.files import read_arrays, replacing, write_text


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
