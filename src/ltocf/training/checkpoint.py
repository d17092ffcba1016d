"""The state of training as a safetensors file: whole or absent, never half-written, never a pickle.

If processes share the embeddings, these are in a folder beside it, see `ltocf.training.shards`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ltocf.evaluation.ranks import ALONE, Ranks
from ltocf.files import replacing, save_arrays
from ltocf.training.shards import folder_of, load_shards, remove_shards, save_shards
from ltocf.training.trainable import Trainable


@dataclass
class TrainingState:
    """The state of training after an epoch. Everything else follows from the seed and the epoch."""

    epoch: int = 0
    best_epoch: int = 0
    best_value: float = float("-inf")
    validations_without_gain: int = 0
    seconds: float = 0.0
    step_seconds: float = 0.0
    validation_seconds: float = 0.0
    stopped_by: str = ""
    best_weights: dict[str, Tensor] = field(default_factory=dict)


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    fingerprint: str = "",
    ranks: Ranks = ALONE,
) -> None:
    """Write the weights, the optimiser's moments, the best weights so far, the counters, and the fingerprint.

    Processes that share columns write these into a folder beside the file, each its own, and the first process writes
    the file with the rest. It is written last, so a crash leaves the checkpoint before it or this one.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in state.best_weights.items()}
    for index, entry in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in entry.items()}
    counters = {name: value for name, value in vars(state).items() if name != "best_weights"}
    metadata = {"state": json.dumps(counters), "fingerprint": fingerprint}
    if ranks.world > 1:
        widths = _widths(model, optimizer)
        shares = {name: tensors.pop(name) for name in widths if name in tensors}
        metadata["shards"] = json.dumps(save_shards(path, state.epoch, shares, widths, ranks))
    if ranks.rank:
        return
    with replacing(path, makes_folder=False) as temporary:
        save_arrays(save_file, {name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata)
    remove_shards(path, keep=folder_of(path, state.epoch) if ranks.world > 1 else None)


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, fingerprint: str = "", ranks: Ranks = ALONE
) -> TrainingState:
    """Put a saved state, the share of this process only, back into ``model`` and ``optimizer``; returns the counters.

    One process and several read what one or several have written.

    Raises:
        ValueError: a damaged file, one of another model (names or shapes of its tensors differ), or one with another
            fingerprint. A file of an earlier version, which has no fingerprint, is accepted.
    """
    try:
        return _load(path, model, optimizer, fingerprint, ranks)
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is damaged or no checkpoint ({error!r}); remove it to train this phase again"
        ) from error


def _load(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, fingerprint: str, ranks: Ranks
) -> TrainingState:
    widths, tensors = _widths(model, optimizer), dict[str, Tensor]()
    device = next(model.parameters()).device
    with safe_open(path, framework="pt", device=str(device)) as file:
        names = file.keys()
        for name in names:
            tensor = file.get_tensor(name)
            tensors[name] = ranks.own(tensor) if name in widths else tensor
        metadata = file.metadata()
    counters, owner = json.loads(metadata["state"]), metadata.get("fingerprint", "")
    if owner and fingerprint and owner != fingerprint:
        raise ValueError(
            f"{path} belongs to a run with other settings or data; remove it, or restore what the run was started with"
        )
    if shapes := json.loads(metadata.get("shards", "{}")):
        for name, share in load_shards(path, counters["epoch"], shapes, ranks):
            tensors[name] = share.to(device)
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    _add_later_weights(model, parts)
    try:
        model.load_state_dict(parts["model"])
    except RuntimeError as error:
        raise ValueError(f"{path} holds another model than the configured one: {error}") from error
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in parts["optimizer"].items():
        index, _, moment = name.partition(".")
        # Adam keeps its step counters on the CPU unless it is fused on a GPU; load_state_dict moves the rest.
        moments.setdefault(int(index), {})[moment] = tensor
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return TrainingState(**counters, best_weights=parts["best"])


def _add_later_weights(model: nn.Module, parts: dict[str, dict[str, Tensor]]) -> None:
    """Add what the weights of an interrupted training of an earlier version lack, see `Recommender.later_weights`."""
    later = {name: model.state_dict().get(name) for name in getattr(model, "later_weights", ())}
    for weights in filter(None, (parts["model"], parts["best"])):
        for name, value in later.items():
            if value is not None:
                weights.setdefault(name, value.clone())


def _widths(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, int]:
    """The tensors that hold columns which processes share, and how many columns each has."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    widths: dict[str, int] = {}
    for name, width in (model.columns() if isinstance(model, Trainable) else {}).items():
        widths |= {f"{part}.{name}": width for part in ("model", "best")}
        for index, parameter in enumerate(parameters):
            if parameter is model.get_parameter(name):
                widths |= {f"optimizer.{index}.{moment}": width for moment in ("exp_avg", "exp_avg_sq")}
    return widths
