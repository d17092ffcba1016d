"""Exported vectors give the lists of the package, in the real libraries."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from ltocf.cli import main
from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.serving import Snapshot, TrainedModel
from ltocf.serving.export import MEASURED_USERS, TARGETS, export, recall_of, vectors_of
from ltocf.serving.indexes import _escaped, _unescaped
from samples import random_interactions

LOG = random_interactions(20, 30)
WIDER = Interactions.from_pairs(LOG.users, LOG.items, 22, 30)
"""The last two users have no history."""
TITLES = tuple(f"Tab\t{item} \\ \n new" for item in range(30))
STRINGS = Names(IdMap([f"u{user}" for user in range(22)]), IdMap([f"tab\t{item}\\n" for item in range(30)]), TITLES)
INTEGERS = Names(IdMap(range(100, 122)), IdMap(range(10, 40)))
OPTIONS = {
    "ltocf": {"dim": 8, "ranking": "cosine", "popularity": 0.5},
    "mf": {"dim": 8},
    "ngcf": {"dim": 8, "popularity": 0.7},
}


def snapshot_of(name: str, names: Names = STRINGS) -> Snapshot:
    model = build_model(name, BipartiteGraph.from_interactions(WIDER), OPTIONS.get(name, {}))
    model.prepare()
    return Snapshot.of(name, model, WIDER, names)


def assert_same_lists(snapshot: Snapshot, vectors: Any, search: Any) -> None:
    for place in range(0, 20, 3):
        user = vectors.user_ids[place]
        seen = set(snapshot.history(user)["item"])
        found = [item for item in search(vectors.users[place], 10 + len(seen)) if item not in seen][:10]
        assert found == snapshot.recommend(user, 10)["item"].to_list()


@pytest.mark.parametrize("names", [STRINGS, INTEGERS], ids=["strings", "integers"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning")  # qdrant_client leaves one; Python 3.13 tells
def test_the_search_of_the_real_library_gives_the_same_lists(target: str, names: Names, tmp_path: Path) -> None:
    snapshot = snapshot_of("ltocf", names)
    done = export(snapshot, target, tmp_path / f"out{TARGETS[target].ending}")
    assert (done.recall, done.measured) == (1.0, 20)
    assert (done.n_users, done.n_items, done.dim) == (20, 30, 9)
    if target != "qdrant":  # a local Qdrant is open once
        assert_same_lists(snapshot, vectors_of(snapshot), TARGETS[target].search(done.path))
    assert [path.name for path in tmp_path.iterdir()] == [done.path.name]


@pytest.mark.parametrize("name", OPTIONS)
def test_products_of_the_vectors_are_the_scores(name: str) -> None:
    snapshot = snapshot_of(name)
    vectors = vectors_of(snapshot)
    with torch.no_grad():
        scores = snapshot.model.eval().scores(torch.arange(20)).numpy()
    np.testing.assert_allclose(vectors.users @ vectors.items.T, scores, rtol=1e-4, atol=1e-5)
    assert vectors.user_ids.to_list() == STRINGS.user_ids.ids[:20].to_list(), "the others have no history"


def test_files_can_be_read_without_the_package(tmp_path: Path) -> None:
    snapshot = snapshot_of("mf")
    vectors = vectors_of(snapshot)
    export(snapshot, "parquet", tmp_path / "new" / "vectors")
    items = pl.read_parquet(tmp_path / "new" / "vectors" / "items.parquet")
    assert items.columns == ["id", "title", "vector"]
    assert items.schema["vector"] == pl.Array(pl.Float32, 8)
    assert (items["id"].to_list(), items["title"].to_list()) == (STRINGS.item_ids.ids.to_list(), list(TITLES))
    np.testing.assert_array_equal(items["vector"].to_numpy(), vectors.items)
    export(snapshot, "numpy", tmp_path / "vectors.npz")
    with np.load(tmp_path / "vectors.npz", allow_pickle=False) as arrays:
        assert arrays["user_ids"].tolist() == vectors.user_ids.to_list()
        np.testing.assert_array_equal(arrays["users"], vectors.users)


def test_a_script_for_postgresql_has_a_line_for_each_vector(tmp_path: Path) -> None:
    export(snapshot_of("mf", INTEGERS), "pgvector", tmp_path / "vectors.sql")
    lines = (tmp_path / "vectors.sql").read_text().split("\n")
    assert "CREATE TABLE users (id bigint PRIMARY KEY, vector vector(8));" in lines
    assert len(lines[lines.index("COPY users (id, vector) FROM stdin;") : lines.index("\\.")]) == 21
    export(snapshot_of("mf"), "pgvector", tmp_path / "texts.sql")
    text = (tmp_path / "texts.sql").read_text()
    assert "CREATE TABLE items (id text PRIMARY KEY, title text, vector vector(8));" in text
    assert "\ntab\\t3\\\\n\tTab\\t3 \\\\ \\n new\t[" in text


@pytest.mark.parametrize("text", ["", "a\tb", "\\n", "\n\\\t\r", "\\\\", "end\\"])
def test_escaped_texts_come_back(text: str) -> None:
    assert _unescaped(_escaped(text)) == text
    assert not set(_escaped(text)) & set("\t\n\r")


def test_recall_counts_what_a_search_misses() -> None:
    snapshot = snapshot_of("mf")
    vectors = vectors_of(snapshot)
    best = {user: snapshot.recommend(user, 10)["item"].to_list() for user in vectors.user_ids}
    rows = {vectors.users[place].tobytes(): best[user] for place, user in enumerate(vectors.user_ids)}
    assert recall_of(snapshot, vectors, lambda query, k: rows[query.tobytes()][:5]) == (0.5, 20)
    assert recall_of(snapshot, vectors, lambda query, k: []) == (0.0, 20)
    assert MEASURED_USERS == 200


def test_impossible_exports_are_refused_and_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = snapshot_of("mf")
    for call, error, message in (
        (lambda: export(snapshot, "milvus", tmp_path / "x"), ValueError, "`target` must be one of parquet, numpy, fa"),
        (lambda: export(snapshot, "numpy", tmp_path / "x.npy"), ValueError, r"numpy must end in \.npz, got '.*x\.npy'"),
        (lambda: export(snapshot, "parquet", tmp_path), FileExistsError, "exists already; give a new folder"),
        (
            lambda: export(snapshot_of("spectral"), "parquet", tmp_path / "x"),
            ValueError,
            "`spectral` has no vectors whose inner product is the score; ltocf, als, lightgcn, .*mf have",
        ),
    ):
        with pytest.raises(error, match=message):
            call()
    for module in ("faiss", "qdrant_client", "lancedb"):
        monkeypatch.setitem(sys.modules, module, None)
    for target in ("faiss", "qdrant", "lancedb"):
        with pytest.raises(ImportError, match=r"needs the `export` extra: pip install .*\[export\]"):
            export(snapshot, target, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_a_trained_model_and_the_shell_export_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = build_model("mf", BipartiteGraph.from_interactions(WIDER), OPTIONS["mf"])
    trained = TrainedModel("mf", OPTIONS["mf"], model, WIDER, STRINGS)
    done = trained.export(tmp_path / "vectors")
    assert repr(done).startswith("Exported(target='parquet', path=")
    trained.save(tmp_path / "model.safetensors")
    main(["export", str(tmp_path / "model.safetensors"), "--to", "parquet", "--out", str(tmp_path / "again")])
    printed = capsys.readouterr().out
    assert "its search finds 100.00% of the exact lists for 20 users, seen items left out" in printed
    for name in ("users.parquet", "items.parquet"):
        assert pl.read_parquet(tmp_path / "again" / name).equals(pl.read_parquet(tmp_path / "vectors" / name))
