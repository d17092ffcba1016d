"""What a snapshot holds: a model that is ready to answer, and everything that its answers look up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import scipy.sparse as sp
import torch

from ltocf.data.display import Shown
from ltocf.data.histories import Histories
from ltocf.data.ids import UNKNOWN
from ltocf.data.interactions import Interactions, read_only
from ltocf.data.names import Names
from ltocf.evaluation.top_k import Scorer
from ltocf.models import LinearModel, Recommender, ScoreMap, SummedModel
from ltocf.models.user_map import ItemNumbers
from ltocf.models.user_steps import UserSteps
from ltocf.serving.abilities import HistoryScore, HistoryVectors, history_score, score_map, start_vectors, vectors
from ltocf.serving.errors import RequestError, UnknownUserError
from ltocf.serving.lists import Id
from ltocf.serving.model_file import read_version
from ltocf.serving.ranking import Source
from ltocf.serving.similar import membership
from ltocf.shapes import ItemEmbeddings, PairTimestamps, UserEmbeddings

MODEL_FILE = "model.safetensors"
H = TypeVar("H", bound="Held")


@dataclass(frozen=True, eq=False, repr=False)
class Held(Shown):
    """A trained model that is ready to answer: final embeddings are computed, histories can be looked up.

    Args:
        name: the model's key in `MODELS`.
        version: SHA-256 of the model file; empty for a model that was not read from one.
        model: the model that ``scorer`` belongs to.
        scorer: what ranks.
        histories: what each user touched in training.
        names: the caller's ids, titles and attributes.
        hidden: what is left out of lists: the histories and what else counts as seen, such as items rated low.
        timestamps: time of each entry of ``histories``, or None.
    """

    name: str
    version: str
    model: Recommender
    scorer: Scorer
    histories: Histories
    names: Names
    hidden: Histories
    timestamps: PairTimestamps | None = None

    @classmethod
    def open(cls: type[H], path: str | Path, device: str = "cpu") -> H:
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
        return cls.of(parts.name, parts.model.to(device), parts.seen, parts.names, version, also_seen=parts.also_seen)

    @classmethod
    def of(
        cls: type[H],
        name: str,
        model: Recommender,
        seen: Interactions,
        names: Names,
        version: str = "",
        *,
        also_seen: Interactions | None = None,
    ) -> H:
        """The snapshot of a model in memory."""
        for ids in (names.user_ids, names.item_ids):
            ids.encode(ids.ids[:1])  # the first look-up builds the table
        histories = Histories.of(seen)
        hidden = histories if also_seen is None else Histories.of(_united(seen, also_seen))
        return cls(name, version, model, model.scorer(), histories, names, hidden, seen.timestamps)

    def facts(self) -> dict[str, object]:
        n_users, n_items = self.names.sizes
        return {"model": self.name, "version": self.version[:12], "n_users": n_users, "n_items": n_items}

    @cached_property
    def source(self) -> Source:
        """The source of the lists of training users."""
        return Source(self.scorer, self.histories, self.hidden, self.counts)

    @cached_property
    def counts(self) -> ItemNumbers:
        """How many users touched each item."""
        return torch.bincount(self.histories.items, minlength=self.histories.n_items).float()

    @cached_property
    def item_vectors(self) -> ItemEmbeddings:
        """Vectors of the items. Raises ValueError if the model has none."""
        return vectors(self.name, self.model).final_items()

    @cached_property
    def user_vectors(self) -> UserEmbeddings:
        """Vectors of the users. Raises ValueError if the model has none."""
        return vectors(self.name, self.model).final_users()

    @cached_property
    def items_of_users(self) -> sp.csr_matrix:
        """The histories as a matrix of 0 and 1."""
        return membership(self.histories)

    @cached_property
    def users_of_items(self) -> sp.csr_matrix:
        """The transpose of `items_of_users`."""
        return self.items_of_users.T.tocsr()

    @cached_property
    def score_map(self) -> ScoreMap:
        """The sums that the model's scores are. Raises ValueError if they are not sums over a history."""
        return score_map(self.name, self.model)

    @cached_property
    def history_score(self) -> HistoryScore:
        """Scores of any histories. Raises ValueError if the model cannot score a history."""
        linear = self.score_map if isinstance(self.model, (SummedModel, LinearModel)) else None
        return history_score(self.name, self.model, linear)

    @cached_property
    def user_steps(self) -> tuple[HistoryVectors, UserSteps]:
        """The vectors that steps start from, and the steps. Raises ValueError if the model cannot take any."""
        linear = self.model.user_map() if isinstance(self.model, LinearModel) else None
        return start_vectors(self.name, self.model, linear), vectors(self.name, self.model).user_steps()

    def stepped_score(self, n_steps: int) -> HistoryScore:
        """Scores of histories after steps. Raises ValueError if ``n_steps`` < 0 or the model cannot take any."""
        if n_steps < 0:
            raise ValueError(f"`steps` must be >= 0, got {n_steps}")
        start, steps = self.user_steps
        return lambda histories, users: steps.scores(start(histories, users), histories, n_steps)

    def index_of_user(self, user: Id) -> int:
        """The user's index. Raises UnknownUserError if they were not in training."""
        index = self.names.user_ids.encode_one(user)
        if index == UNKNOWN:
            rule, message = "the user was not in training", f"user {user!r} was not in training"
            raise UnknownUserError(rule, repr(user), message=message)
        return index

    def index_with_history(self, user: Id) -> int:
        """The user's index. Raises UnknownUserError if they were not in training, or have no history there."""
        index = self.index_of_user(user)
        if not len(self.history_of(index).items):
            rule, message = "the user has no history in training", f"user {user!r} has no history in training"
            raise UnknownUserError(rule, repr(user), message=message)
        return index

    def history_of(self, user: int) -> Histories:
        """The history of one index, as one row."""
        return self.histories.rows(torch.tensor([user]))

    def length_of_list(self, k: int, n_candidates: int | None = None) -> int:
        """``k``, at most the number of candidates, by default of all items. Raises ValueError for ``k`` < 1."""
        if k < 1:
            raise RequestError("`k` must be >= 1", str(k))
        return min(k, self.histories.n_items if n_candidates is None else n_candidates)


def _united(seen: Interactions, also_seen: Interactions) -> Interactions:
    users, items = np.divmod(np.union1d(seen.keys, also_seen.keys), max(1, seen.n_items))
    return Interactions(read_only(users), read_only(items), seen.n_users, seen.n_items)
