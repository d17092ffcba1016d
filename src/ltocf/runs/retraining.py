"""Training on all pairs after a selection: what it takes over from the selected model, and what happens if time is
short."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, replace

from ltocf.models import Recommender
from ltocf.progress import readable_seconds
from ltocf.training import FitContext, FitResult, TrainingSettings

logger = logging.getLogger(__name__)


@dataclass
class Selected:
    """What the selection phase ended with.

    Args:
        model: until the model that is trained again has taken over what it needs; its graph takes memory.
        fit: how its training ended.
    """

    model: Recommender | None
    fit: FitResult


def as_selected(
    model: Recommender, selected: Selected, settings: TrainingSettings, context: FitContext
) -> tuple[TrainingSettings, FitContext]:
    """``model`` takes over what is no weight of the chosen one; how it is trained, see ``settings.retraining``.

    Args:
        model: on the graph of all pairs.
        selected: its model is let go if it will not be needed again.
        settings: those of the run.
        context: those of the run too; its deadline may ask for one more pass of the selected weights.
    """
    settings, context = _in_time(selected.fit, settings, context)
    chosen, epochs = selected.model, selected.fit.best_epoch or 0
    assert chosen is not None
    if context.deadline == math.inf:  # else it may be asked for once more
        selected.model = None
    model.take_over(chosen)
    if settings.retraining == "repeated":
        return settings, replace(context, last_epoch=epochs)
    if settings.retraining == "compressed":
        return replace(settings, epochs=epochs or settings.epochs), context
    if context.checkpoint is None or not context.checkpoint.exists():
        model.go_on_from(chosen)
    return settings.for_another_pass(), context


def _in_time(
    selection: FitResult, settings: TrainingSettings, context: FitContext
) -> tuple[TrainingSettings, FitContext]:
    """As the run has it; or one more pass of the selected weights, if the time limit would cut off anything longer.

    Weights that are cut off were never measured, and a pass takes a few epochs of many. A checkpoint of its own says
    that a run which goes on had decided so.
    """
    checkpoint = context.checkpoint
    if settings.retraining == "continued" or selection.best_epoch is None or checkpoint is None:
        return settings, context
    other = checkpoint.with_stem(f"{checkpoint.stem}-continued")
    if not other.exists():
        needed = selection.best_epoch * selection.seconds / selection.epochs
        if checkpoint.exists() or not context.is_late(needed):
            return settings, context
        logger.info(
            "%s: %d epochs would take about %s, longer than the time limit leaves: the selected weights are trained "
            "for one more pass",
            context.description,
            selection.best_epoch,
            readable_seconds(needed),
        )
    return replace(settings, retraining="continued"), replace(context, checkpoint=other)


def keep_selected_if_cut(
    model: Recommender, selected: Selected, result: FitResult, settings: TrainingSettings, context: FitContext
) -> None:
    """Weights that the time limit left unfinished were never measured; those that were selected were."""
    needed = selected.fit.best_epoch or 0
    if selected.model is None or result.stopped_by != "max_minutes" or result.epochs >= needed:
        return
    if settings.retraining == "continued":  # it began with them
        return
    logger.warning(
        "%s: the time limit left %d of the %d epochs, so the weights selected without the validation set are kept; "
        "give more time with `--max-minutes`",
        context.description,
        result.epochs,
        needed,
    )
    model.go_on_from(selected.model)
