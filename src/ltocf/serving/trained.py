"""A trained model with the ids, titles and histories it was trained on: one file, ready to recommend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from ltocf.data.display import Shown
from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.models import Recommender
from ltocf.serving.choice import Candidates, Condition
from ltocf.serving.export import Exported, export
from ltocf.serving.lists import Id, Ids
from ltocf.serving.model_file import ModelParts, read_model, write_model
from ltocf.serving.snapshot import Snapshot


@dataclass(frozen=True, eq=False, repr=False)
class TrainedModel(Shown):
    """A model, and everything needed to recommend with it.

    Args:
        name: its key in `MODELS`.
        options: its constructor's arguments.
        model: the trained module.
        seen: the pairs it was trained on: its graph, and what is left out of recommendations.
        names: the caller's ids of users and items, and titles if there are any.
        notes: free text about the training, kept with the file.
        also_seen: pairs that are no interactions but count as seen, such as items that were rated low: nobody is
            recommended an item of theirs; or None.

    Raises:
        ValueError: ``also_seen`` is over other users or items than ``seen``.

    Example:
        >>> import tempfile
        >>> from ltocf.graph import BipartiteGraph
        >>> from ltocf.models import LightGCN
        >>> log = Interactions.from_pairs([0, 0, 1, 1], [0, 1, 1, 2])
        >>> model = LightGCN(BipartiteGraph.from_interactions(log), dim=4)
        >>> trained = TrainedModel("lightgcn", {"dim": 4}, model, log, Names.identity(2, 3))
        >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
        >>> trained.save(path)
        >>> TrainedModel.load(path).recommend([0, 1], k=1)["item"].to_list()
        [2, 0]
    """

    name: str
    options: Mapping[str, Any]
    model: Recommender
    seen: Interactions
    names: Names
    notes: Mapping[str, str] = field(default_factory=dict)
    also_seen: Interactions | None = None

    def __post_init__(self) -> None:
        pairs = self.also_seen
        if pairs is not None and (pairs.n_users, pairs.n_items) != (self.seen.n_users, self.seen.n_items):
            raise ValueError(
                f"`also_seen` must be over the {self.seen.n_users} users and {self.seen.n_items} items of `seen`, got "
                f"{pairs.n_users} and {pairs.n_items}"
            )

    @classmethod
    def load(cls, path: str | Path) -> TrainedModel:
        """Read a model file that `save` wrote, of this version or an earlier one.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not a model file of this package, a damaged one, or one of a model that is not registered.
        """
        return cls(*read_model(Path(path)))

    def save(self, path: str | Path) -> None:
        """Write weights, times, ids, titles and histories as one safetensors file, whole or not at all.

        The same model gives the same bytes.

        Raises:
            OSError: the file cannot be written.
        """
        parts = (self.name, dict(self.options), self.model, self.seen, self.names, dict(self.notes), self.also_seen)
        write_model(Path(path), ModelParts(*parts))

    def facts(self) -> dict[str, object]:
        sizes: dict[str, object] = {"n_users": self.seen.n_users, "n_items": self.seen.n_items}
        return {"model": self.name, "dataset": self.notes.get("dataset", "")} | sizes | {"n_pairs": len(self.seen)}

    @property
    def user_ids(self) -> IdMap:
        """The caller's id of each user."""
        return self.names.user_ids

    @property
    def item_ids(self) -> IdMap:
        """The caller's id of each item."""
        return self.names.item_ids

    @property
    def titles(self) -> tuple[str, ...] | None:
        """A readable title of each item, or None."""
        return self.names.titles

    @cached_property
    def snapshot(self) -> Snapshot:
        """The snapshot that answers, made at its first use from the model as it is then."""
        return Snapshot.of(self.name, self.model, self.seen, self.names, also_seen=self.also_seen)

    def recommend(
        self,
        users: Ids,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        unknown: str = "error",
        only: Ids | None = None,
        exclude: Ids | None = None,
        where: Condition | None = None,
        candidates: Candidates | None = None,
    ) -> pl.DataFrame:
        """The ``k`` best items of each user; all arguments, columns and errors are those of `Snapshot.recommend`.

        All other answers come from `snapshot`.
        """
        return self.snapshot.recommend(
            users,
            k,
            exclude_seen=exclude_seen,
            unknown=unknown,
            only=only,
            exclude=exclude,
            where=where,
            candidates=candidates,
        )

    def export(self, path: str | Path, to: str = "parquet") -> Exported:
        """Write the vectors of users and items with their ids for other programs; see `ltocf.serving.export`.

        Args:
            path: a new folder; for numpy an .npz file, for pgvector an .sql file.
            to: ``parquet``, ``numpy``, ``faiss``, ``qdrant``, ``lancedb`` or ``pgvector``.

        Returns:
            Sizes, and the share of the package's lists that a search in the written vectors finds.

        Raises:
            ValueError: an unknown target, a wrong ending, or a model whose scores are not inner products.
            FileExistsError: the folder is there already.
            ImportError: the ``export`` extra is not installed.
        """
        return export(self.snapshot, to, path)

    def history(self, user: Id) -> pl.DataFrame:
        """What a user touched in training: columns item and, if there are any, title.

        Raises:
            UnknownUserError: the user was not in training.
        """
        return self.snapshot.history(user)
