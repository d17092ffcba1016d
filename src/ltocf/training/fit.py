"""Training: the loop, on one screen."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from ltocf.models.base import GradientRecommender
from ltocf.ode.times import learnable_times, time_parameters
from ltocf.progress import progress_bar
from ltocf.sampling import Batch, Batches
from ltocf.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from ltocf.training.cuda_graphs import RecordedStep

EpochRecord: TypeAlias = dict[str, Any]
TIME_UPDATES = ("joint", "alternating")
SCHEDULES = ("constant", "cosine")
STEPS_PER_EPOCH = 100
SMALLEST_BATCH, LARGEST_BATCH = 256, 8192


@dataclass(frozen=True)
class TrainingSettings:
    """How a model is trained.

    Args:
        learning_rate: Adam's, for everything but the times.
        time_learning_rate: Adam's, for the learned times.
        l2: weight of the L2 penalty on the embeddings of the batch.
        batch_size: triples or pairs per step; 0 for about a hundred steps per epoch, see `batch_size_for`.
        epochs: most epochs.
        validate_every: epochs between validations.
        validation_users: most users whom a validation ranks, drawn once; 0 for all. Selection on test asks all.
        patience: validations without a better value before training stops.
        time_updates: ``joint``: one backward pass, both updates. ``alternating``: the paper's Algorithm 1: update the
            embeddings, compute the loss again, update the times; twice the cost. The authors' program is joint.
        schedule: of both learning rates: ``constant``, or ``cosine`` from them to zero over ``epochs``.
        warm_up: share of all steps during which both rates rise from zero, in proportion to the step. With ``cosine``
            and a warm-up of 0.3 this is the one-cycle policy.
        max_minutes: most minutes of the whole run, 0 for no limit; it then stops after an epoch and keeps the best.
        cuda_graphs: on a GPU, record a step once per epoch and replay it, see `RecordedStep`.

    Raises:
        ValueError: a number out of range or an unknown name.
    """

    learning_rate: float = 1e-3
    time_learning_rate: float = 1e-3
    l2: float = 1e-4
    batch_size: int = 2048
    epochs: int = 1000
    validate_every: int = 5
    validation_users: int = 0
    patience: int = 10
    time_updates: Literal["joint", "alternating"] = "joint"
    schedule: Literal["constant", "cosine"] = "constant"
    warm_up: float = 0.0
    max_minutes: float = 0.0
    cuda_graphs: bool = False

    def __post_init__(self) -> None:
        for name in ("learning_rate", "epochs", "validate_every", "patience"):
            if not getattr(self, name) > 0:
                raise ValueError(f"`{name}` must be > 0, got {getattr(self, name)}")
        for name in ("batch_size", "time_learning_rate", "l2", "max_minutes", "validation_users"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be >= 0, got {getattr(self, name)}")
        if not 0 <= self.warm_up < 1:
            raise ValueError(f"`warm_up` must be in [0, 1), got {self.warm_up}")
        for name, known in (("time_updates", TIME_UPDATES), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise ValueError(f"`{name}` must be one of {', '.join(known)}, got {getattr(self, name)!r}")

    def batch_size_for(self, n_pairs: int) -> int:
        """``batch_size``, or where that is 0 a hundredth of the pairs, in 256..8,192.

        Example:
            >>> [TrainingSettings(batch_size=0).batch_size_for(n) for n in (1_000, 60_000, 10_000_000)]
            [256, 600, 8192]
        """
        return self.batch_size or min(max(n_pairs // STEPS_PER_EPOCH, SMALLEST_BATCH), LARGEST_BATCH)

    def rate(self, progress: float) -> float:
        """Share of the learning rates in force when ``progress``, in [0, 1), of all epochs is done.

            min(1, p / w)   or, with the cosine,   p / w  up to p = w, then (1 + cos(π (p - w) / (1 - w))) / 2

        Source: Loshchilov & Hutter, ICLR 2017, Eq. 5 without restarts, https://arxiv.org/abs/1608.03983; the warm-up:
        Smith & Topin, 2018, section 2, https://arxiv.org/abs/1708.07120, with a cosine in place of its second line.

        Example:
            >>> settings = TrainingSettings(schedule="cosine", warm_up=0.2)
            >>> [round(settings.rate(p), 3) for p in (0.1, 0.2, 0.6, 0.999)]
            [0.5, 1.0, 0.5, 0.0]
        """
        if progress < self.warm_up:
            return progress / self.warm_up
        if self.schedule == "constant":
            return 1.0
        return (1 + math.cos(math.pi * (progress - self.warm_up) / (1 - self.warm_up))) / 2


class FitResult(NamedTuple):
    """How training ended: ``stopped_by`` is ``epochs``, ``patience`` or ``max_minutes``; no best without validation."""

    epochs: int
    best_epoch: int | None
    best_value: float | None
    seconds: float
    stopped_by: str


def fit(
    model: GradientRecommender,
    batches: Batches,
    *,
    settings: TrainingSettings,
    validate: Callable[[], dict[str, float]] | None = None,
    select_by: str = "recall@20",
    on_epoch: Callable[[EpochRecord], None] | None = None,
    checkpoint: Path | None = None,
    seconds_between_checkpoints: float = 10.0,
    max_seconds: float = float("inf"),
    show_progress: bool = False,
    description: str = "training",
) -> FitResult:
    """Train ``model`` in place; with ``validate`` it ends with the weights of its best validation.

    Epoch e depends only on the seed, e and the state after epoch e - 1, so a run continued from its checkpoint
    ends with the same bits on a CPU as one that was never stopped.

    Args:
        model: on its device already.
        batches: on the same device.
        settings: see `TrainingSettings`.
        validate: metrics of the model as it stands, without touching it.
        select_by: the validated metric that is to be highest.
        on_epoch: receives one flat record per epoch.
        checkpoint: file to continue from if it is there, rewritten after epochs and at the end.
        seconds_between_checkpoints: at most this much work, and one epoch, is lost in a crash.
        max_seconds: training stops after the epoch that would be the last to fit.
        show_progress: show a progress bar.
        description: its label.

    Raises:
        FloatingPointError: the loss or a time is no longer finite.
        ValueError: ``cuda_graphs`` without a GPU or with a model that cannot be recorded.
    """
    if settings.cuda_graphs and batches.device.type != "cuda":
        raise ValueError(f"`cuda_graphs` needs a CUDA GPU, the batches are on {batches.device}; leave it false")
    optimizer = _optimizer(model, settings)
    state = TrainingState()
    if checkpoint is not None and checkpoint.exists():
        state = load_checkpoint(checkpoint, model, optimizer)
    last_saved = float("-inf")
    with progress_bar(enabled=show_progress) as bar:
        total, done = settings.epochs * len(batches), state.epoch * len(batches)
        task = bar.add_task(description, total=total, completed=done, note="")
        while not state.stopped_by:
            started = time.perf_counter()
            losses = _train_epoch(model, batches, state.epoch, optimizer, settings, lambda: bar.advance(task))
            state.epoch += 1
            times = [t for module in learnable_times(model) for t in module.values.tolist()]
            record: EpochRecord = {"epoch": state.epoch, **losses, "times": times}
            out_of_time = state.seconds + 2 * (time.perf_counter() - started) > max_seconds
            record |= _validate_and_decide(model, settings, validate, select_by, state, out_of_time)
            record["seconds"] = time.perf_counter() - started
            state.seconds += record["seconds"]
            if on_epoch is not None:
                on_epoch(record)
            bar.update(task, note=_note(record, select_by))
            due = state.stopped_by or time.monotonic() - last_saved > seconds_between_checkpoints
            if checkpoint is not None and due:
                save_checkpoint(checkpoint, model, optimizer, state)
                last_saved = time.monotonic()
    if state.best_weights:
        model.load_state_dict(state.best_weights)
    model.eval()
    best_epoch, best_value = (state.best_epoch, state.best_value) if state.best_epoch else (None, None)
    return FitResult(state.epoch, best_epoch, best_value, state.seconds, state.stopped_by)


def _train_epoch(
    model: GradientRecommender,
    batches: Batches,
    epoch: int,
    optimizer: torch.optim.Optimizer,
    settings: TrainingSettings,
    advance: Callable[[], None],
) -> EpochRecord:
    model.train()
    if settings.cuda_graphs and not model.freeze():
        raise ValueError("`cuda_graphs` needs a model whose steps look nothing up, see `GradientRecommender.freeze`")
    # Dropout and the like draw from the global generator: tie it to the epoch as well.
    torch.manual_seed(int(np.random.SeedSequence([batches.seed, epoch, 1]).generate_state(1)[0]))
    times, others = _split_parameters(model)
    turns = [others, times] if settings.time_updates == "alternating" and times else [others + times]
    steps = [_stepper(model, optimizer, settings, parameters) for parameters in turns]
    loss_sum = torch.zeros((), dtype=torch.float64, device=batches.device)
    l2_sum = loss_sum.clone()
    for place, batch in enumerate(batches.epoch(epoch)):
        _set_learning_rates(optimizer, settings, (epoch + place / len(batches)) / settings.epochs)
        for turn, step in enumerate(steps):
            terms = step(batch)
            if turn == 0:
                loss_sum += terms[0] * len(batch.users)
                l2_sum += terms[1] * len(batch.users)
        advance()
    loss, l2 = (float(total) / batches.n_examples for total in (loss_sum, l2_sum))
    if not all(np.isfinite([loss + settings.l2 * l2, *(value for turn in times for value in turn.tolist())])):
        raise FloatingPointError(
            f"the loss became {loss} and the times {[turn.tolist() for turn in times]} in epoch {epoch + 1}: training"
            " diverged; lower `learning_rate` or `time_learning_rate`"
        )
    return {"loss": loss, "l2": l2}


def _stepper(
    model: GradientRecommender, optimizer: torch.optim.Optimizer, settings: TrainingSettings, parameters: list[Tensor]
) -> Callable[[Batch], tuple[Tensor, Tensor]]:
    """One update of ``parameters`` by a batch, recorded as a CUDA graph where that is asked for."""
    step = partial(_step, model, optimizer, settings.l2, parameters)
    return RecordedStep(step) if settings.cuda_graphs else step


def _step(
    model: GradientRecommender,
    optimizer: torch.optim.Optimizer,
    l2_weight: float,
    parameters: Iterable[Tensor],
    batch: Batch,
) -> tuple[Tensor, Tensor]:
    """One update of ``parameters`` alone: Adam passes over parameters without a gradient."""
    optimizer.zero_grad(set_to_none=True)
    terms = model(batch)
    terms.total(l2_weight).backward(inputs=list(parameters))
    optimizer.step()
    for times in learnable_times(model):
        times.project_()
    return terms.ranking.detach(), terms.l2.detach()


def _validate_and_decide(
    model: GradientRecommender,
    settings: TrainingSettings,
    validate: Callable[[], dict[str, float]] | None,
    select_by: str,
    state: TrainingState,
    out_of_time: bool,
) -> dict[str, float]:
    """Validate when it is due or the last chance, keep the best weights, and note in ``state`` why to stop."""
    last = out_of_time or state.epoch >= settings.epochs
    metrics: dict[str, float] = {}
    if validate is not None and (last or state.epoch % settings.validate_every == 0):
        model.eval()
        metrics = validate()
        if metrics[select_by] > state.best_value:
            state.best_value, state.best_epoch, state.validations_without_gain = metrics[select_by], state.epoch, 0
            state.best_weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        else:
            state.validations_without_gain += 1
            state.stopped_by = "patience" if state.validations_without_gain >= settings.patience else ""
    if last and not state.stopped_by:
        state.stopped_by = "epochs" if state.epoch >= settings.epochs else "max_minutes"
    return metrics


def _optimizer(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    times, others = _split_parameters(model)
    groups: list[dict[str, Any]] = [{"params": others, "lr": settings.learning_rate}]
    if times:
        groups.append({"params": times, "lr": settings.time_learning_rate})
    if not settings.cuda_graphs:
        return torch.optim.Adam(groups, fused=True)
    # A graph reads its learning rates from the GPU.
    for group in groups:
        group["lr"] = torch.tensor(group["lr"], device=others[0].device)
    return torch.optim.Adam(groups, fused=True, capturable=True)


def _set_learning_rates(optimizer: torch.optim.Optimizer, settings: TrainingSettings, progress: float) -> None:
    rates = (settings.learning_rate, settings.time_learning_rate)
    for group, rate in zip(optimizer.param_groups, rates, strict=False):
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate * settings.rate(progress))
        else:
            group["lr"] = rate * settings.rate(progress)


def _split_parameters(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The learned times, and everything else that is learned."""
    times = time_parameters(model)
    others: list[Tensor] = [p for p in model.parameters() if p.requires_grad and all(p is not t for t in times)]
    return times, others


def _note(record: EpochRecord, select_by: str) -> str:
    value = f" {select_by} {record[select_by]:.4f}" if select_by in record else ""
    return f"loss {record['loss']:.4f}{value}"
