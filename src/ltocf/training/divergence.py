"""A training that diverged: the batch whose loss is no longer finite, and what to change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from ltocf.files import replacing, save_arrays
from ltocf.sampling import Batch, Portions
from ltocf.training.context import FitContext
from ltocf.training.settings import TrainingSettings

LARGEST = 1e19
"""Largest weight: the product of two larger ones is infinite in single precision, and scores sum such products."""
BATCH_NOTE = "; the batch of step"
"""Begins the part of a message that says where the batch is."""


def diverged(
    reason: str, step: int, epoch: int, portions: Portions, settings: TrainingSettings, context: FitContext
) -> FloatingPointError:
    """The error to raise; the batch is written to ``context.diverged`` if that names a file.

    Args:
        reason: what was found, and what to change.
        step: the step of the epoch, counted from 0.
        epoch: the epoch, counted from 0.
        portions: the source of the batch, which makes it again.
        settings: saved beside the batch.
        context: has the path of the file, and the processes that train together.
    """
    if context.diverged is None:
        return FloatingPointError(reason)
    if not context.ranks.rank:
        batch = next(islice(portions.steps(epoch), step, None))
        place = {"seed": portions.seed, "epoch": epoch + 1, "step": step + 1}
        write_batch(context.diverged, batch, {**place, "reason": reason, "training": asdict(settings)})
    return FloatingPointError(f"{reason}{BATCH_NOTE} {step + 1} is in {context.diverged}")


def first_not_finite(losses: Sequence[Tensor]) -> int:
    """The first step whose loss is not finite, counted from 0; the last one if all are."""
    not_finite = (~torch.stack(list(losses)).isfinite()).nonzero()
    return int(not_finite[0]) if len(not_finite) else len(losses) - 1


def largest_weight(model: torch.nn.Module, like: Tensor) -> Tensor:
    """The largest absolute value of all parameters, or NaN if one is; of the type and device of the scalar ``like``."""
    extremes = [extreme for weights in model.parameters() if weights.numel() for extreme in weights.detach().aminmax()]
    return torch.stack([extreme.to(like).abs() for extreme in extremes]).max() if extremes else torch.zeros_like(like)


def why_not_finite(
    loss: float, l2: float, times: list[float], largest: float, settings: TrainingSettings, epoch: int
) -> str | None:
    """A message about what is no longer finite at the end of an epoch, and what to change; None if all is finite.

    Args:
        loss: mean loss of the epoch, without the penalty.
        l2: mean penalty, before it is multiplied by ``settings.l2``.
        times: the learned times.
        largest: the largest weight; the last step may have changed it after its loss.
        settings: has the factor of the penalty.
        epoch: the epoch, counted from 0.
    """
    remedy = "lower `learning_rate` or `time_learning_rate`"
    if np.isfinite([loss + settings.l2 * l2, *times]).all():
        if largest < LARGEST:
            return None
        return (
            f"weights became as large as {largest:g} in the last step of epoch {epoch + 1}: training diverged; {remedy}"
        )
    if settings.l2 and np.isfinite([loss, *times]).all():
        remedy = f"lower `l2`, which is {settings.l2:g}"
    return (
        f"the loss became {loss}, the L2 penalty {l2} and the times {times} in epoch {epoch + 1}: training diverged; "
        f"{remedy}"
    )


def write_batch(path: Path, batch: Sequence[Batch], details: dict[str, object]) -> None:
    """Write a step's pieces, one after the other, as arrays of a safetensors file, with ``details`` as metadata.

    Batches depend on the seed alone, and parameters on the steps before, so the same run diverges again at this step.
    """
    parts: dict[str, list[Tensor]] = {}
    for piece in batch:
        for name, values in piece._asdict().items():
            if values is not None:
                parts.setdefault(name, []).append(values.detach().cpu())
    arrays = {name: torch.cat(values).contiguous() for name, values in parts.items()}
    with replacing(path) as temporary:
        save_arrays(save_file, arrays, temporary, {"diverged": json.dumps(details, sort_keys=True)})
