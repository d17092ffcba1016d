"""The protocol of one run: select an epoch, train again on everything, read the test set once."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ltocf.data import Interactions
from ltocf.evaluation import Metric, Validation, evaluate_per_user, sample_users
from ltocf.evaluation.ranks import ALONE, Ranks
from ltocf.files import write_text
from ltocf.graph import BipartiteGraph
from ltocf.models import STARTS, Recommender, build_model
from ltocf.models.drift import NO_DRIFT, Drift, measured_drift
from ltocf.progress import log_line
from ltocf.runs.config import Config
from ltocf.runs.data_file import RunData
from ltocf.runs.estimate import drift_minutes
from ltocf.runs.folder import RunFolder
from ltocf.runs.leftovers import DRIFT, remove_checkpoints
from ltocf.runs.memory import REPORTED_FROM, Memory, TrainingSizes, stated_memory
from ltocf.runs.preparation import selection_metric
from ltocf.runs.recorder import recorder
from ltocf.runs.retraining import Selected, prepare_retraining, restore_selected_if_cut, shortened_if_late
from ltocf.runs.time_budget import TimeBudget, ranking_seconds
from ltocf.serving import TrainedModel
from ltocf.training import EpochRecord, FitContext, FitResult, environment
from ltocf.training.memory import peak_bytes, return_unused_memory

logger = logging.getLogger(__name__)

DEPTHS = (5, 10, 20)
LARGEST_SHARE_OF_DRIFT = 0.1
"""Of the time left: more is not spent on measuring the drift of recency."""
PROTOCOLS = {
    "validation": "epoch selected on the validation set, then trained on the whole training set, test set read once",
    "test": "best epoch on the test set, as in the papers: optimistic",
    "none": "epoch selected on the validation set, then trained on all pairs: nothing is held back for a test",
}


def depths_for(n_items: int) -> list[int]:
    """The `DEPTHS` that a catalogue has items for.

    Example:
        >>> depths_for(1_000), depths_for(12), depths_for(3)
        ([5, 10, 20], [5, 10], [3])
    """
    return [k for k in DEPTHS if k <= n_items] or [n_items]


@dataclass(frozen=True)
class Experiment:
    """One run: every step continues from what the folder already holds.

    Args:
        folder: the folder that keeps everything; locked by the caller.
        config: the configuration to run.
        data: the split, with the caller's ids.
        device: where to compute.
        show_progress: show bars on a terminal, else a line for each validation.
        budget: what is left of ``max_minutes``.
        label: tells the phases of several models in one folder apart, of which one that diverges does not end the run;
            empty if there is only one.
        ranks: the processes that train together; only the first one writes files.
    """

    folder: RunFolder
    config: Config
    data: RunData
    device: torch.device
    show_progress: bool
    budget: TimeBudget
    label: str = ""
    ranks: Ranks = ALONE

    def run(self) -> dict[str, Any]:
        """Run both phases and the test, and write the files; returns the metrics."""
        started, split = time.perf_counter(), self.data.split
        self._state_memory()
        if split.validation is None:
            truth = split.test if self.config.run.select_on == "test" else None
            trained, selection = self.phase("selection", split.train, truth)
            fits = {"selection": selection}
        else:
            chosen, selection = self.phase("selection", split.train, split.validation)
            if not self.ranks.rank:
                chosen.save(self.folder.ensure_present().selection_model_file)
            everything = split.train.union(split.validation)
            selected = Selected(chosen.model, selection, self.drift if chosen.model.reads_order else NO_DRIFT)
            del chosen
            trained, retraining = self.phase("retraining", everything, None, selected)
            fits = {"selection": selection, "retraining": retraining}
        return self.finish(trained, fits, started)

    @cached_property
    def drift(self) -> Drift:
        """How the numbers of recency change for the histories of all pairs, if that is asked for and there is time.

        A resumed run keeps what it had: models that are retrained already have these numbers.
        """
        split, file = self.data.split, self.folder.path / DRIFT
        if split.validation is None or not self.config.training.extrapolate_recency:
            return NO_DRIFT
        if self.ranks.first(file.exists()):
            return Drift(**json.loads(file.read_text(encoding="utf-8")))
        drift, needed = NO_DRIFT, 60 * drift_minutes(split.n_users, split.n_items)
        if not self.ranks.rank:
            if needed > LARGEST_SHARE_OF_DRIFT * self.budget.seconds_left():
                logger.info("recency: no time to measure how its numbers change as histories grow")
            else:
                drift = measured_drift(split.train, split.validation, self.config.run.seed)
            write_text(self.folder.ensure_present().path / DRIFT, json.dumps(drift._asdict()) + "\n")
        return self.ranks.first(drift)

    def _state_memory(self) -> None:
        """Report the memory that the run needs before it takes any, and end the run if less is available."""
        memory = self.memory
        if memory is None or self.device.type != "cpu":
            return
        if self.show_progress and memory.total > REPORTED_FROM:
            log_line(f"{self.config.model}: up to about {memory}", watched=True)
        memory.refuse_if_too_much(self.config)

    @cached_property
    def memory(self) -> Memory | None:
        """The expected peak memory of the run on a CPU; None if that is not known."""
        shares = self.ranks.world // self.ranks.layout().get("node_blocks", 1)
        return stated_memory(self.config, TrainingSizes.of_split(self.data.split), shares)

    def finish(
        self, trained: TrainedModel, fits: dict[str, FitResult], started: float, more: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Write the model, measure it on the test set, write the metrics, and remove the checkpoints."""
        return_unused_memory()
        self._expect_core(trained.model)
        if not self.ranks.rank:
            trained.save(self.folder.ensure_present().model_file)
        metrics = self.measured(trained) | self.provenance(trained, fits) | (more or {})
        metrics["seconds_of_this_process"] = time.perf_counter() - started
        if self.ranks.rank:
            return metrics
        self.folder.write_metrics(metrics)
        remove_checkpoints(self.folder.path)
        return metrics

    def phase(
        self, phase: str, pairs: Interactions, truth: Interactions | None, selected: Selected | None = None
    ) -> tuple[TrainedModel, FitResult]:
        """Train on ``pairs``; with ``truth`` select the best epoch, with ``selected`` train as that was selected."""
        config, seed, place = self.config, self.config.run.seed, f"{self.label} {phase}".strip()
        graph = BipartiteGraph.from_interactions(pairs)
        model = build_model(config.model, graph, config.options, seed=seed).to(self.ranks.home(self.device))
        if pairs.weights is not None and not model.uses_weights:
            logger.warning("%s does not use weights: every pair counts alike", config.model)
        validation = None if truth is None else self.validation(truth, pairs)
        with ExitStack() as stack:
            context = FitContext(
                select_by=self.select_by,
                checkpoint=self.folder.checkpoint_file(place),
                fingerprint=self.folder.fingerprint(self.data.split),
                deadline=self.deadline(phase, model, pairs),
                validation_seconds=self._validation_seconds(model, validation),
                on_epoch=self._recorder(place, stack),
                before_checkpoint=self.folder.flush_history,
                diverged=None if self.label else self.folder.diverged_file,
                show_progress=self.show_progress,
                description=f"{self.label or config.model} {phase}",
                ranks=self.ranks,
                device=self.device,
            )
            settings = config.training
            if selected is not None:
                growth = len(pairs) / len(self.data.split.train)
                settings, context = shortened_if_late(selected.fit, growth, settings, context)
            goes_on = selected is not None and settings.retraining == "continued"
            # A checkpoint has embeddings of its own, and so have the selected weights.
            started = time.perf_counter()
            if not goes_on and not self.folder.checkpoint_file(place).exists():
                self.start(model, graph, pairs, context)
            start_seconds = time.perf_counter() - started
            del graph  # or all of it would stay in memory where processes have a block each
            if selected is not None:
                settings, context = prepare_retraining(model, selected, settings, context)
            return_unused_memory()  # of sorting pairs, making the graph and an earlier phase
            result = model.train_on(pairs, settings=settings, validation=validation, seed=seed, context=context)
            if result.repeating_seconds:
                result = result._replace(repeating_seconds=result.repeating_seconds + start_seconds)
        if selected is not None:
            restore_selected_if_cut(model, selected, result, settings, context)
        notes = {"dataset": self.data.name, "phase": phase, "select_on": config.run.select_on, "seed": str(seed)}
        trained = TrainedModel(config.model, config.options, model, pairs, self.data.names, notes, self.data.also_seen)
        return trained, result

    def _expect_core(self, model: Recommender) -> None:
        core, held_out = self.config.data.core, self.data.split.held_out
        if core and held_out and not model.expect_core(core, held_out):
            logger.warning("%s does not use `core`: only models of the sampled softmax do", self.config.model)

    def _recorder(self, place: str, stack: ExitStack) -> Callable[[EpochRecord], None] | None:
        if self.ranks.rank:
            return None
        return recorder(self.folder, place, stack, tensorboard=self.config.run.tensorboard)

    def validation(self, truth: Interactions, seen: Interactions) -> Validation:
        """What chooses the epoch: a validation set may use a sample of the users, a test set uses all."""
        run = self.config.run
        n_users, may_sample = self.config.training.validation_users, run.select_on == "validation"
        return Validation(truth, seen, Metric.parse(self.select_by).depth, n_users, run.seed, may_sample, self.ranks)

    @cached_property
    def select_by(self) -> str:
        """The metric that chooses the epoch, at a depth that suits the catalogue."""
        return selection_metric(self.config.run.select_by, self.data.split.n_items)

    def start(self, model: Recommender, graph: BipartiteGraph, pairs: Interactions, context: FitContext) -> None:
        """Set initial embeddings other than random ones, those of the first process; takes half of the time at most."""
        run, training = self.config.run, self.config.training
        assert run.init is not None  # settled by `Config`
        l2 = training.l2 if run.init_l2 is None else run.init_l2
        settings = replace(training, epochs=run.init_epochs, epoch_share=1.0, l2=l2)
        alone = replace(context.within(context.seconds_left() / 2), ranks=ALONE, device=None)
        if not self.ranks.rank:
            STARTS[run.init](model, graph, pairs, settings, run.seed, alone)
        if run.init != "random":
            for parameter in model.parameters():
                self.ranks.first(parameter.detach())

    def deadline(self, phase: str, model: Recommender, pairs: Interactions) -> float:
        """When a phase must be over, so that what follows it still fits into the budget."""
        if self.budget.seconds == math.inf:
            return math.inf
        test_seconds = ranking_seconds(model, pairs, self.test_set) if len(self.test_set) else 0.0
        left = self.budget.seconds_left() - test_seconds
        share = 0.5 if phase == "selection" and self.data.split.validation is not None else 1.0
        return time.monotonic() + share * left

    @cached_property
    def test_set(self) -> Interactions:
        """The test set, or the pairs of those of its users that are ranked."""
        n_users, test = self.config.run.test_users, self.data.split.test
        return sample_users(test, self.config.data.split_seed, n_users) if n_users else test

    def _protocol(self) -> str:
        """The protocol in words, and whether the metrics are estimates."""
        test = self.data.split.test
        if not len(test):
            return PROTOCOLS["none"]
        ranked, total = (np.count_nonzero(pairs.user_degrees) for pairs in (self.test_set, test))
        estimate = f"; an estimate from {ranked:,} of the {total:,} test users" if ranked < total else ""
        return PROTOCOLS[self.config.run.select_on] + estimate

    def _validation_seconds(self, model: Recommender, validation: Validation | None) -> float:
        if validation is None or self.budget.seconds == math.inf:
            return 0.0
        return ranking_seconds(model, validation.seen, validation.truth)

    def measured(self, trained: TrainedModel) -> dict[str, Any]:
        """The metrics of the test set, which is read only here; each user's values are written to a file."""
        split, started = self.data.split, time.perf_counter()
        if not len(split.test):
            return {}
        ks, scorer = depths_for(split.n_items), trained.model.scorer()
        per_user = evaluate_per_user(
            scorer, self.test_set, seen=trained.seen, ks=ks, show_progress=self.show_progress, ranks=self.ranks
        )
        if not self.ranks.rank:
            self.folder.write_test_users(per_user)
        return per_user.means(split.n_items) | {"ranking_seconds": time.perf_counter() - started}

    def provenance(self, trained: TrainedModel, fits: dict[str, FitResult]) -> dict[str, Any]:
        """What makes a result credible and reproducible: data, settings, seed and environment."""
        config, split = self.config, self.data.split
        learned = trained.model.learned()
        return {
            "dataset": self.data.name,
            "split": split.summary(),
            "configuration": config.tables(),
            "model": config.model,
            "preset": config.run.preset,
            "protocol": self._protocol(),
            "select_on": config.run.select_on,
            "history": "in order" if trained.model.reads_order else "as a set",
            "seed": config.run.seed,
            "options": dict(config.options),
            "training": dataclasses.asdict(config.training),
            "times": [value for name, value in learned.items() if name.startswith("t_")],
            "learned": learned,
            "selected": {self.select_by: fits["selection"].best_value, "epoch": fits["selection"].best_epoch},
            "fits": {phase: result._asdict() for phase, result in fits.items()},
            "cold_users": split.cold_users,
            "cold_items": split.cold_items,
            "seconds": sum(result.seconds for result in fits.values()),
            **({"recency_drift": self.drift._asdict()} if trained.model.reads_order else {}),
            "memory": self._memory_record(),
            "environment": environment(self.device) | self.ranks.layout(),
        }

    def _memory_record(self) -> dict[str, Any]:
        """The memory that the run was expected to need, and the peak of its process."""
        stated = (
            {} if self.memory is None else {"stated": dataclasses.asdict(self.memory) | {"total": self.memory.total}}
        )
        return stated | {"peak": peak_bytes(self.device)}
