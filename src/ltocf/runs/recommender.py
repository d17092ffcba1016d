"""A recommender with scikit-learn's interface, for notebooks: a thin layer over `fit` and the model it returns."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, Unpack

import numpy as np
import torch

from ltocf.data import Dataset, Interactions
from ltocf.data.events import join_events
from ltocf.evaluation import METRICS, Metric, rank
from ltocf.evaluation.evaluate import find_hits
from ltocf.runs.experiment import load
from ltocf.runs.preparation import IN_MEMORY, resolve_settings, selection_metric
from ltocf.runs.production import fit
from ltocf.runs.typed import Settings
from ltocf.runs.update import read_events
from ltocf.serving import Snapshot, TrainedModel

Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")

SCORED_BY = "recall@20"
PARAMETERS = "parameters"
"""The note in a model file that has the parameters of its recommender."""


class NotFittedError(ValueError, AttributeError):
    """A recommender was used before `fit`; it has both base classes, like scikit-learn's own."""


def _delegated(
    method: Callable[Concatenate[Snapshot, Arguments], Answer],
) -> Callable[Concatenate[LTOCFRecommender, Arguments], Answer]:
    """A method of `Snapshot` as one of the recommender, with its arguments and its documentation."""

    @wraps(method)
    def delegate(self: LTOCFRecommender, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
        return method(self.trained_.snapshot, *args, **kwargs)

    return delegate


class LTOCFRecommender:
    """A recommender that is fitted, used, scored, cloned and saved like scikit-learn's estimators.

    Args:
        model: a key of `MODELS`.
        show_progress: as for `fit`.
        **settings: any setting of the model, the training or the run, and any of `ReadOptions`, by its name:
            ``dim=64, epochs=8, user_column="customer", min_rating=4`` ... Those left out come from the preset.

    Attributes:
        trained_: the `TrainedModel` that `fit` made; like the other attributes, it exists only after `fit`.
        n_users_: number of users.
        n_items_: number of items.

    Raises:
        ValueError: a setting that does not exist, or a value that it cannot have.

    Example:
        >>> visits = [(user, item) for user in range(6) for item in range(4) if user % 3 != item]
        >>> recommender = LTOCFRecommender("lightgcn", dim=4, epochs=1, show_progress=False).fit(visits)
        >>> recommender
        LTOCFRecommender(model='lightgcn', show_progress=False, dim=4, epochs=1)
        >>> recommender.recommend(0, k=1)["item"].to_list()  # the one item that user 0 does not have
        [0]
    """

    trained_: TrainedModel
    n_users_: int
    n_items_: int

    def __init__(self, model: str = "ltocf", *, show_progress: bool = True, **settings: Unpack[Settings]) -> None:
        self.model, self.show_progress = model, show_progress
        self.set_params(**settings)

    def fit(self, X: Any, y: None = None, *, out: str | Path | None = None) -> LTOCFRecommender:  # noqa: N803
        """Train the model on all of X, after a validation set taken from X has chosen the epoch.

        Args:
            X: anything that `load_dataset` takes: a path, a frame, a sparse matrix, tuples ...
            y: ignored; it exists for scikit-learn.
            out: a new folder for the run, to plot or update it later; None keeps none.

        Raises:
            ValueError, FileNotFoundError, FileExistsError: as for `ltocf.fit`.
        """
        return self._with_trained(fit(X, out, **self.get_params()))

    recommend = _delegated(Snapshot.recommend)
    recommend_all = _delegated(Snapshot.recommend_all)
    fold_in = _delegated(Snapshot.fold_in)
    similar_items = _delegated(Snapshot.similar_items)
    similar_users = _delegated(Snapshot.similar_users)
    popular = _delegated(Snapshot.popular)
    history = _delegated(Snapshot.history)
    explain = _delegated(Snapshot.explain)

    def score(self, X: Any, y: None = None) -> float:  # noqa: N803
        """Recall@20 of held-out pairs: the share of each user's items in X that is among the 20 listed, averaged.

        Training pairs do not count, nor do users who have no history in training. Items that were not in training
        count as missed. A catalogue of 20 items or fewer is measured at half its size.

        Args:
            X: held-out pairs, anything that `fit` takes; read by the same options, without those of a whole log.
            y: ignored; it exists for scikit-learn.

        Raises:
            NotFittedError: before `fit`.
            ValueError: no held-out pair of a training user.
        """
        seen = self.trained_.seen
        truth = _held_out(self.trained_, read_events(*resolve_settings(IN_MEMORY, None, self._settings()), X))
        if not len(truth):
            raise ValueError(
                "`X` must have a pair of a user of training that was not trained on, got none; hold back a part of "
                "the events of each user, not whole users"
            )
        users, n_relevant = torch.from_numpy(np.unique(truth.users)), torch.from_numpy(truth.user_degrees)
        metric = Metric.parse(selection_metric(SCORED_BY, self.n_items_))
        lists = rank(self.trained_.model.scorer(), users, metric.depth, seen=seen).items
        return float(METRICS[metric.name](find_hits(users, lists, truth), n_relevant[users]).mean())

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The given parameters, by name. ``deep`` is ignored; it exists for scikit-learn."""
        return {name: value for name, value in vars(self).items() if name.strip("_") == name}

    def set_params(self, **params: Any) -> LTOCFRecommender:
        """Change parameters; what is fitted stays until the next `fit`.

        Raises:
            ValueError: a parameter that does not exist, or a value that it cannot have; nothing is changed then.
        """
        for name, reason in (("source", "the data are given to `fit`"), ("split", "`fit` holds nothing back")):
            if name in params:
                raise ValueError(f"`{name}` is not a parameter: {reason}")
        resolve_settings(IN_MEMORY, None, self._settings(params))
        vars(self).update(params)
        return self

    def save(self, path: str | Path) -> None:
        """Write the model with its parameters as one file, which `load` and `ltocf.load` read.

        An item table in memory is not saved as a parameter: the model has its titles and attributes.

        Raises:
            NotFittedError: before `fit`.
            OSError: the file cannot be written.
        """
        params = {name: value for name, value in self.get_params().items() if name != "items" or _is_path(value)}
        notes = {**self.trained_.notes, PARAMETERS: json.dumps(params, default=str)}
        replace(self.trained_, notes=notes).save(path)

    @classmethod
    def load(cls, path: str | Path) -> LTOCFRecommender:
        """A fitted recommender from a file of `save`, or from any run folder or model file.

        If `save` did not write it, the only parameters are its model and the model's options.

        Raises:
            FileNotFoundError, ValueError: as for `ltocf.load`.
        """
        trained = load(path)
        if PARAMETERS in trained.notes:
            params = json.loads(trained.notes[PARAMETERS])
        else:
            params = {"model": trained.name, **trained.options}
        return cls(**params)._with_trained(trained)

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({params})"

    def __getattr__(self, name: str) -> Any:
        """Called only for attributes that do not exist."""
        if name in LTOCFRecommender.__annotations__:
            raise NotFittedError(f"this {type(self).__name__} has no `{name}` yet: call `fit` first")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn needs to know to search the settings of an estimator; nothing else uses it."""
        sklearn = import_module("sklearn.utils")
        return sklearn.Tags(None, sklearn.TargetTags(required=False), input_tags=sklearn.InputTags())

    def _with_trained(self, trained: TrainedModel) -> LTOCFRecommender:
        self.trained_ = trained
        self.n_users_, self.n_items_ = trained.names.sizes
        return self

    def _settings(self, changes: dict[str, Any] | None = None) -> dict[str, Any]:
        """The parameters that are settings of a configuration."""
        params = self.get_params() | (changes or {})
        return {name: value for name, value in params.items() if name != "show_progress"}


def _held_out(trained: TrainedModel, events: Dataset) -> Interactions:
    """Pairs of users with a history that were not trained on; new items come after those of training."""
    pairs = join_events(trained.names, trained.seen, None, events).interactions
    trained_keys = trained.seen.users * np.int64(pairs.n_items) + trained.seen.items
    is_new = ~np.isin(pairs.keys, trained_keys, assume_unique=True)
    return pairs.where(np.isin(pairs.users, trained.seen.users) & is_new)


def _is_path(value: Any) -> bool:
    return isinstance(value, (str, Path))
