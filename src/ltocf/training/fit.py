"""The training loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from ltocf.ode.times import learnable_times
from ltocf.progress import log_line, progress_bar, readable_seconds
from ltocf.sampling import Batches, Portions
from ltocf.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from ltocf.training.context import EpochRecord, FitContext, FitResult
from ltocf.training.divergence import diverged, first_not_finite, largest_weight, why_not_finite
from ltocf.training.settings import TrainingSettings
from ltocf.training.step import Stepper
from ltocf.training.trainable import Trainable

Validate = Callable[[], dict[str, float]]


def fit(
    model: Trainable,
    batches: Batches,
    *,
    settings: TrainingSettings,
    validate: Validate | None = None,
    context: FitContext | None = None,
    pieces: int = 1,
) -> FitResult:
    """Train ``model`` in place; with ``validate`` it ends with the weights of its best validation.

    Epoch e depends only on the seed, e and the state after epoch e - 1, so a run continued from its checkpoint
    ends with the same bits on a CPU as one that was never stopped. The caller's random numbers are left alone.

    Args:
        model: the model, already on its device.
        batches: the batches, on the same device; an epoch is the share `TrainingSettings.epoch_share` of them.
        settings: see `TrainingSettings`.
        validate: returns the metrics of the model in its present state, without changing it.
        context: see `FitContext`.
        pieces: number of batches in a step; more than one for models that take them, see `EmbeddingRecommender`.

    Raises:
        FloatingPointError: the loss or a time is no longer finite.
        ValueError: ``cuda_graphs`` without a GPU, with a model that cannot be recorded, or with steps of several
            batches; a checkpoint of another run.

    Example:
        >>> from ltocf.data import Interactions
        >>> from ltocf.graph import BipartiteGraph
        >>> from ltocf.models import MF
        >>> log = Interactions.from_pairs([0, 1], [0, 1])
        >>> model = MF(BipartiteGraph.from_interactions(log), dim=4)
        >>> fit(model, model.batches(log, 2, seed=0), settings=TrainingSettings(epochs=3)).stopped_by
        'epochs'
    """
    if settings.cuda_graphs and batches.device.type != "cuda":
        raise ValueError(f"`cuda_graphs` needs a CUDA GPU, the batches are on {batches.device}; leave it false")
    if settings.cuda_graphs and pieces > 1:
        raise ValueError(f"`cuda_graphs` records steps of one batch, got {pieces}; leave it false")
    context = context or FitContext()
    stepper, state = Stepper(model, settings), TrainingState()
    portions = Portions(batches, settings.epoch_share, pieces)
    if context.checkpoint is not None and context.checkpoint.exists():
        state = load_checkpoint(context.checkpoint, model, stepper.optimizer, context.fingerprint, context.ranks)
    with progress_bar(enabled=context.show_progress) as bar, _preserved_random_state(batches.device):
        total, done = context.epochs_of(settings.epochs) * len(portions), state.epoch * len(portions)
        task = bar.add_task(context.description, total=total, completed=done, note="")
        last_saved = float("-inf")
        while not state.stopped_by:
            started = time.perf_counter()
            record = _train_epoch(stepper, portions, state.epoch, context, lambda: bar.advance(task))
            state.epoch += 1
            epoch_seconds = time.perf_counter() - started
            state.step_seconds += epoch_seconds
            record |= _validate_and_decide(model, settings, validate, context, state, epoch_seconds)
            record["seconds"] = time.perf_counter() - started
            state.seconds += record["seconds"]
            if context.on_epoch is not None:
                context.on_epoch(record)
            bar.update(task, note=_note(record, context.select_by))
            if context.show_progress and (context.select_by in record or state.stopped_by):
                _log(record, settings, state, context)
            due = bool(state.stopped_by) or time.monotonic() - last_saved > context.seconds_between_checkpoints
            if context.checkpoint is not None and context.ranks.first(due):
                context.before_checkpoint()
                save_checkpoint(context.checkpoint, model, stepper.optimizer, state, context.fingerprint, context.ranks)
                last_saved = time.monotonic()
    if state.best_weights:
        model.load_state_dict(state.best_weights)
    model.eval()
    best_epoch, best_value = (state.best_epoch, state.best_value) if state.best_epoch else (None, None)
    repeating_seconds = state.step_seconds * (best_epoch or state.epoch) / state.epoch
    return FitResult(state.epoch, best_epoch, best_value, state.seconds, state.stopped_by, repeating_seconds)


def _train_epoch(
    stepper: Stepper, portions: Portions, epoch: int, context: FitContext, advance: Callable[[], None]
) -> EpochRecord:
    """The steps of one epoch; those after the deadline are not taken."""
    model, settings = stepper.model, stepper.settings
    model.train()
    steps = stepper.steps()
    # Dropout and the like draw from the global generator, so its seed depends on the epoch too.
    torch.manual_seed(int(np.random.SeedSequence([portions.seed, epoch, 1]).generate_state(1)[0]))
    loss_sum = torch.zeros((), dtype=torch.float64, device=portions.device)
    l2_sum, n_examples = loss_sum.clone(), 0
    losses: list[Tensor] = []
    for place, batch in enumerate(portions.steps(epoch)):
        stepper.set_rates((epoch + place / len(portions)) / settings.epochs)
        size = sum(len(piece.users) for piece in batch)
        for turn, step in enumerate(steps):
            try:
                terms = step(*batch)
            except FloatingPointError as error:  # a solver refuses times that are not finite
                raise diverged(str(error), place, epoch, portions, settings, context) from error
            if turn == 0:
                losses.append(terms[0] * size)
                loss_sum += losses[-1]
                l2_sum += terms[1] * size
        n_examples += size
        advance()
        if context.is_late(context.validation_seconds):
            break
    if not settings.cuda_graphs:
        stepper.optimizer.zero_grad()  # frees gradients as large as the embeddings before the validation
    loss, l2 = (float(total) / n_examples for total in (loss_sum, context.ranks.everyone().total(l2_sum)))
    times = [time for times in learnable_times(model) for time in times.values.tolist()]
    largest = float(context.ranks.everyone().total(largest_weight(model, l2_sum)))
    if reason := why_not_finite(loss, l2, times, largest, settings, epoch):
        raise diverged(reason, first_not_finite(losses), epoch, portions, settings, context)
    return {"epoch": epoch + 1, "loss": loss, "l2": l2, "times": times}


def _validate_and_decide(
    model: Trainable,
    settings: TrainingSettings,
    validate: Validate | None,
    context: FitContext,
    state: TrainingState,
    epoch_seconds: float,
) -> dict[str, float]:
    """Validate if it is due or this is the last epoch, keep the best weights, and note in ``state`` why to stop."""
    due = validate is not None and state.epoch % settings.validate_every == 0
    validation_seconds = 0.0 if validate is None else state.validation_seconds or context.validation_seconds
    # Another epoch starts only if there is time for it and its validation, after the validation that is due now.
    seconds_needed = epoch_seconds + validation_seconds * (2 if due else 1)
    finished = state.epoch >= context.epochs_of(settings.epochs)
    last = finished or context.is_late(seconds_needed)
    metrics: dict[str, float] = {}
    if validate is not None and (due or last):
        started = time.perf_counter()
        model.eval()
        metrics = validate()
        state.validation_seconds = time.perf_counter() - started
        _keep_best(model, metrics[context.select_by], settings, state)
    if last and not state.stopped_by:
        state.stopped_by = "epochs" if finished else "max_minutes"
    return metrics


def _keep_best(model: Trainable, value: float, settings: TrainingSettings, state: TrainingState) -> None:
    if value > state.best_value:
        state.best_value, state.best_epoch, state.validations_without_gain = value, state.epoch, 0
        for name, tensor in model.state_dict().items():
            if name in state.best_weights:
                state.best_weights[name].copy_(tensor)
            else:
                state.best_weights[name] = tensor.clone()
    else:
        state.validations_without_gain += 1
        state.stopped_by = "patience" if state.validations_without_gain >= settings.patience else ""


@contextmanager
def _preserved_random_state(device: torch.device) -> Iterator[None]:
    """Restore PyTorch's global generators after the block, so that the caller's random numbers do not change."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _note(record: EpochRecord, select_by: str) -> str:
    value = f" {select_by} {record[select_by]:.4f}" if select_by in record else ""
    return f"loss {record['loss']:.4f}{value}"


def _log(record: EpochRecord, settings: TrainingSettings, state: TrainingState, context: FitContext) -> None:
    epochs = context.epochs_of(settings.epochs)
    if state.stopped_by:
        ending = f"stopped by {state.stopped_by} after {readable_seconds(state.seconds)}"
    else:
        left = (epochs - state.epoch) * state.seconds / state.epoch
        ending = f"{readable_seconds(state.seconds)}, at most {readable_seconds(left)} left"
    log_line(f"{context.description}: epoch {state.epoch} of {epochs}, {_note(record, context.select_by)}, {ending}")
