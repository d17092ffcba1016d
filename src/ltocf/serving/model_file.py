"""A trained model with the ids, titles and histories it was trained on: one file, ready to recommend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ltocf.data.ids import UNKNOWN, IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.data.storage import pack_interactions, pack_names, unpack_interactions, unpack_names
from ltocf.evaluation.top_k import Scorer, rank, top_k
from ltocf.files import read_arrays, replacing
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS, Popularity, Recommender

FORMAT = "ltocf-model-1"


class UnknownUserError(ValueError):
    """Asked for users that the model was not trained on."""


@dataclass(frozen=True)
class TrainedModel:
    """A model, and everything needed to recommend with it.

    Args:
        name: its key in `MODELS`.
        options: its constructor's arguments.
        model: the trained module.
        seen: the pairs it was trained on: its graph, and what is left out of recommendations.
        names: the caller's ids of users and items, and titles if there are any.
        notes: free text about the training, kept with the file.
    """

    name: str
    options: Mapping[str, Any]
    model: Recommender
    seen: Interactions
    names: Names
    notes: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | Path) -> TrainedModel:
        """Read a model file that `save` wrote.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not a model file of this package.
        """
        path = Path(path)
        if not path.exists():
            raise FileNotFoundError(f"no model file at {path}; `ltocf train ... --out DIR` writes one")
        try:
            arrays, metadata = read_arrays(path)
        except SafetensorError as error:
            raise ValueError(f"{path} is not a safetensors file: {error}") from error
        if metadata.get("format") != FORMAT:
            raise ValueError(f"{path} is not an {FORMAT} file, its format is {metadata.get('format')!r}")
        seen = unpack_interactions("seen", arrays)
        options = json.loads(metadata["options"])
        model = MODELS[metadata["model"]](BipartiteGraph.from_interactions(seen), **options)
        weights = {name: arrays[f"weights.{name}"] for name in model.state_dict()}
        model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        notes = json.loads(metadata["notes"])
        return cls(metadata["model"], options, model.eval(), seen, unpack_names(arrays), notes)

    def save(self, path: str | Path) -> None:
        """Write weights, times, ids, titles and histories as one safetensors file, whole or not at all."""
        arrays = {f"weights.{name}": tensor.cpu().numpy() for name, tensor in self.model.state_dict().items()}
        arrays |= pack_interactions("seen", self.seen)
        arrays |= pack_names(self.names)
        metadata = {
            "format": FORMAT,
            "model": self.name,
            "options": json.dumps(dict(self.options)),
            "notes": json.dumps(dict(self.notes)),
        }
        with replacing(Path(path)) as temporary:
            save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, temporary, metadata)

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

    def recommend(
        self,
        users: Sequence[str] | Sequence[int],
        k: int = 10,
        *,
        exclude_seen: bool = True,
        unknown: Literal["error", "popular"] = "error",
    ) -> pl.DataFrame:
        """The ``k`` best items of each user: columns user, rank, item, score and, where there are any, title.

        Args:
            users: the caller's ids.
            k: items per user; fewer come back where a user has fewer unseen items.
            exclude_seen: leave out what the user touched in training.
            unknown: what to do with a user who was not in training: an error, or the most popular items, with the
                number of users who touched them as score.

        Raises:
            UnknownUserError: a user is unknown and ``unknown`` is ``error``; all such users are listed.
            ValueError: ``k`` is not in 1..n_items.
        """
        if not 1 <= k <= self.seen.n_items:
            raise ValueError(f"`k` must be in 1..{self.seen.n_items} (the number of items), got {k}")
        indices = self.user_ids.encode(users)
        known = indices != UNKNOWN
        if unknown == "error" and not known.all():
            missing = [user for user, is_known in zip(users, known, strict=True) if not is_known]
            some = ", ".join(map(repr, missing[:5])) + (", ..." if len(missing) > 5 else "")
            raise UnknownUserError(
                f"{len(missing)} of {len(users)} users were not in training: {some}; "
                'ask for `unknown="popular"` to give them the most popular items'
            )
        items = np.full((len(users), k), UNKNOWN)
        scores = np.zeros((len(users), k))
        if known.any():
            asked = torch.from_numpy(indices[known])
            ranked = rank(self._scorer, asked, k, seen=self.seen if exclude_seen else None)
            items[known], scores[known] = ranked.items.numpy(), ranked.scores.numpy()
        if not known.all():
            counts, popular = top_k(Popularity(self.seen).scores(torch.zeros(1, dtype=torch.int64)), k)
            items[~known], scores[~known] = popular.numpy(), counts.numpy()
        return self._frame(users, items, scores)

    def history(self, user: str | int) -> pl.DataFrame:
        """What a user touched in training: columns item and, where there are any, title."""
        index = self.user_ids.encode(pl.Series([user]))[0]
        if index == UNKNOWN:
            raise UnknownUserError(f"user {user!r} was not in training")
        return self._items(self.seen.items[self.seen.users == index])

    @cached_property
    def _scorer(self) -> Scorer:
        return self.model.scorer()

    def _frame(self, users: Sequence[str] | Sequence[int], items: np.ndarray, scores: np.ndarray) -> pl.DataFrame:
        rows, places = np.nonzero(items != UNKNOWN)
        asked = pl.DataFrame({"user": pl.Series(list(users)).gather(rows), "rank": places + 1})
        found = self._items(items[rows, places]).with_columns(score=pl.Series(scores[rows, places].astype(np.float32)))
        columns = ["user", "rank", "item", "score", *(["title"] if self.titles is not None else [])]
        return asked.hstack(found).select(columns)

    def _items(self, items: np.ndarray) -> pl.DataFrame:
        frame = pl.DataFrame({"item": self.item_ids.decode(items)})
        if self.titles is not None:
            frame = frame.with_columns(title=pl.Series([self.titles[item] for item in items], dtype=pl.String))
        return frame
