"""The protocol of one run: select an epoch, train again on everything, read the test part once."""

from __future__ import annotations

import dataclasses
import importlib.util
import time
import tomllib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from ltocf.data import Interactions
from ltocf.evaluation import evaluate, evaluate_per_user
from ltocf.graph import BipartiteGraph
from ltocf.models import (
    LTOCF,
    MODELS,
    EmbeddingRecommender,
    GradientRecommender,
    Recommender,
    SpectralLTOCF,
    start_from_spectrum,
)
from ltocf.runs.config import Config
from ltocf.runs.folder import PHASES, RunData, RunFolder
from ltocf.serving import TrainedModel
from ltocf.training import (
    MOST_EVALUATIONS,
    SEARCH_USERS,
    EpochRecord,
    FitResult,
    Shortlist,
    environment,
    fit,
    sample_users,
    search,
    start_from_factorisation,
)

DEPTHS = (5, 10, 20)
PROTOCOLS = {
    "validation": "epoch selected on validation, trained again on all of train, test read once",
    "test": "best epoch on the test set, as in the papers: optimistic",
}


@dataclass(frozen=True)
class Experiment:
    """One run: every step continues from what the folder already holds."""

    folder: RunFolder
    config: Config
    data: RunData
    device: torch.device
    show_progress: bool

    def run(self) -> dict[str, Any]:
        started, split = time.perf_counter(), self.data.split
        budget = self.config.training.max_minutes * 60 or float("inf")
        if split.validation is None:
            trained, selection = self.phase("selection", split.train, split.test, budget)
            fits = {"selection": selection}
        else:
            chosen, selection = self.phase("selection", split.train, split.validation, budget / 2)
            chosen.save(self.folder.selection_model_file)
            again = replace(self, config=self.config.with_values({"epochs": selection.best_epoch}))
            everything = split.train.union(split.validation)
            trained, retraining = again.phase("retraining", everything, None, budget - selection.seconds, chosen.model)
            fits = {"selection": selection, "retraining": retraining}
        trained.save(self.folder.model_file)
        ks = [k for k in DEPTHS if k <= split.n_items] or [split.n_items]
        scorer = trained.model.scorer()
        ranking_started = time.perf_counter()
        measured = evaluate_per_user(scorer, split.test, seen=trained.seen, ks=ks, show_progress=self.show_progress)
        ranking = {"ranking_seconds": time.perf_counter() - ranking_started}
        self.folder.write_test_users(measured)
        metrics = measured.means(split.n_items) | self.provenance(trained, fits) | ranking
        metrics["seconds_of_this_process"] = time.perf_counter() - started
        self.folder.write_metrics(metrics)
        for phase in PHASES:
            self.folder.checkpoint_file(phase).unlink(missing_ok=True)
        return metrics

    def phase(
        self,
        phase: str,
        pairs: Interactions,
        truth: Interactions | None,
        max_seconds: float,
        chosen: Recommender | None = None,
    ) -> tuple[TrainedModel, FitResult]:
        """Train on ``pairs``; with ``truth`` keep the epoch that ranks it best, with ``chosen`` its numbers."""
        config, data, seed = self.config, self.data, self.config.run.seed
        graph = BipartiteGraph.from_interactions(pairs)
        model = MODELS[config.model](graph, **config.options, seed=seed)
        self.start(phase, model.to(self.device), graph, pairs)

        depth = config.run.selection_depth
        n_users = config.training.validation_users or (SEARCH_USERS if isinstance(model, SpectralLTOCF) else 0)
        if truth is not None and n_users and config.run.select_on == "validation":
            truth = sample_users(truth, seed, n_users)

        def validate() -> dict[str, float]:
            assert truth is not None
            return evaluate(model.scorer(), truth, seen=pairs, ks=[depth])

        with ExitStack() as stack:
            options: dict[str, Any] = {
                "select_by": config.run.select_by,
                "on_epoch": _recorder(self.folder, phase, stack),
                "max_seconds": max_seconds,
                "show_progress": self.show_progress,
                "description": f"{config.model} {phase}",
            }
            if isinstance(model, SpectralLTOCF):
                if isinstance(chosen, SpectralLTOCF):
                    model.numbers.copy_(chosen.numbers)
                evaluations = min(config.training.epochs, MOST_EVALUATIONS)
                judge = (
                    None
                    if truth is None
                    else partial(evaluate, Shortlist(model, truth, pairs, depth), truth, seen=pairs, ks=[depth])
                )
                result = search(model, validate=judge, evaluations=evaluations, **options)
            else:
                assert isinstance(model, GradientRecommender)
                result = fit(
                    model,
                    model.batches(pairs, config.training.batch_size_for(len(pairs)), seed, self.device),
                    settings=config.training,
                    validate=None if truth is None else validate,
                    checkpoint=self.folder.checkpoint_file(phase),
                    **options,
                )
        notes = {"dataset": data.name, "phase": phase, "select_on": config.run.select_on, "seed": str(seed)}
        return TrainedModel(config.model, config.options, model, pairs, data.names, notes), result

    def start(self, phase: str, model: Recommender, graph: BipartiteGraph, pairs: Interactions) -> None:
        """Initial embeddings other than random ones; a checkpoint has its own."""
        run = self.config.run
        if self.folder.checkpoint_file(phase).exists():
            return
        if run.init == "spectral" and isinstance(model, EmbeddingRecommender):
            start_from_spectrum(model, graph.to(self.device), run.seed)
        elif run.init == "mf" and isinstance(model, GradientRecommender):
            training = self.config.training
            l2 = training.l2 if run.init_l2 is None else run.init_l2
            settings = replace(training, epochs=run.init_epochs, l2=l2)
            start_from_factorisation(model, graph, pairs, settings, run.seed)

    def provenance(self, trained: TrainedModel, fits: dict[str, FitResult]) -> dict[str, Any]:
        """What a number needs beside it to be believed and made again."""
        config, split = self.config, self.data.split
        return {
            "dataset": self.data.name,
            "split": split.summary(),
            "configuration": tomllib.loads(config.to_toml()),
            "model": config.model,
            "preset": config.run.preset,
            "protocol": PROTOCOLS[config.run.select_on],
            "select_on": config.run.select_on,
            "seed": config.run.seed,
            "options": dict(config.options),
            "training": dataclasses.asdict(config.training),
            "times": trained.model.times.values.tolist() if isinstance(trained.model, LTOCF) else [],
            "numbers": trained.model.named_numbers() if isinstance(trained.model, SpectralLTOCF) else {},
            "selected": {config.run.select_by: fits["selection"].best_value, "epoch": fits["selection"].best_epoch},
            "fits": {phase: result._asdict() for phase, result in fits.items()},
            "cold_users": split.cold_users,
            "cold_items": split.cold_items,
            "seconds": sum(result.seconds for result in fits.values()),
            "environment": environment(self.device),
        }


def _recorder(folder: RunFolder, phase: str, stack: ExitStack) -> Callable[[EpochRecord], None]:
    """Write each epoch to the history, and to TensorBoard where the `tracking` extra is installed."""
    board = None
    if importlib.util.find_spec("tensorboard") is not None:
        from torch.utils.tensorboard import SummaryWriter

        board = stack.enter_context(SummaryWriter(folder.path / "tensorboard" / phase))
    first = True

    def record_epoch(record: EpochRecord) -> None:
        nonlocal first
        if first:
            folder.cut_history(phase, record["epoch"])
            first = False
        folder.add_history({"phase": phase, **record})
        if board is not None:
            numbers = {f"t_{i}": t for i, t in enumerate(record["times"], start=1)}
            numbers |= {name: value for name, value in record.items() if isinstance(value, float)}
            for name, value in numbers.items():
                board.add_scalar(name, value, record["epoch"])

    return record_epoch
