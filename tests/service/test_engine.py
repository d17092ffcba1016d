"""An engine replaces its model while it answers, refuses a damaged one, and frees the old one."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from pathlib import Path

import pytest
import torch

import ltocf
from ltocf.data import Interactions, Names
from ltocf.data.ids import IdMap
from ltocf.graph import BipartiteGraph
from ltocf.models import LightGCN
from ltocf.service.engine import Engine, warm
from ltocf.service.finder import Finder
from ltocf.service.settings import ServiceSettings
from ltocf.service.sharing import SharedSource, map_shared, write_shared
from ltocf.service.sources import FolderSource
from ltocf.serving import Snapshot, UnknownUserError
from service_samples import SETTINGS, VISITS, replace_model, until

UNWATCHED = ServiceSettings(watch_seconds=0)


def test_a_newer_model_replaces_the_old_one(copy: Path, newer: Path) -> None:
    engine = Engine(copy, UNWATCHED)
    reported: list[int] = []
    engine.on_change = lambda engine: reported.append(engine.generation)
    before = engine.loaded
    assert not engine.refresh(), "nothing is new"
    with pytest.raises(UnknownUserError):
        engine.loaded.recommend_one(99, 3)
    replace_model(copy, newer)
    assert engine.refresh()
    assert (engine.generation, reported) == (2, [2])
    assert engine.loaded.recommend_one(99, 3).generation == 2
    with pytest.raises(UnknownUserError):
        before.recommend_one(99, 3)


def test_the_old_model_is_freed(copy: Path, newer: Path) -> None:
    engine = Engine(copy, UNWATCHED)
    engine.loaded.recommend_one(1, 3)
    old = weakref.ref(engine.snapshot)
    replace_model(copy, newer)
    assert engine.refresh()
    gc.collect()
    assert old() is None


def test_a_damaged_model_is_refused_and_logged_once(copy: Path, newer: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = Engine(copy, UNWATCHED)
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
    assert engine.refresh(), "an intact file after a damaged one"
    assert engine.generation == 2


def test_the_model_stays_while_its_folder_is_missing(copy: Path) -> None:
    engine = Engine(copy, UNWATCHED)
    copy.rename(copy.with_name("away"))
    assert not engine.refresh()
    assert (engine.refused, engine.loaded.recommend_one(1, 1).generation) == (0, 1)


def test_updates_are_followed(copy: Path) -> None:
    following, pinned = Engine(copy, UNWATCHED), Engine(copy, ServiceSettings(watch_seconds=0, follow=False))
    updated = ltocf.update(copy, [(99, 1), (99, 2)], show_progress=False)
    assert following.refresh()
    assert not pinned.refresh()
    assert updated.names.sizes == following.snapshot.names.sizes
    ltocf.update(copy.with_name("shop-2"), [(100, 1), (100, 2)], show_progress=False)
    assert following.refresh()
    assert following.loaded.recommend_one(100, 1).generation == 3
    assert Engine(copy, UNWATCHED).loaded.recommend_one(100, 1).generation == 1, "a new engine opens the newest"
    assert following.name == "shop"


def test_other_runs_of_a_similar_name_are_not_followed(copy: Path) -> None:
    ltocf.fit(VISITS, copy.with_name("shop-2"), **SETTINGS)
    (copy.parent / "shop-old").mkdir()
    unfinished = copy.with_name("shop-3")
    unfinished.mkdir()
    (unfinished / "metrics.json").write_text('{"parent": "shop"}')
    assert FolderSource(copy).newest() == copy


def test_a_link_that_is_moved_to_another_run_is_followed(copy: Path, newer: Path) -> None:
    link = copy.parent / "current"
    link.symlink_to(copy)
    engine = Engine(link, UNWATCHED)
    new_link = copy.parent / "link"
    new_link.symlink_to(newer)
    new_link.replace(link)
    assert engine.refresh()
    assert engine.loaded.recommend_one(99, 1).user == 99
    assert engine.name == "current"


def test_watching_ends_with_its_block(copy: Path, newer: Path) -> None:
    engine = Engine(copy, ServiceSettings(watch_seconds=0.01))
    with engine.watching():
        replace_model(copy, newer)
        until(lambda: engine.generation == 2)
    assert f"watch {engine.name}" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("content", "error", "rule"),
    [(None, FileNotFoundError, "finished run"), (b"no model", ValueError, "safetensors")],
    ids=["none", "damaged"],
)
def test_an_engine_needs_a_model(tmp_path: Path, content: bytes | None, error: type[Exception], rule: str) -> None:
    if content is not None:
        (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(error, match=rule):
        Engine(tmp_path, UNWATCHED)


def test_a_model_in_a_shared_file_gives_the_same_answers(run: Path, snapshot: Snapshot, tmp_path: Path) -> None:
    warm(snapshot)
    write_shared(snapshot, 7, tmp_path / "shared")
    shared, generation = map_shared(tmp_path / "shared")
    assert (generation, shared.version) == (7, snapshot.version)
    assert shared.recommend([1, 2], k=5).equals(snapshot.recommend([1, 2], k=5))
    assert shared.fold_in([1, 2], k=5).equals(snapshot.fold_in([1, 2], k=5))
    assert shared.explain(1, 2).history.equals(snapshot.explain(1, 2).history)
    shared.counts.zero_()
    assert map_shared(tmp_path / "shared").snapshot.counts.sum() > 0, "what a process changes stays its own"
    assert Engine(run, UNWATCHED, SharedSource(tmp_path / "shared")).generation == 7


def test_views_of_one_storage_are_written_once(tmp_path: Path) -> None:
    values = torch.arange(500_000, dtype=torch.float32)
    counts = values.view(1000, 500).T[3]
    snapshot = snapshot_of(Interactions.from_pairs([0, 0, 1], [1, 0, 1]), Names.identity(2, 2))
    object.__setattr__(snapshot, "counts", counts)
    object.__setattr__(snapshot, "more", values)
    write_shared(snapshot, 1, tmp_path / "shared")
    assert (tmp_path / "shared").stat().st_size < 2.2e6
    read = map_shared(tmp_path / "shared").snapshot
    assert torch.equal(read.counts, counts)
    assert read.counts.stride() == counts.stride()


def snapshot_of(log: Interactions, names: Names) -> Snapshot:
    return Snapshot.of("lightgcn", LightGCN(BipartiteGraph.from_interactions(log), dim=2), log, names)


def test_the_finder_lists_prefixes_before_words_before_other_matches() -> None:
    titles = ("Alien", "The Alien Queen", "Aliens", "Paliens", "Alien\nagain", "Ünder Älien")
    users = [user for item in range(6) for user in range(item + 1)]
    items = [item for item in range(6) for _ in range(item + 1)]
    log = Interactions.from_pairs(users, items)
    names = Names(IdMap.identity(6), IdMap(["a", "b", "alien-3", "d", "e", "f"]), titles)
    finder = Finder(snapshot_of(log, names))
    assert finder.find("alien", 9) == [4, 2, 0, 5, 1, 3], "prefixes, the most popular first; words; the rest"
    assert finder.find("ALIEN", 2) == [4, 2]
    assert finder.find("alien-3", 9) == [2]
    assert finder.find("\n", 2) == [5, 4], "without a text: the most popular"
    assert finder.find("\x1f", 2) == [5, 4]
    assert finder.find("nowhere", 9) == []
