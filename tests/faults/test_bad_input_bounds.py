"""Bad input takes no more memory and time than good input: false headers, and files that unpack without end."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ltocf
from bad_inputs import READERS, Reader, refused
from damage import bounded
from ltocf.data.readers import content
from ltocf.data.readers.content import ALWAYS_UNPACKED, LARGEST_RATIO, file_content, largest_zstandard_size
from ltocf.files import read_arrays
from ltocf.models.limits import LARGEST
from ltocf.serving import TrainedModel
from ltocf.serving.model_file import LARGEST_OPTION
from model_samples import OPTIONS, parts_of, sealed

Record = Callable[[str, dict[str, Any]], None]
TOO_MUCH = r"must unpack to at most 200 times its size, got more than \d+ bytes out of \d+; .* unpack it first"


def bomb_of_gzip(n_bytes: int) -> bytes:
    """A CSV file of one event repeated, a thousand times as large as its gzip file."""
    packer, block = zlib.compressobj(9, wbits=31), b"ann,7\n" * 200_000
    return b"".join([packer.compress(block) for _ in range(n_bytes // len(block) + 1)] + [packer.flush()])


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz"])
def test_a_bomb_is_refused(kind: str, full: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a lower limit in a short run; with the real one, and a bomb of 4 GB, in a full run."""
    if not full:
        monkeypatch.setattr(content, "ALWAYS_UNPACKED", 1 << 20)
    n_bytes = 4_000_000_000 if full and kind == "gzip" else ALWAYS_UNPACKED * 2 if full else 20_000_000
    packers: dict[str, Callable[[bytes], bytes]] = {"bzip2": bz2.compress, "xz": lzma.compress}
    path = tmp_path / "log.csv"
    rows = b"" if kind == "gzip" else b"user,item\n" + b"ann,7\n" * (n_bytes // 6)
    path.write_bytes(packers[kind](rows) if rows else bomb_of_gzip(n_bytes))
    with bounded(1500), pytest.raises(ValueError, match=TOO_MUCH):
        ltocf.load_dataset(path)


def test_a_bomb_of_zstandard_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "ALWAYS_UNPACKED", 1 << 20)
    buffer = io.BytesIO()
    pl.DataFrame({"user": ["ann"] * 1_000_000, "item": 7}).write_csv(buffer, compression="zstd")
    (tmp_path / "log.csv.zst").write_bytes(buffer.getvalue())
    with pytest.raises(ValueError, match=TOO_MUCH):
        ltocf.load_dataset(tmp_path / "log.csv.zst")


def test_an_ordinary_log_unpacks(tmp_path: Path) -> None:
    """Also one event repeated, in a file of moderate size; and any log whose rows differ."""
    rows = b"user,item\n" + b"".join(b"u%d,%d\n" % (n * n % 9973, n % 701) for n in range(100_000))
    for name, text in (("one", b"user,item\n" + b"ann,7\n" * 300_000), ("many", rows)):
        (tmp_path / f"{name}.csv.gz").write_bytes(packed := gzip.compress(text))
        assert file_content(tmp_path / f"{name}.csv.gz").data == text
        (tmp_path / f"{name}.csv.xz").write_bytes(lzma.compress(text))
        assert file_content(tmp_path / f"{name}.csv.xz").data == text
    assert len(rows) / len(packed) < LARGEST_RATIO / 20


@pytest.mark.parametrize("level", [1, 19])
@pytest.mark.parametrize("n_rows", [1, 1000, 200_000])
def test_the_largest_size_of_zstandard_is_never_too_small(level: int, n_rows: int) -> None:
    frame = pl.DataFrame({"user": np.arange(n_rows) % 7, "item": np.arange(n_rows) ** 2 % 1009})
    plain, packed = io.BytesIO(), io.BytesIO()
    frame.write_csv(plain)
    frame.write_csv(packed, compression="zstd", compression_level=level)
    most = largest_zstandard_size(packed.getvalue())
    assert len(plain.getvalue()) <= most <= len(plain.getvalue()) + 2 * 2**17
    skipped = struct.pack("<II", 0x184D2A51, 3) + b"abc"
    assert largest_zstandard_size(skipped + packed.getvalue() + packed.getvalue()) == 2 * most


def test_one_event_repeated_in_parquet_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ltocf.data.readers import tables

    monkeypatch.setattr(tables, "ALWAYS_UNPACKED", 1 << 16)
    pl.select(user=pl.repeat(1, 10_000_000), item=pl.repeat(2, 10_000_000)).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(ValueError, match=r"must have at most 200 rows for each byte, got 10000000 in \d+ bytes"):
        ltocf.load_dataset(tmp_path / "log.parquet")


def test_a_header_that_claims_a_trillion_numbers_takes_no_memory(tmp_path: Path, record: Record) -> None:
    """In safetensors and in the arrays of a store; and in Parquet, more rows than it has."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 64)
    with bounded(200), pytest.raises(ValueError, match="not a safetensors file, or a damaged one"):
        read_arrays(tmp_path / "a.safetensors")

    lying = io.BytesIO()
    np.lib.format.write_array_header_1_0(lying, {"descr": "<i8", "fortran_order": False, "shape": (10**12,)})
    READERS["store-pairs"].seeds()
    with bounded(200):
        found = refused(READERS["store-pairs"], lying.getvalue() + b"\0" * 80, tmp_path)
    assert found is not None
    assert "users.npy is damaged" in found

    good = READERS["parquet"].seeds()[0]
    n_rows = len(pl.read_parquet(io.BytesIO(good)))
    place = good.rindex(bytes([2 * n_rows]))  # in the footer, as a zigzag number
    with bounded(600):
        found = refused(READERS["parquet"], good[:place] + bytes([0x7E]) + good[place + 1 :], tmp_path)
    record("bounds", {"headers": 3, "bombs": 6, "memory_megabytes": 600})


@pytest.mark.parametrize("name", OPTIONS)
def test_a_model_file_with_a_huge_option_is_read_or_refused(name: str, full: bool, tmp_path: Path) -> None:
    """Every integer option of every model at its limit and beyond, within bounded memory and time."""
    arrays, metadata = parts_of(READERS[f"model-{name}"].seeds()[0])
    for option, value in ltocf.MODELS[name].options().items():
        if type(value) is not int:
            continue
        limit = LARGEST.get(option, LARGEST_OPTION)
        for asked in (limit, LARGEST_OPTION, 2**63, -1) if full else (limit,):
            made = sealed(arrays, metadata | {"options": metadata["options"] | {option: asked}})
            with bounded(1500, seconds=60):
                said = refused(Reader(list, _load), made, tmp_path)
            assert said is None or "cannot be used as a model file" in said


def _load(content: bytes, folder: Path) -> object:
    (folder / "model.safetensors").write_bytes(content)
    return TrainedModel.load(folder / "model.safetensors").snapshot.popular(1)


@pytest.mark.parametrize("option", LARGEST)
def test_a_huge_setting_is_refused_before_a_folder_is_made(option: str, tmp_path: Path) -> None:
    name = next(name for name in ltocf.MODELS if option in ltocf.MODELS[name].options())
    with bounded(500), pytest.raises(ValueError, match=f"`{option}` must be <= {LARGEST[option]}, got 1000000000000"):
        ltocf.train([(0, 0), (1, 1)], tmp_path / "run", model=name, show_progress=False, **{option: 10**12})
    assert not (tmp_path / "run").exists()
