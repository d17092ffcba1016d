"""Training on all pairs after a selection: what it takes from the selected model, and what happens if time is short."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

from ltocf.models import Recommender
from ltocf.models.drift import NO_DRIFT, Drift
from ltocf.progress import readable_seconds
from ltocf.training import FitContext, FitResult, TrainingSettings

logger = logging.getLogger(__name__)


@dataclass
class Selected:
    """The result of the selection phase.

    Args:
        model: the selected model; None as soon as it is not needed any more, since its graph takes memory.
        fit: how its training ended.
        drift: how its numbers of recency change for the longer histories.
    """

    model: Recommender | None
    fit: FitResult
    drift: Drift = NO_DRIFT


def prepare_retraining(
    model: Recommender, selected: Selected, settings: TrainingSettings, context: FitContext
) -> tuple[TrainingSettings, FitContext]:
    """Copy what the selection chose to ``model``; returns how to train it, see ``settings.retraining``.

    Args:
        model: the model on the graph of all pairs.
        selected: the selected model, which is released if it will not be needed again.
        settings: the settings of the run, after `shortened_if_late`.
        context: the context of the run, after `shortened_if_late`.
    """
    chosen, epochs = selected.model, selected.fit.best_epoch or 0
    assert chosen is not None
    if context.deadline == math.inf:  # else `restore_selected_if_cut` may need it
        selected.model = None
    model.take_over(chosen)
    if settings.retraining == "continued" and (context.checkpoint is None or not context.checkpoint.exists()):
        model.go_on_from(chosen)
    model.extrapolate(selected.drift)
    if settings.retraining == "repeated":
        return settings, replace(context, last_epoch=epochs)
    if settings.retraining == "compressed":
        return replace(settings, epochs=epochs or settings.epochs), context
    return settings.for_another_pass(), context


def shortened_if_late(
    selection: FitResult, growth: float, settings: TrainingSettings, context: FitContext
) -> tuple[TrainingSettings, FitContext]:
    """The given settings; or one more pass of the selected weights, if the time limit would cut off the retraining.

    Weights of a training that was cut off were never measured, and a pass takes far less time. It has a checkpoint of
    its own, by which a resumed run knows of this decision.

    Args:
        selection: how the selection ended.
        growth: the number of all pairs, in multiples of those of the selection.
        settings: the settings of the run.
        context: the context of the run.
    """
    checkpoint = context.checkpoint
    if settings.retraining == "continued" or not selection.repeating_seconds or checkpoint is None:
        return settings, context
    pass_checkpoint = checkpoint.with_stem(f"{checkpoint.stem}-continued")
    if not pass_checkpoint.exists():
        needed = growth * selection.repeating_seconds
        if checkpoint.exists() or not context.is_late(needed):
            return settings, context
        logger.info(
            "%s: %d epochs would take about %s, longer than the time limit leaves: the selected weights are trained "
            "for one more pass",
            context.description,
            selection.best_epoch,
            readable_seconds(needed),
        )
    return replace(settings, retraining="continued"), replace(context, checkpoint=pass_checkpoint)


def restore_selected_if_cut(
    model: Recommender, selected: Selected, result: FitResult, settings: TrainingSettings, context: FitContext
) -> None:
    """Restore the selected weights if the time limit cut off the retraining: only they were validated."""
    needed = selected.fit.best_epoch or 0
    if selected.model is None or result.stopped_by != "max_minutes" or result.epochs >= needed:
        return
    if settings.retraining == "continued":  # it started from the selected weights
        return
    logger.warning(
        "%s: the time limit left %d of the %d epochs, so the weights selected without the validation set are kept; "
        "give more time with `--max-minutes`",
        context.description,
        result.epochs,
        needed,
    )
    model.take_over(selected.model)
    model.go_on_from(selected.model)
    model.extrapolate(selected.drift)
