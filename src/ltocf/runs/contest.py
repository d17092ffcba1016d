"""``model = "auto"``: several models compete on the validation set within a time limit, and the best are blended."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ltocf.data import Interactions
from ltocf.data.order import ages_of
from ltocf.files import write_text
from ltocf.graph import BipartiteGraph
from ltocf.models import Blend
from ltocf.models.base import GradientRecommender
from ltocf.models.drift import NO_DRIFT
from ltocf.progress import readable_seconds
from ltocf.runs.candidates import SHARE_PLANNED, WEIGHED_USERS, Candidate, candidates_for
from ltocf.runs.leftovers import PLAN
from ltocf.runs.protocol import Experiment
from ltocf.runs.retraining import Selected
from ltocf.runs.time_budget import TimeBudget, ranking_seconds
from ltocf.serving import TrainedModel
from ltocf.training import FitResult
from ltocf.training.ensemble import Weighing, choose_weights

logger = logging.getLogger(__name__)

LARGEST_SHARE = 1 / 3
"""Of the time limit: the budget of a candidate that is not the last, as if it had to be trained again too."""

ASIDE = "aside.json"
"""How the name of the file ends that has the reason why a candidate is set aside."""


class Entrant(NamedTuple):
    """A candidate after its selection: its model, trained without the validation set, and how it validated."""

    candidate: Candidate
    trained: TrainedModel
    fit: FitResult


@dataclass(frozen=True)
class Contest:
    """Selects each candidate by itself, weighs their sum, trains those with a weight again and measures once.

    Args:
        experiment: the requested run; its folder keeps the progress of each candidate.
        minutes: the whole time limit: that with which a run began decides which candidates compete.
    """

    experiment: Experiment
    minutes: float

    def run(self) -> dict[str, Any]:
        """Select each candidate, choose the weights, retrain, test, and write the files; returns the metrics."""
        started, outer, split = time.perf_counter(), self.experiment, self.experiment.data.split
        if split.validation is None:
            only = self._select(self.candidates[0], split.train, outer.budget)
            return outer.finish(only.trained, {"selection": only.fit}, started)
        entrants, set_aside = self._select_all(split.train)
        weighing, retrained = self._weigh_and_retrain(entrants, set_aside, split.validation)
        winner = _blend([(entrant.trained, weight) for entrant, weight in retrained])
        fits = {
            "selection": _summed([entrant.fit for entrant in entrants]),
            "retraining": _summed([entrant.fit for entrant, _ in retrained]),
        }
        table = self._table(entrants, weighing, set_aside)
        result = {"contest": table, "selected": {weighing.metric: weighing.value}}
        return outer.finish(winner, fits, started, result)

    @cached_property
    def candidates(self) -> list[Candidate]:
        """The candidates, also those that do not compete, with the reason; a resumed run keeps those it began with."""
        file, pairs = self.experiment.folder.path / PLAN, self.experiment.data.split.train
        if file.exists():
            return [Candidate(**each) for each in json.loads(file.read_text(encoding="utf-8"))]
        ordered = ages_of(pairs) is not None
        candidates = candidates_for(pairs.n_users, pairs.n_items, len(pairs), self.minutes, ordered)
        write_text(file, json.dumps([each._asdict() for each in candidates]) + "\n")
        return candidates

    def _select_all(self, pairs: Interactions) -> tuple[list[Entrant], dict[str, str]]:
        """The entrants; and by name the reasons of those that are set aside since their training diverged."""
        competing = [candidate for candidate in self.candidates if not candidate.skipped]
        entrants, set_aside = list[Entrant](), dict[str, str]()
        for place, each in enumerate(competing):
            mark = self._file_of(each, ASIDE)
            if mark.exists():
                set_aside[each.name] = json.loads(mark.read_text(encoding="utf-8"))
                continue
            try:
                entrants.append(self._select(each, pairs, self._budget(competing, place)))
            except FloatingPointError as error:
                set_aside[each.name] = self._set_aside(each, error)
        return entrants, set_aside

    def _weigh_and_retrain(
        self, entrants: list[Entrant], set_aside: dict[str, str], truth: Interactions
    ) -> tuple[Weighing, list[tuple[Entrant, float]]]:
        """Choose the weights and train on all pairs; without those whose training diverges now, which are removed."""
        outer, retrained = self.experiment, dict[str, Entrant]()
        everything = outer.data.split.train.union(truth)
        while entrants:
            weighing = self._weigh(entrants, truth)
            outer.folder.ensure_present()
            chosen = [(e, w) for e, w in zip(entrants, weighing.weights, strict=True) if w]
            # Closed forms must be computed again whatever the time; of the others, time is for the heaviest first.
            chosen.sort(key=lambda each: (isinstance(each[0].trained.model, GradientRecommender), -each[1]))
            test_seconds = self._save_selected(_blend([(entrant.trained, weight) for entrant, weight in chosen]))
            diverged = self._retrain_missing([entrant for entrant, _ in chosen], everything, retrained, test_seconds)
            if diverged is None:
                return weighing, [(retrained[entrant.candidate.name], weight) for entrant, weight in chosen]
            entrant, error = diverged
            entrants.remove(entrant)
            set_aside[entrant.candidate.name] = self._set_aside(entrant.candidate, error)
        raise FloatingPointError(f"no candidate is left: {'; '.join(set_aside.values())}")

    def _save_selected(self, blend: TrainedModel) -> float:
        """Save the selected blend; returns the seconds that ranking the test set with it will take."""
        outer = self.experiment
        blend.save(outer.folder.selection_model_file)
        return ranking_seconds(blend.model, blend.seen, outer.test_set) if len(outer.test_set) else 0.0

    def _retrain_missing(
        self, chosen: list[Entrant], everything: Interactions, retrained: dict[str, Entrant], test_seconds: float
    ) -> tuple[Entrant, FloatingPointError] | None:
        """Add to ``retrained`` those that it does not have; ends with the first whose training diverges."""
        for entrant in chosen:
            name = entrant.candidate.name
            try:
                retrained[name] = retrained.get(name) or self._retrain(entrant, everything, test_seconds)
            except FloatingPointError as error:
                return entrant, error
        return None

    def _set_aside(self, candidate: Candidate, error: FloatingPointError) -> str:
        """Record, also for a resumed run, that a candidate does not compete any more; returns the reason."""
        self.experiment.folder.ensure_present()
        write_text(self._file_of(candidate, ASIDE), json.dumps(str(error)) + "\n")
        logger.warning("auto: %s is set aside: %s", candidate.name, error)
        return str(error)

    def _file_of(self, candidate: Candidate, ending: str) -> Path:
        return self.experiment.folder.path / f"candidate-{candidate.name}.{ending}"

    def _budget(self, competing: list[Candidate], place: int) -> TimeBudget:
        """That of a candidate's selection, if there is a plan what the others leave, but at least its own minutes."""
        left, this = self.experiment.budget.seconds_left(), competing[place]
        if not this.minutes:
            last = place == len(competing) - 1
            return TimeBudget(left if last else min(left, LARGEST_SHARE * 60 * self.minutes))
        later = sum(each.minutes for each in competing[place + 1 :])
        retraining = sum(each.retraining for each in competing[: place + 1])
        spare = left - 60 * (later + retraining + (1 - SHARE_PLANNED) * self.minutes)
        # Twice as much, because the phase leaves half of a budget for training on all pairs.
        return TimeBudget(2 * min(left, max(spare, 60 * (this.minutes - this.retraining))))

    def _select(self, candidate: Candidate, pairs: Interactions, budget: TimeBudget) -> Entrant:
        """Run a candidate's selection phase, or read its result if an interrupted run had finished it."""
        outer = self.experiment
        files = [self._file_of(candidate, ending) for ending in ("safetensors", "json")]
        if files[1].exists():
            fit = FitResult(**json.loads(files[1].read_text(encoding="utf-8")))
            return Entrant(candidate, TrainedModel.load(files[0]), fit)
        experiment = replace(self._experiment_of(candidate), budget=budget)
        trained, fit = experiment.phase("selection", pairs, outer.data.split.validation)
        outer.folder.ensure_present()
        trained.save(files[0])
        write_text(files[1], json.dumps(fit._asdict()) + "\n")
        value = "" if fit.best_value is None else f"{outer.select_by} {fit.best_value:.4f} on validation, "
        logger.info("auto: %s: %s%s", candidate.name, value, readable_seconds(fit.seconds))
        return Entrant(candidate, trained, fit)

    def _weigh(self, entrants: list[Entrant], truth: Interactions) -> Weighing:
        outer = self.experiment
        sampled = outer.validation(truth, outer.data.split.train).of_at_most(WEIGHED_USERS)
        weighing = choose_weights([entrant.trained.model.scorer() for entrant in entrants], sampled)
        named = [f"{w:g} {e.candidate.name}" for e, w in zip(entrants, weighing.weights, strict=True) if w]
        logger.info("auto: %s: %s %.4f on validation", " + ".join(named), weighing.metric, weighing.value)
        return weighing

    def _retrain(self, entrant: Entrant, everything: Interactions, test_seconds: float) -> Entrant:
        """Train on all pairs; ``test_seconds`` are kept for ranking the test set with the blend."""
        experiment = self._experiment_of(entrant.candidate)
        experiment = replace(experiment, budget=TimeBudget(experiment.budget.seconds_left() - test_seconds))
        model = entrant.trained.model
        selected = Selected(model, entrant.fit, self.experiment.drift if model.reads_order else NO_DRIFT)
        trained, fit = experiment.phase("retraining", everything, None, selected)
        return Entrant(entrant.candidate, trained, fit)

    def _experiment_of(self, candidate: Candidate) -> Experiment:
        """The experiment of one candidate: the preset of its model, with the requested data and run settings."""
        outer, values = self.experiment, dict(candidate.values)
        if n_users := outer.config.training.validation_users:
            values["validation_users"] = n_users
        config = outer.config.with_values({"model": candidate.model, **values})
        return replace(outer, config=config, label=candidate.name)

    def _table(self, entrants: list[Entrant], weighing: Weighing, set_aside: dict[str, str]) -> list[dict[str, Any]]:
        """A row for each candidate: its value alone, its weight and its seconds, or why it is left out."""
        rows: list[dict[str, Any]] = []
        for entrant, weight, value in zip(entrants, weighing.weights, weighing.alone, strict=True):
            row = {"name": entrant.candidate.name, self.experiment.select_by: entrant.fit.best_value}
            row |= {weighing.metric: value, "weight": weight}
            rows.append(row | {"seconds": entrant.fit.seconds, "learned": entrant.trained.model.learned()})
        rows += [{"name": name, "set_aside": reason} for name, reason in set_aside.items()]
        return rows + [{"name": c.name, "skipped": c.skipped} for c in self.candidates if c.skipped]


def _blend(weighted: list[tuple[TrainedModel, float]]) -> TrainedModel:
    """The blend of several models, or the only model itself."""
    first, _ = weighted[0]
    if len(weighted) == 1:
        return first
    members = [{"model": trained.name, **trained.options} for trained, _ in weighted]
    blend = Blend(BipartiteGraph.from_interactions(first.seen), members).to(first.model.device)
    blend.hold([trained.model for trained, _ in weighted], [weight for _, weight in weighted])
    return replace(first, name="blend", options={"members": members}, model=blend.eval())


def _summed(fits: list[FitResult]) -> FitResult:
    stopped = "max_minutes" if any(fit.stopped_by == "max_minutes" for fit in fits) else "epochs"
    epochs, seconds = sum(fit.epochs for fit in fits), sum(fit.seconds for fit in fits)
    return FitResult(epochs, None, None, seconds, stopped, sum(fit.repeating_seconds for fit in fits))
