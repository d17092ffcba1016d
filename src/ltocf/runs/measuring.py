"""A run measured on its held-back pairs: beyond accuracy, beside popularity, and against another run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ltocf.data.display import Shown
from ltocf.data.interactions import Interactions
from ltocf.evaluation import BeyondAccuracy, PerUserMetrics, Scorer, beyond_accuracy, evaluate_per_user, sample_users
from ltocf.evaluation.significance import Comparison, UserResult, compare_results, holm
from ltocf.models import Popularity
from ltocf.runs.folder import RunFolder
from ltocf.serving import TrainedModel

POPULARITY = "popularity"
"""In place of the name of a run: the list of the most popular items, which needs no model."""


@dataclass(frozen=True, eq=False, repr=False)
class Measured(Shown):
    """The lists of one model for the users of a set, with their metrics.

    Args:
        name: the name of the run, or `POPULARITY`.
        split: the digest of the run's split.
        per_user: lists and metric values.
        train: the pairs that the model was trained on.
        truth: the pairs that were held back.
    """

    name: str
    split: str
    per_user: PerUserMetrics
    train: Interactions
    truth: Interactions

    def facts(self) -> dict[str, object]:
        return {"name": self.name} | self.per_user.facts()

    @cached_property
    def beyond(self) -> BeyondAccuracy:
        """The measures beyond accuracy."""
        return beyond_accuracy(self.per_user, self.train, self.truth)

    @cached_property
    def means(self) -> dict[str, float]:
        """Every metric averaged over users, and the coverage."""
        return self.per_user.means(self.truth.n_items)

    @cached_property
    def values(self) -> dict[str, float]:
        """`means`, and the values beyond accuracy."""
        return self.means | self.beyond.values

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, the groups of users and items as lists of dicts."""
        return self.means | self.beyond.as_dict()

    def result(self, metric: str) -> UserResult:
        """One metric user by user."""
        return UserResult(self.per_user.users.numpy(), self.per_user.values[metric].numpy(), self.split)


@dataclass(frozen=True, eq=False)
class Withheld:
    """The set of a run's data on which a model is measured, and the model that has not seen it.

    Args:
        trained: the model.
        truth: the pairs held back from it.
        split: the digest of the run's split.
    """

    trained: TrainedModel
    truth: Interactions
    split: str

    @classmethod
    def of(cls, run: RunFolder, on: str, users: int = 0) -> Withheld:
        """The test set with the model of the whole training set, or the validation set with the selection's model.

        Args:
            run: the folder of the run.
            on: ``test`` or ``validation``.
            users: number of random users of the set, the same ones for every run of the split; 0: all.

        Raises:
            ValueError: an unknown set, or a set that the run does not have.
            FileNotFoundError: the run is not finished.
        """
        split = run.read_data().split
        if on == "test":
            if not len(split.test):
                raise ValueError(f'{run.path} holds nothing back for a test; use `on = "validation"`')
            return cls(TrainedModel.load(run.finished_model_file), _sample(split.test, users), split.digest)
        if on != "validation":
            raise ValueError(f"`on` must be test or validation, got {on!r}")
        if split.validation is None:
            raise ValueError(
                f'{run.path} has no validation set: it was selected on its test set (`select_on = "test"`), it is an '
                "update, or nobody had two items"
            )
        return cls(TrainedModel.load(run.selection_model_file), _sample(split.validation, users), split.digest)

    def measured(self, name: str, ks: Sequence[int], *, show_progress: bool = False) -> Measured:
        """The lists of the run's model, with their metrics."""
        return self._measured(name, self.trained.model.scorer(), ks, show_progress)

    def popular(self, ks: Sequence[int]) -> Measured:
        """The lists of the most popular items, with their metrics."""
        return self._measured(POPULARITY, Popularity(self.trained.seen), ks, False)

    def _measured(self, name: str, scorer: Scorer, ks: Sequence[int], show_progress: bool) -> Measured:
        seen = self.trained.seen
        per_user = evaluate_per_user(scorer, self.truth, seen=seen, ks=ks, show_progress=show_progress)
        return Measured(name, self.split, per_user, seen, self.truth)


def evaluate_with_comparison(
    run: RunFolder,
    withheld: Withheld,
    ks: Sequence[int],
    on: str,
    beyond: bool,
    against: str | Path | None,
    users: int,
    show_progress: bool,
) -> dict[str, Any]:
    """What `evaluate_run` returns if more than the metrics is requested, with the same arguments and errors.

    Returns:
        The metrics; with ``beyond``, `Measured.as_dict`, and that of popularity under ``popularity``; and under
        ``against``, by the name of the other run, the `differences` to it.
    """
    other = None if against is None else _other(run, withheld, against, on, users)
    measured = withheld.measured(str(run.path), ks, show_progress=show_progress)
    result: dict[str, Any] = measured.as_dict() if beyond else dict(measured.means)
    popular = withheld.popular(ks) if beyond or other is None else None
    if beyond and popular is not None:
        result[POPULARITY] = popular.as_dict()
    compared = [] if popular is None else [popular]
    if other is not None:
        compared.append(other.measured(str(against), ks, show_progress=show_progress))
    return result | {"against": {each.name: differences(measured, each) for each in compared}}


def differences(first: Measured, second: Measured) -> dict[str, dict[str, float]]:
    """For each metric the mean of ``second``, how much higher that of ``first`` is, and whether this can be chance.

    Returns:
        ``other``, ``difference``, ``p_value`` of the paired t-test over users, and ``p_holm``, adjusted for the number
        of metrics that are compared; both NaN for a single user.

    Raises:
        ValueError: different splits.
    """
    tests = {name: paired_test(first, second, name) for name in first.per_user.values}
    adjusted = holm([test.p_value for test in tests.values()])
    return {
        name: {"other": second.means[name]} | test._asdict() | {"p_holm": p_value}
        for (name, test), p_value in zip(tests.items(), adjusted, strict=True)
    }


def paired_test(first: Measured, second: Measured, metric: str) -> Comparison:
    """`compare_results` of one metric; for a single user the p-value is NaN."""
    if len(first.per_user.users) > 1:
        return compare_results(first.result(metric), second.result(metric))
    return Comparison(first.means[metric] - second.means[metric], math.nan)


def refuse_other_splits(digests: Mapping[str, str]) -> None:
    """Refuse runs on different splits.

    Args:
        digests: the digest of the split of each run, by the name of the run.

    Raises:
        ValueError: there are several splits.

    Example:
        >>> refuse_other_splits({"runs/a": "0123456789abcdef", "runs/b": "0123456789abcdef"})
    """
    if len(np.unique(list(digests.values()))) > 1:
        named = ", ".join(f"{name} with the digest {digest[:12]}" for name, digest in digests.items())
        raise ValueError(
            f"runs must have one split to be compared, got {named}; train them on the same data with the same settings "
            "in [data] and the same `select_on`"
        )


def _other(run: RunFolder, withheld: Withheld, against: str | Path, on: str, users: int) -> Withheld | None:
    """The same set of the other run; None for popularity."""
    if str(against) == POPULARITY:
        return None
    other = Withheld.of(RunFolder(against), on, users)
    refuse_other_splits({str(run.path): withheld.split, str(against): other.split})
    return other


def _sample(truth: Interactions, users: int) -> Interactions:
    if users < 0:
        raise ValueError(f"`users` must be >= 0, got {users}")
    return sample_users(truth, 0, users) if users else truth
