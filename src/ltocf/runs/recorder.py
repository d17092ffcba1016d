"""What happens in each epoch, as lines of the history and, if asked for, as TensorBoard files."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from ltocf.installation import needs_extra
from ltocf.runs.folder import RunFolder
from ltocf.training import EpochRecord


def recorder(
    folder: RunFolder, phase: str, stack: ExitStack, *, tensorboard: bool = False
) -> Callable[[EpochRecord], None]:
    """A function that writes each epoch to the history; a resumed run writes over what it does again.

    Args:
        folder: the run.
        phase: ``selection`` or ``retraining``.
        stack: closes what was opened.
        tensorboard: write TensorBoard files as well.

    Raises:
        ImportError: TensorBoard is asked for and the ``tracking`` extra is not installed.
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
    write = _tensorboard(folder, phase, stack)

    def record_twice(record: EpochRecord) -> None:
        record_epoch(record)
        write(record)

    return record_twice


def _tensorboard(folder: RunFolder, phase: str, stack: ExitStack) -> Callable[[EpochRecord], None]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise needs_extra("`tensorboard` needs", "tracking") from error
    # Steps from here on are purged: those of a run that was cut off are written again.
    done = sum(row["phase"] == phase for row in folder.history())
    board = stack.enter_context(SummaryWriter(folder.path / "tensorboard" / phase, purge_step=done + 1))

    def write(record: EpochRecord) -> None:
        numbers = {f"t_{place}": time for place, time in enumerate(record.get("times", []), start=1)}
        numbers |= {name: value for name, value in record.items() if isinstance(value, float)}
        for name, value in numbers.items():
            board.add_scalar(name, value, record["epoch"])

    return write
