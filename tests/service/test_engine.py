"""An engine exchanges its model while it answers, refuses what is damaged, and frees what is old."""

from __future__ import annotations

import gc
import logging
import shutil
import weakref
from pathlib import Path

import pytest
import torch

import ltocf
from ltocf.data import Interactions, Names
from ltocf.data.ids import IdMap
from ltocf.files import replacing
from ltocf.graph import BipartiteGraph
from ltocf.models import LightGCN
from ltocf.service.engine import Engine, warm
from ltocf.service.finder import Finder
from ltocf.service.settings import ServiceSettings
from ltocf.service.sharing import SharedSource, map_shared, write_shared
from ltocf.service.sources import FolderSource
from ltocf.serving import Snapshot, UnknownUserError
from service_samples import SETTINGS, VISITS, until

STILL = ServiceSettings(watch_seconds=0)


def replace_model(target: Path, source: Path) -> None:
    with replacing(target / "model.safetensors") as temporary:
        shutil.copy(source / "model.safetensors", temporary)


def test_newer_model_is_put_in_place(copy: Path, newer: Path) -> None:
    engine = Engine(copy, STILL)
    told: list[int] = []
    engine.on_change = lambda engine: told.append(engine.generation)
    before = engine.loaded
    assert not engine.refresh(), "nothing is new"
    with pytest.raises(UnknownUserError):
        engine.loaded.recommend_one(99, 3)
    replace_model(copy, newer)
    assert engine.refresh()
    assert (engine.generation, told) == (2, [2])
    assert engine.loaded.recommend_one(99, 3).generation == 2
    with pytest.raises(UnknownUserError):
        before.recommend_one(99, 3)


def test_old_model_is_freed(copy: Path, newer: Path) -> None:
    engine = Engine(copy, STILL)
    engine.loaded.recommend_one(1, 3)
    old = weakref.ref(engine.snapshot)
    replace_model(copy, newer)
    assert engine.refresh()
    gc.collect()
    assert old() is None


def test_damaged_model_is_refused_once(copy: Path, newer: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(copy, STILL)
    content = bytearray((newer / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    with caplog.at_level(logging.ERROR):
        assert not engine.refresh()
        assert not engine.refresh()
    assert [record.getMessage().count("checksum") for record in caplog.records] == [1]
    assert (engine.refused, engine.generation) == (1, 1)
    assert engine.loaded.recommend_one(1, 3).generation == 1
    replace_model(copy, newer)
    assert engine.refresh(), "a whole file after a damaged one"
    assert engine.generation == 2


def test_folder_that_is_away_for_a_moment(copy: Path) -> None:
    engine = Engine(copy, STILL)
    copy.rename(copy.with_name("away"))
    assert not engine.refresh()
    assert (engine.refused, engine.loaded.recommend_one(1, 1).generation) == (0, 1)


def test_updates_are_followed(copy: Path) -> None:
    follows, stays = Engine(copy, STILL), Engine(copy, ServiceSettings(watch_seconds=0, follow=False))
    second = ltocf.update(copy, [(99, 1), (99, 2)], show_progress=False)
    assert follows.refresh()
    assert not stays.refresh()
    assert second.names.sizes == follows.snapshot.names.sizes
    ltocf.update(copy.with_name("shop-2"), [(100, 1), (100, 2)], show_progress=False)
    assert follows.refresh()
    assert follows.loaded.recommend_one(100, 1).generation == 3
    assert Engine(copy, STILL).loaded.recommend_one(100, 1).generation == 1, "a start begins with the newest"
    assert follows.name == "shop"


def test_strangers_beside_a_run_are_not_followed(copy: Path) -> None:
    ltocf.fit(VISITS, copy.with_name("shop-2"), **SETTINGS)
    (copy.parent / "shop-old").mkdir()
    unfinished = copy.with_name("shop-3")
    unfinished.mkdir()
    (unfinished / "metrics.json").write_text('{"parent": "shop"}')
    assert FolderSource(copy).newest() == copy


def test_link_to_another_run(copy: Path, newer: Path) -> None:
    link = copy.parent / "current"
    link.symlink_to(copy)
    engine = Engine(link, STILL)
    other = copy.parent / "link"
    other.symlink_to(newer)
    other.replace(link)
    assert engine.refresh()
    assert engine.loaded.recommend_one(99, 1).user == 99
    assert engine.name == "current"


def test_watching_ends_with_its_block(copy: Path, newer: Path) -> None:
    engine = Engine(copy, ServiceSettings(watch_seconds=0.01))
    with engine.watching():
        replace_model(copy, newer)
        until(lambda: engine.generation == 2)
    replace_model(copy, newer)
    assert engine.generation == 2


@pytest.mark.parametrize("content", [None, b"no model"])
def test_start_with_nothing_to_serve(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises((FileNotFoundError, ValueError), match=r"finished run|safetensors"):
        Engine(tmp_path, STILL)


def test_model_in_a_shared_file(run: Path, snapshot: Snapshot, tmp_path: Path) -> None:
    warm(snapshot)
    write_shared(snapshot, 7, tmp_path / "shared")
    shared, generation = map_shared(tmp_path / "shared")
    assert (generation, shared.version) == (7, snapshot.version)
    assert shared.recommend([1, 2], k=5).equals(snapshot.recommend([1, 2], k=5))
    assert shared.fold_in([1, 2], k=5).equals(snapshot.fold_in([1, 2], k=5))
    assert shared.explain(1, 2).history.equals(snapshot.explain(1, 2).history)
    shared.counts.zero_()
    assert map_shared(tmp_path / "shared").snapshot.counts.sum() > 0, "what a process changes stays its own"
    assert Engine(run, STILL, SharedSource(tmp_path / "shared")).generation == 7


def test_views_of_one_storage_are_written_once(tmp_path: Path) -> None:
    whole = torch.arange(500_000, dtype=torch.float32)
    counts = whole.view(1000, 500).T[3]
    two = snapshot_of(Interactions.from_pairs([0, 0, 1], [1, 0, 1]), Names.identity(2, 2))
    object.__setattr__(two, "counts", counts)
    object.__setattr__(two, "more", whole)
    write_shared(two, 1, tmp_path / "shared")
    assert (tmp_path / "shared").stat().st_size < 2.2e6
    read = map_shared(tmp_path / "shared").snapshot
    assert torch.equal(read.counts, counts)
    assert read.counts.stride() == counts.stride()


def snapshot_of(log: Interactions, names: Names) -> Snapshot:
    return Snapshot.of("lightgcn", LightGCN(BipartiteGraph.from_interactions(log), dim=2), log, names)


def test_items_that_are_found_first() -> None:
    titles = ("Alien", "The Alien Queen", "Aliens", "Paliens", "Alien\nagain", "Ünder Älien")
    users = [user for item in range(6) for user in range(item + 1)]
    items = [item for item in range(6) for _ in range(item + 1)]
    log = Interactions.from_pairs(users, items)
    names = Names(IdMap.identity(6), IdMap(["a", "b", "alien-3", "d", "e", "f"]), titles)
    finder = Finder(snapshot_of(log, names))
    assert finder.find("alien", 9) == [4, 2, 0, 5, 1, 3], "beginnings, the most popular first; words; the rest"
    assert finder.find("ALIEN", 2) == [4, 2]
    assert finder.find("alien-3", 9) == [2]
    assert finder.find("\n", 2) == [5, 4], "nothing typed: the most popular"
    assert finder.find("\x1f", 2) == [5, 4]
    assert finder.find("nowhere", 9) == []
