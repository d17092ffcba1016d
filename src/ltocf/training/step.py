"""One update of a model by a batch: the optimiser, its rates, and the alternation of embeddings and times."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ltocf.ode.times import learnable_times, time_parameters
from ltocf.sampling import Batch
from ltocf.training.cuda_graphs import RecordedStep
from ltocf.training.settings import TrainingSettings
from ltocf.training.trainable import Trainable

Step = Callable[..., tuple[Tensor, Tensor]]
"""Updates by a batch, given as one piece or several; returns the ranking loss and the L2 penalty."""


class Stepper:
    """Adam on a model's parameters, the learned times in a group of their own."""

    def __init__(self, model: Trainable, settings: TrainingSettings) -> None:
        self.model, self.settings = model, settings
        self.times, self.others = _split_parameters(model)
        self.optimizer = self._optimizer()

    def steps(self) -> list[Step]:
        """One update of everything or, with alternating updates, one of the embeddings and then one of the times.

        Raises:
            ValueError: steps are to be recorded as CUDA graphs, but this model's steps depend on values.
        """
        if self.settings.cuda_graphs and not self.model.freeze():
            raise ValueError("`cuda_graphs` needs a model whose steps look nothing up, see `Trainable.freeze`")
        alternating = self.settings.time_updates == "alternating" and self.times
        turns = [self.others, self.times] if alternating else [self.others + self.times]
        steps = (partial(_step, self.model, self.optimizer, self.settings.l2, parameters) for parameters in turns)
        return [RecordedStep(step) if self.settings.cuda_graphs else step for step in steps]

    def set_rates(self, progress: float) -> None:
        """Set the learning rates that apply when ``progress``, in [0, 1), of all epochs is done."""
        rates = (self.settings.learning_rate, self.settings.time_learning_rate)
        for group, rate in zip(self.optimizer.param_groups, rates, strict=False):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate * self.settings.rate(progress))
            else:
                group["lr"] = rate * self.settings.rate(progress)

    def _optimizer(self) -> torch.optim.Optimizer:
        groups: list[dict[str, Any]] = [{"params": self.others, "lr": self.settings.learning_rate}]
        if self.times:
            groups.append({"params": self.times, "lr": self.settings.time_learning_rate})
        if not self.settings.cuda_graphs:
            return torch.optim.Adam(groups, fused=True)
        # A graph reads its learning rates from the GPU.
        for group in groups:
            group["lr"] = torch.tensor(group["lr"], device=self.others[0].device)
        return torch.optim.Adam(groups, fused=True, capturable=True)


def _step(
    model: Trainable,
    optimizer: torch.optim.Optimizer,
    l2_weight: float,
    parameters: Iterable[Tensor],
    *batch: Batch,
) -> tuple[Tensor, Tensor]:
    """One update of ``parameters`` alone: Adam skips parameters without a gradient."""
    optimizer.zero_grad(set_to_none=True)
    terms = model(*batch)
    terms.total(l2_weight).backward(inputs=list(parameters))
    optimizer.step()
    for times in learnable_times(model):
        times.project_()
    return terms.ranking.detach(), terms.l2.detach()


def _split_parameters(model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """The learned times, and everything else that is learned."""
    times = time_parameters(model)
    others: list[Tensor] = [p for p in model.parameters() if p.requires_grad and all(p is not t for t in times)]
    return times, others
