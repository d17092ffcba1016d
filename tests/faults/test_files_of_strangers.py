"""A file from a stranger runs no code, and nothing outside its folder is read or written."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import ltocf
from bad_inputs import READERS, finished_run, refused
from damage import bounded
from model_samples import OPTIONS, parts_of, sealed

Record = Callable[[str, dict[str, Any]], None]


class Planted:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.mark),))


@pytest.mark.parametrize("name", READERS)
def test_a_pickle_does_not_run(name: str, tmp_path: Path, record: Record) -> None:
    (tmp_path / "folder").mkdir()
    mark, torch_file = tmp_path / "it-ran", io.BytesIO()
    torch.save({"weights": Planted(mark)}, torch_file)
    for content in (pickle.dumps(Planted(mark)), torch_file.getvalue()):
        with bounded():
            refused(READERS[name], content, tmp_path / "folder")
        assert not mark.exists()
    pickle.loads(pickle.dumps(Planted(mark)))
    assert mark.exists(), "the planted object works when it is unpickled"
    record("files-of-strangers", {"readers": len(READERS), "ran": 0})


@pytest.mark.parametrize(
    "wanted", ["os.system", "../../evil", "ltocf.models", "__import__('os')", "mf/../mf", "", "mf\x00"]
)
def test_the_model_of_a_file_must_be_in_the_registry(wanted: str, tmp_path: Path) -> None:
    before = set(sys.modules)
    arrays, metadata = parts_of(READERS["model-mf"].seeds()[0])
    with pytest.raises(ValueError, match="cannot be used as a model file: `model` must be one of"):
        READERS["model-mf"].read(sealed(arrays, metadata | {"model": wanted}), tmp_path)
    assert not {name for name in set(sys.modules) - before if "evil" in name}


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/b", "..", "\x1b[31m", "x\x00y"])
def test_names_in_a_file_are_not_used_as_paths(name: str, tmp_path: Path) -> None:
    """Notes and tensors with such names are displayed or refused, and nothing is written outside."""
    arrays, metadata = parts_of(READERS["model-mf"].seeds()[0])
    folder = tmp_path / "in" / "there"
    folder.mkdir(parents=True)
    content = sealed(arrays, metadata | {"notes": {"dataset": name, "phase": name, "source": name}})
    (folder / "model.safetensors").write_bytes(content)
    trained = ltocf.load(folder / "model.safetensors")
    assert "\x1b" not in repr(trained)
    if "\x00" not in name:
        ltocf.export_to_hub(folder / "model.safetensors", folder / "hub")
        assert "\x1b" not in (folder / "hub" / "README.md").read_text()
    with pytest.raises(ValueError, match="its weights are not those"):
        READERS["model-mf"].read(sealed(arrays | {f"weights.{name}": arrays["seen.size"]}, metadata), folder)
    outside = {file for file in tmp_path.rglob("*") if folder not in (file, *file.parents) and file != folder.parent}
    assert outside == set()


def test_writing_does_not_follow_links(tmp_path: Path, record: Record) -> None:
    """The files of a run folder are links to files elsewhere, which stay as they are."""
    log = [(f"u{user}", item) for user in range(12) for item in range(15) if (user * 7 + item * 3) % 4]
    settings: dict[str, Any] = {"model": "mf", "dim": 2, "epochs": 2, "select_by": "recall@5", "show_progress": False}
    whole, folder, elsewhere = tmp_path / "whole", tmp_path / "run", tmp_path / "elsewhere"
    ltocf.train(log, whole, **settings)
    shutil.copytree(whole, folder)
    elsewhere.mkdir()
    written = ["metrics.json", "model.safetensors", "model-selection.safetensors", "test-users.safetensors", ".lock"]
    written += ["checkpoint-selection.safetensors", "checkpoint-retraining.safetensors", "history.jsonl"]
    for name in written:
        (folder / name).unlink(missing_ok=True)
        if name != "metrics.json":
            (elsewhere / name).write_text("" if name == "history.jsonl" else "mine")
            (folder / name).symlink_to(elsewhere / name)
    before = {file.name: file.read_bytes() for file in elsewhere.iterdir()}
    for _ in range(4):  # remove what is refused, as its error says
        try:
            ltocf.resume(folder, show_progress=False)
            break
        except (ValueError, OSError) as error:
            named = [name for name in written if name in str(error)] or [".lock"]
            (folder / named[0]).unlink()
    assert (folder / "metrics.json").is_file()
    assert {file.name: file.read_bytes() for file in elsewhere.iterdir()} == before
    record("files-of-strangers-links", {"links": len(written) - 1, "written_through": 0})


def test_replacing_a_run_through_a_link_leaves_the_files_there(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    (tmp_path / "run").symlink_to(tmp_path / "mine")
    with pytest.raises(FileExistsError, match=r"letter\.txt in it does not belong to a run"):
        ltocf.train([(0, 0), (1, 1)], tmp_path / "run", exists="replace", model="mf", dim=2)
    assert (tmp_path / "mine" / "letter.txt").read_text() == "mine"


def test_an_unfinished_store_takes_no_parts_from_elsewhere(tmp_path: Path) -> None:
    from ltocf.scale.ingest import _part, _record

    line = '{"file": "%s", "kinds": [], "found": [], "report": {}}'
    for name in ("../../part-000001.parquet", "/etc/passwd", "x", "part-1.parquet/../y"):
        assert _part(_record(line % name) or {}) is None


def test_every_model_has_a_sample() -> None:
    assert set(OPTIONS) == set(ltocf.MODELS)
    assert finished_run().is_dir()
