"""The record of each epoch, as a line of the history and, on request, in TensorBoard files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from ltocf.installation import needs_extra
from ltocf.runs.folder import RunFolder
from ltocf.training import EpochRecord


def recorder(
    folder: RunFolder, phase: str, stack: ExitStack, *, tensorboard: bool = False
) -> Callable[[EpochRecord], None]:
    """A function that writes each epoch to the history; a resumed run replaces the epochs that it repeats.

    Args:
        folder: the folder of the run.
        phase: ``selection`` or ``retraining``, after the label of a candidate if there are several.
        stack: closes the TensorBoard files.
        tensorboard: write TensorBoard files as well.

    Raises:
        ImportError: TensorBoard is requested and the ``tracking`` extra is not installed.
    """
    first = True

    def record_epoch(record: EpochRecord) -> None:
        nonlocal first
        if first:
            folder.cut_history(phase, record["epoch"])
            first = False
        folder.add_history({"phase": phase, **record})

    if not tensorboard:
        return record_epoch
    write_tensorboard = _tensorboard(folder, phase, stack)

    def record_in_both(record: EpochRecord) -> None:
        record_epoch(record)
        write_tensorboard(record)

    return record_in_both


def _tensorboard(folder: RunFolder, phase: str, stack: ExitStack) -> Callable[[EpochRecord], None]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise needs_extra("`tensorboard` needs", "tracking") from error
    # Later steps of an interrupted run are purged, since they are written again.
    n_done = sum(row["phase"] == phase for row in folder.history())
    writer = stack.enter_context(SummaryWriter(folder.path / "tensorboard" / phase, purge_step=n_done + 1))

    def write(record: EpochRecord) -> None:
        scalars = {f"t_{place}": time for place, time in enumerate(record.get("times", []), start=1)}
        scalars |= {name: value for name, value in record.items() if isinstance(value, float)}
        for name, value in scalars.items():
            writer.add_scalar(name, value, record["epoch"])

    return write
