"""How much a model file may ask for, and what it contains: the limits, in numbers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from ltocf.data.ids import IdMap
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import MF, MODELS
from ltocf.serving import Snapshot, TrainedModel, model_file
from ltocf.serving.model_arrays import check_ends
from ltocf.serving.model_file import LARGEST_OPTION, METADATA, _built, _SizeLimit
from samples import random_interactions

LOG = random_interactions(6, 8)


@pytest.fixture
def trained() -> TrainedModel:
    names = Names(IdMap([f"u{u}" for u in range(6)]), IdMap(range(8)), ("", "Ran", "", "Up", *"abcd"))
    model = MF(BipartiteGraph.from_interactions(LOG), dim=2)
    return TrainedModel("mf", {"popularity": 0.0, "dim": 2}, model, LOG, names, {"phase": "selection"})


def test_numbers_are_counted_before_they_are_allocated() -> None:
    generator = torch.Generator().manual_seed(0)
    with _SizeLimit(24) as limit:
        torch.zeros(2, 3)
        torch.ones(3, dtype=torch.int64)
        torch.empty((1, 2), device="cpu")
        torch.randn(4, generator=generator)
        torch.rand(2, out=torch.full((2,), 1.0))
        assert limit.left == 24 - 6 - 3 - 2 - 4 - 4
        torch.linspace(0, 1, steps=5)
        assert limit.left == 0
        torch.zeros(0)
        (torch.arange(99) + 1).clone()
        with pytest.raises(ValueError, match="far more numbers than the file holds"):
            torch.zeros(1)
        with pytest.raises(ValueError, match="far more numbers than the file holds"):
            torch.zeros(2**40, 2**20)
    assert torch.zeros(9).tolist() == [0] * 9


def test_a_model_may_allocate_eight_times_what_the_file_holds_and_a_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one number less than MF with 14 nodes and dim 4 allocates, it cannot be built."""
    with _SizeLimit(2**40) as limit:
        MODELS["mf"](BipartiteGraph.from_interactions(LOG), dim=4)
    allocated = 2**40 - limit.left
    assert allocated >= 14 * 4
    held = allocated // 8
    monkeypatch.setattr(model_file, "SPARE_NUMBERS", allocated - 8 * held)
    assert isinstance(_built("mf", {"dim": 4}, LOG, held), MF)
    monkeypatch.setattr(model_file, "SPARE_NUMBERS", allocated - 8 * held - 1)
    with pytest.raises(ValueError, match=r"cannot be made with its options \(they ask for far more"):
        _built("mf", {"dim": 4}, LOG, held)


def test_options_beyond_reason_are_refused() -> None:
    for value in (LARGEST_OPTION + 1, -LARGEST_OPTION - 1):
        with pytest.raises(ValueError, match=f"its option 'dim' is beyond reason, got {value}"):
            _built("mf", {"dim": value}, LOG, 100)
    with pytest.raises(ValueError, match="cannot be made with its options"):
        _built("mf", {"dim": LARGEST_OPTION}, LOG, 100)


def test_an_error_without_a_message_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(model_file, "build_model", fail)
    with pytest.raises(ValueError, match=r"its model 'mf' cannot be made with its options \(MemoryError\(\)\)"):
        _built("mf", {}, LOG, 100)


@pytest.mark.parametrize(
    ("ends", "n_bytes", "right"),
    [
        ([], 0, True),
        ([], 1, False),
        ([0, 0, 3, 3], 3, True),
        ([3], 3, True),
        ([2], 3, False),
        ([2, 1, 3], 3, False),
        ([0, 2, 1, 3], 3, False),
        ([-1, 3], 3, False),
        ([1, 4], 3, False),
    ],
    ids=str,
)
def test_the_ends_of_texts_are_checked(ends: list[int], n_bytes: int, right: bool) -> None:
    if right:
        check_ends("titles", np.array(ends, np.int64), n_bytes)
        return
    with pytest.raises(ValueError, match=f"'titles.ends' must ascend to the {n_bytes} bytes of 'titles.bytes'"):
        check_ends("titles", np.array(ends, np.int64), n_bytes)


def test_the_content_of_a_file(trained: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    trained.save(str(path))
    with safe_open(path, "np") as file:
        metadata = file.metadata()
    assert list(metadata) == [METADATA] == ["ltocf"]
    content = json.loads(metadata[METADATA])
    assert metadata[METADATA] == json.dumps(content, sort_keys=True)
    assert content.pop("checksum") == checksum(load_file(path), content)
    options: dict[str, Any] = {"popularity": 0.0, "dim": 2}
    assert content == {
        "format": "ltocf-model-2",
        "model": "mf",
        "options": options,
        "notes": {"phase": "selection"},
    }
    loaded = TrainedModel.load(str(path))
    assert (loaded.name, loaded.options, loaded.notes) == ("mf", options, {"phase": "selection"})
    assert (loaded.names.titles, loaded.seen.keys.tolist()) == (trained.titles, LOG.keys.tolist())
    assert not loaded.model.training
    assert Snapshot.open(path).version == hashlib.sha256(path.read_bytes()).hexdigest()


def checksum(arrays: dict[str, np.ndarray], content: dict[str, Any]) -> str:
    """The checksum of this format as documented, computed on its own."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    return digest.hexdigest()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": "ltocf-model-1"}, "it does not have the format ltocf-model-2 or ltocf-model-1"),
        ({"format": None}, "it does not have the format ltocf-model-2 or ltocf-model-1"),
        ({"model": 3}, "its metadata must have 'model' as a str, got 3"),
        ({"options": []}, r"its metadata must have 'options' as a dict, got \[\]"),
        ({"notes": "x"}, "its metadata must have 'notes' as a dict, got 'x'"),
        ({"notes": {}}, "its content is not what was written: the checksum differs"),
        ({"checksum": None}, "its content is not what was written: the checksum differs"),
    ],
    ids=str,
)
def test_wrong_metadata_of_this_format_are_refused(
    changed: dict[str, Any], message: str, trained: TrainedModel, tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    trained.save(path)
    with safe_open(path, "np") as file:
        content = json.loads(file.metadata()[METADATA])
    save_file(load_file(path), path, {METADATA: json.dumps(content | changed)})
    with pytest.raises(ValueError, match=message):
        TrainedModel.load(path)


def test_metadata_that_are_no_table_are_refused(trained: TrainedModel, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    trained.save(path)
    for text, message in (("[1]", "does not have the format"), ("{", "its metadata is not JSON")):
        save_file(load_file(path), path, {METADATA: text})
        with pytest.raises(ValueError, match=message):
            TrainedModel.load(path)


def test_the_facts_and_names_of_a_model(trained: TrainedModel) -> None:
    facts = {"model": "mf", "dataset": "", "n_users": 6, "n_items": 8, "n_pairs": len(LOG)}
    assert trained.facts() == facts
    assert (trained.user_ids, trained.item_ids) == (trained.names.user_ids, trained.names.item_ids)
    for given in ({"exclude_seen": False}, {"exclude_seen": True}, {}):
        assert trained.recommend("u1", 8, **given).equals(trained.snapshot.recommend("u1", 8, **given))
    assert trained.recommend("x", 2, unknown="popular").equals(trained.snapshot.recommend("x", 2, unknown="popular"))
    assert len(trained.recommend("u1", exclude_seen=False, k=8)) == 8
