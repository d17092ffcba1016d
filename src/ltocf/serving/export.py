"""Vectors of users and items for other programs: their inner products rank as the package does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import polars as pl
import torch

from ltocf.data.display import Shown
from ltocf.files import making_file, making_folder
from ltocf.serving import indexes
from ltocf.serving.abilities import VectorScorer, those_with_vectors
from ltocf.serving.snapshot import Snapshot
from ltocf.serving.vectors import Vectors

MEASURED_USERS = 200
FOLDER = ""


class Target(NamedTuple):
    """A way to export: the ending of its file, or `FOLDER`; how it is written; and how it is searched."""

    ending: str
    write: Callable[[Vectors, Path], None]
    search: Callable[[Path], indexes.Search]


@dataclass(frozen=True, eq=False, repr=False)
class Exported(Shown):
    """What was written, and how many items of the package's lists a search in it finds.

    Args:
        target: where to.
        path: the file or folder.
        n_users: users with a vector: those who have a history.
        n_items: items, all of them.
        dim: numbers in a vector.
        recall: share of the package's lists of 10 that the search found, seen items left out afterwards.
        measured: number of users it was measured with.
    """

    target: str
    path: Path
    n_users: int
    n_items: int
    dim: int
    recall: float
    measured: int

    def facts(self) -> dict[str, object]:
        sizes: dict[str, object] = {"n_users": self.n_users, "n_items": self.n_items, "dim": self.dim}
        return {"target": self.target, "path": str(self.path)} | sizes | {"recall": round(self.recall, 4)}


def vectors_of(snapshot: Snapshot) -> Vectors:
    """The vectors whose inner product is the score, cosine and popularity folded in.

    Users without a history are left out: their vectors are noise.

    Raises:
        ValueError: the model's scores are not inner products; the error names the models whose are.

    Example:
        >>> from ltocf.data import Interactions, Names
        >>> from ltocf.graph import BipartiteGraph
        >>> from ltocf.models import MF
        >>> log = Interactions.from_pairs([0, 2], [0, 1])
        >>> model = MF(BipartiteGraph.from_interactions(log), dim=3, popularity=0.5)
        >>> vectors = vectors_of(Snapshot.of("mf", model, log, Names.identity(3, 2)))
        >>> vectors.user_ids.to_list(), vectors.items.shape
        ([0, 2], (2, 4))
    """
    scorer = snapshot.scorer
    if not isinstance(scorer, VectorScorer):
        raise ValueError(
            f"`{snapshot.name}` has no vectors whose inner product is the score; {those_with_vectors()} have"
        )
    rows = (snapshot.histories.lengths > 0).nonzero().squeeze(1)
    users, items = (side.detach().float().cpu().numpy() for side in (scorer.user_embeddings, scorer.item_embeddings))
    names = snapshot.names
    titles = None if names.titles is None else pl.Series(names.titles, dtype=pl.String)
    return Vectors(names.user_ids.ids[rows.numpy()], users[rows.numpy()], names.item_ids.ids, items, titles)


def export(snapshot: Snapshot, target: str, path: str | Path) -> Exported:
    """Write all vectors, whole or not at all, then search them and compare with the package's own lists.

    Args:
        snapshot: what is exported.
        target: a key of `TARGETS`.
        path: a file that ends as the target asks, or a new folder.

    Raises:
        ValueError: an unknown target, a wrong ending, or a model without vectors.
        FileExistsError: the folder is there already.
        ImportError: the ``export`` extra is not installed.
    """
    if target not in TARGETS:
        raise ValueError(f"`target` must be one of {', '.join(TARGETS)}, got {target!r}")
    path, (ending, write, search) = Path(path), TARGETS[target]
    if ending and path.suffix != ending:
        raise ValueError(f"the file for {target} must end in {ending}, got {str(path)!r}")
    vectors = vectors_of(snapshot)
    if ending:
        with making_file(path) as temporary:
            write(vectors, temporary)
    else:
        with making_folder(path) as temporary:
            write(vectors, temporary)
    recall, measured = recall_of(snapshot, vectors, search(path))
    n_items, dim = vectors.items.shape
    return Exported(target, path, len(vectors.users), n_items, dim, recall, measured)


def recall_of(snapshot: Snapshot, vectors: Vectors, search: indexes.Search, k: int = 10) -> tuple[float, int]:
    """The share of the package's lists that a search finds, and for how many users it was measured.

    The search does not know what a user has seen: it is asked for as many items more, and the seen ones are left out.
    """
    k = min(k, len(vectors.item_ids))
    n_users = len(vectors.users)
    measured = range(0, n_users, max(1, n_users // MEASURED_USERS))
    n_hits = n_expected = 0
    for row in measured:
        user = vectors.user_ids[row]
        expected = snapshot.recommend(user, k)["item"].to_list()
        hidden = snapshot.hidden.rows(torch.tensor([snapshot.index_of_user(user)]))
        seen = set(snapshot.names.item_ids.decode(hidden.items.numpy()))
        found = search(vectors.users[row], min(k + len(seen), len(vectors.item_ids)))
        n_hits += len(set(expected) & set([item for item in found if item not in seen][:k]))
        n_expected += len(expected)
    return (n_hits / n_expected if n_expected else 1.0), len(measured)


TARGETS: dict[str, Target] = {
    "parquet": Target(FOLDER, indexes.write_parquet, indexes.search_parquet),
    "numpy": Target(".npz", indexes.write_numpy, indexes.search_numpy),
    "faiss": Target(FOLDER, indexes.write_faiss, indexes.search_faiss),
    "qdrant": Target(FOLDER, indexes.write_qdrant, indexes.search_qdrant),
    "lancedb": Target(FOLDER, indexes.write_lancedb, indexes.search_lancedb),
    "pgvector": Target(".sql", indexes.write_pgvector, indexes.search_pgvector),
}
"""The targets of `export`, by name."""
