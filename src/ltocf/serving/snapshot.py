"""What answers: a trained model ready for any number of threads, at the cost of what is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch.nn.functional import normalize

from ltocf.data.display import Shown
from ltocf.data.histories import Histories
from ltocf.data.ids import UNKNOWN
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.evaluation.top_k import Ranked, Scorer, rank, top_k
from ltocf.models import LinearModel, Recommender, UserMap
from ltocf.models.user_map import ItemNumbers
from ltocf.serving.abilities import HistoryScorer, history_score, item_vectors, user_map
from ltocf.serving.explain import Explanation
from ltocf.serving.lists import (
    Asked,
    GivenHistories,
    Id,
    UnknownUserError,
    allowed_items,
    histories_of,
    item_columns,
    known_items,
    list_frame,
    listed,
    merged,
    some,
    user_column,
)
from ltocf.serving.model_file import read_version
from ltocf.shapes import ItemEmbeddings, Scores

MODEL_FILE = "model.safetensors"
UNKNOWN_USERS = ("error", "popular")
SIMILARITIES = ("cosine", "inner_product")


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot(Shown):
    """A trained model as it stands, warm: final embeddings are computed, histories can be looked up.

    Nothing in it changes, so threads share it, and a server exchanges one reference to serve a newer one. An answer
    costs what was asked for: nothing is proportional to the number of training pairs.

    Args:
        name: the model's key in `MODELS`.
        version: SHA-256 of the model file; empty for a model that was not read from one.
        model: the model that ``scorer`` belongs to.
        scorer: what ranks.
        histories: what each user touched in training: what is left out of lists.
        names: the caller's ids and titles.

    Example:
        >>> from ltocf.graph import BipartiteGraph
        >>> from ltocf.models import LightGCN
        >>> log = Interactions.from_pairs([0, 0, 1, 1], [0, 1, 1, 2])
        >>> model = LightGCN(BipartiteGraph.from_interactions(log), dim=4)
        >>> snapshot = Snapshot.of("lightgcn", model, log, Names.identity(2, 3))
        >>> snapshot
        Snapshot(model='lightgcn', version='', n_users=2, n_items=3)
        >>> snapshot.recommend([0, 1], k=1)["item"].to_list()
        [2, 0]
    """

    name: str
    version: str
    model: Recommender
    scorer: Scorer
    histories: Histories
    names: Names

    @classmethod
    def open(cls, path: str | Path, device: str = "cpu") -> Snapshot:
        """The model of a finished run's folder, or of a model file, on a device.

        Raises:
            FileNotFoundError: no such file, or a run that is not finished.
            ValueError: not a model file, or a damaged one.
        """
        path = Path(path)
        if path.is_dir():
            if not (path / MODEL_FILE).exists():
                raise FileNotFoundError(
                    f"{path} holds no finished run (no {MODEL_FILE}); "
                    f"`ltocf train --resume {path}` continues one that was interrupted"
                )
            path = path / MODEL_FILE
        parts, version = read_version(path)
        return cls.of(parts.name, parts.model.to(device), parts.seen, parts.names, version)

    @classmethod
    def of(cls, name: str, model: Recommender, seen: Interactions, names: Names, version: str = "") -> Snapshot:
        """The snapshot of a model in memory."""
        for ids in (names.user_ids, names.item_ids):
            ids.encode(ids.ids[:1])  # the first look-up makes the table
        return cls(name, version, model, model.scorer(), Histories.of(seen), names)

    def facts(self) -> dict[str, object]:
        n_users, n_items = self.names.sizes
        return {"model": self.name, "version": self.version[:12], "n_users": n_users, "n_items": n_items}

    def recommend(
        self,
        users: Asked,
        k: int = 10,
        *,
        exclude_seen: bool = True,
        unknown: str = "error",
        allow: Asked | None = None,
        deny: Asked | None = None,
    ) -> pl.DataFrame:
        """The ``k`` best items of each user: columns user, rank, item, score and, if there are any, title.

        Args:
            users: one id or many, as in the data.
            k: items per user, in 1..n_items; fewer come back where a user has fewer items left.
            exclude_seen: leave out what the user touched in training.
            unknown: what to do with a user who was not in training: ``error``, or ``popular``, the most popular items
                with the number of users who touched them as score.
            allow: the only items that may be listed; ids that were not in training are ignored.
            deny: items that may not be listed.

        Raises:
            UnknownUserError: a user is unknown and ``unknown`` is ``error``; the first few are named.
            UnknownItemError: no item of ``allow`` was in training.
            ValueError: ``k`` is not in 1..n_items, or ``unknown`` is neither word.
        """
        self._check_k(k)
        if unknown not in UNKNOWN_USERS:
            raise ValueError(f"`unknown` must be one of {', '.join(UNKNOWN_USERS)}, got {unknown!r}")
        asked = listed(users)
        indices = self.names.user_ids.encode(asked)
        known = torch.from_numpy(indices != UNKNOWN)
        if unknown == "error" and not known.all():
            missing = [user for user, is_known in zip(asked, known.tolist(), strict=True) if not is_known]
            raise UnknownUserError(
                f"{len(missing)} of {len(asked)} users were not in training: {some(missing)}; "
                'ask for `unknown="popular"` to give them the most popular items'
            )
        allowed = allowed_items(self.names, allow, deny)
        seen = self.histories if exclude_seen else None
        ranked = rank(self.scorer, torch.from_numpy(indices)[known], k, seen=seen, allowed=allowed)
        if not known.all():
            counts = self._counts if allowed is None else self._counts.masked_fill(~allowed, -torch.inf)
            scores, items = top_k(counts[None], k)
            ranked = merged(ranked, known, Ranked(items, scores))
        return list_frame(self.names, user_column(self.names.user_ids, asked, indices), ranked)

    def recommend_all(
        self,
        k: int = 10,
        *,
        rows: int = 4096,
        exclude_seen: bool = True,
        allow: Asked | None = None,
        deny: Asked | None = None,
    ) -> Iterator[pl.DataFrame]:
        """The ``k`` best items of every user of training, in frames of ``rows`` users: memory for one frame at a time.

        Args:
            k: items per user, in 1..n_items.
            rows: users in a frame.
            exclude_seen, allow, deny: as for `recommend`.

        Raises:
            UnknownItemError: no item of ``allow`` was in training.
            ValueError: ``k`` is not in 1..n_items, or ``rows`` < 1.
        """
        self._check_k(k)
        if rows < 1:
            raise ValueError(f"`rows` must be >= 1, got {rows}")
        allowed = allowed_items(self.names, allow, deny)
        seen = self.histories if exclude_seen else None

        def frames() -> Iterator[pl.DataFrame]:
            for start in range(0, len(self.names.user_ids), rows):
                ids = self.names.user_ids.ids[start : start + rows]
                users = torch.arange(start, start + len(ids))
                yield list_frame(self.names, ids, rank(self.scorer, users, k, seen=seen, allowed=allowed))

        return frames()

    def history(self, user: Id) -> pl.DataFrame:
        """What a user touched in training: columns item and, if there are any, title.

        Raises:
            UnknownUserError: the user was not in training.
        """
        return pl.DataFrame(item_columns(self.names, self._history_of(self._user(user)).items.numpy()))

    def similar_items(self, item: Id, k: int = 10, *, by: str = "cosine") -> pl.DataFrame:
        """The ``k`` items whose vectors are nearest to that of ``item``: columns rank, item, score, and title if any.

        Args:
            item: the item's id.
            k: how many, in 1..n_items - 1.
            by: ``cosine``, or ``inner_product``, which favours popular items. An item's popularity itself, where the
                model adds one, does not count.

        Raises:
            UnknownItemError: the item was not in training.
            ValueError: the model has no item vectors (the error names those that have), ``k`` out of range or an
                unknown similarity.
        """
        if by not in SIMILARITIES:
            raise ValueError(f"`by` must be one of {', '.join(SIMILARITIES)}, got {by!r}")
        index, n_others = int(known_items(self.names, [item])[0]), len(self.names.item_ids) - 1
        if not 1 <= k <= n_others:
            raise ValueError(f"`k` must be in 1..{n_others} (the number of other items), got {k}")
        vectors = self._item_vectors
        with torch.inference_mode():
            target = vectors[index]
            scores = (normalize(vectors) @ normalize(target, dim=0)) if by == "cosine" else vectors @ target
            scores[index] = -torch.inf
            found, items = top_k(scores[None], k)
        columns = item_columns(self.names, items[0].cpu().numpy())
        ranked = {"rank": np.arange(1, k + 1), "item": columns.pop("item"), "score": found[0].float().cpu().numpy()}
        return pl.DataFrame(ranked | columns)

    def fold_in(self, histories: GivenHistories, k: int = 10, *, exclude_seen: bool = True) -> pl.DataFrame:
        """The ``k`` best items for users who were not in training, from what they touched. Nothing is trained.

        Args:
            histories: the items of each user, by a name for the user, or one list of items after the other; or
                `Histories` of item indices.
            k: items per user, in 1..n_items.
            exclude_seen: leave out the items of the history.

        Returns:
            The columns of `recommend`; ``user`` is the name, or the place among the lists.

        Raises:
            UnknownItemError: an item was not in training.
            ValueError: the model has no way from a history to a score (the error names those that have), ``k`` is not
                in 1..n_items, or there is one list of items where a list for each user is expected.
        """
        self._check_k(k)
        users, folded = histories_of(self.names, histories)
        score = self._history_score
        seen = folded if exclude_seen else None
        ranked = rank(HistoryScorer(folded, score), torch.arange(len(folded)), k, seen=seen)
        return list_frame(self.names, pl.Series(users), ranked)

    def explain(self, user: Id, item: Id) -> Explanation:
        """Why ``item`` has its score for ``user``: what each item of their history adds to it.

        Raises:
            UnknownUserError, UnknownItemError: one of them was not in training.
            ValueError: the model's scores are not sums over a history; the error names the models whose are.
        """
        index, target = self._user(user), int(known_items(self.names, [item])[0])
        history = self._history_of(index)
        contributions = self._user_map.contributions(history, target, index)
        return Explanation.of(self.names, index, target, contributions, history.items.tolist())

    @cached_property
    def _counts(self) -> ItemNumbers:
        """How many users touched each item."""
        return torch.bincount(self.histories.items, minlength=self.histories.n_items).float()

    @cached_property
    def _item_vectors(self) -> ItemEmbeddings:
        return item_vectors(self.name, self.model)

    @cached_property
    def _user_map(self) -> UserMap:
        return user_map(self.name, self.model)

    @cached_property
    def _history_score(self) -> Callable[[Histories], Scores]:
        linear = self._user_map if isinstance(self.model, LinearModel) else None
        return history_score(self.name, self.model, linear)

    def _check_k(self, k: int) -> None:
        if not 1 <= k <= self.histories.n_items:
            raise ValueError(f"`k` must be in 1..{self.histories.n_items} (the number of items), got {k}")

    def _user(self, user: Id) -> int:
        index = self.names.user_ids.encode_one(user)
        if index == UNKNOWN:
            raise UnknownUserError(f"user {user!r} was not in training")
        return index

    def _history_of(self, user: int) -> Histories:
        return self.histories.rows(torch.tensor([user]))
