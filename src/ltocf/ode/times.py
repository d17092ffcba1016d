"""The times at which the solution is read, learned with the embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltocf.shapes import Times

SMALLEST_GAP = 1e-3
"""Smallest distance between neighbouring times, as a share of an even interval."""


class LearnableTimes(nn.Module):
    """Times 0 < t_1 < ... < t_T < K, started evenly at t_i = i K / (T + 1).

    The times themselves are the parameter, so that their gradient and learning rate mean what they do in the
    paper. After an optimiser step `project_` moves them to the nearest times that are ordered and inside.

    Args:
        n_times: T, the number of times strictly between 0 and the horizon; 0 is allowed.
        horizon: K, the end of the integration, in units of one graph layer.
        learnable: whether the times receive gradients.

    Raises:
        ValueError: ``n_times`` < 0, or ``horizon`` not finite and > 0.

    Source: LT-OCF (Choi, Jeon, Park, CIKM 2021, section 3.3), https://doi.org/10.1145/3459637.3482449
    Differs: the authors' program clamps one time after the other by its neighbours, which depends on the order;
    we project all at once. It also keeps the times outside the state_dict; here they are saved with the model.

    Example:
        >>> times = LearnableTimes(3, horizon=4.0)
        >>> times.boundaries().tolist()
        [0.0, 1.0, 2.0, 3.0, 4.0]
        >>> with torch.no_grad():
        ...     _ = times.values.copy_(torch.tensor([2.5, 2.0, 5.0]))
        >>> times.project_()
        >>> [round(t, 2) for t in times.boundaries().tolist()]
        [0.0, 2.25, 2.25, 4.0, 4.0]
    """

    ends: Tensor

    def __init__(self, n_times: int, horizon: float, *, learnable: bool = True) -> None:
        super().__init__()
        if n_times < 0:
            raise ValueError(f"`n_times` must be >= 0, got {n_times}")
        if not 0 < horizon < float("inf"):
            raise ValueError(f"`horizon` must be finite and > 0, got {horizon}")
        self.horizon = float(horizon)
        even = torch.linspace(0, self.horizon, n_times + 2)[1:-1]
        self.values = nn.Parameter(even.clone(), requires_grad=learnable and n_times > 0)
        # On the device of the times: a number that comes from the CPU cannot be part of a recorded CUDA graph.
        self.register_buffer("ends", torch.tensor([0.0, self.horizon]), persistent=False)

    def forward(self) -> Times:
        return self.values

    def boundaries(self) -> Times:
        """0, t_1, ..., t_T, K: the ends of the stretches that are integrated."""
        return torch.cat([self.ends[:1], self.values, self.ends[1:]])

    @torch.no_grad()
    def project_(self) -> None:
        """Replace the times by the nearest ones (least squares) that ascend with a gap between neighbours.

        With s_i = t_i - i gap this is isotonic regression within bounds, whose solution is the unbounded one, clipped:

            max_{a <= i} min_{b >= i} mean(s_a, ..., s_b)

        Times that are not finite stay so: the error is raised where the values are read, as nothing here waits for a
        GPU.

        Source of the formula: Robertson, Wright, Dykstra, *Order Restricted Statistical Inference*, 1988, section 1.4.
        """
        n_times = len(self.values)
        if n_times == 0:
            return
        gap = SMALLEST_GAP * self.horizon / (n_times + 1)
        offsets = gap * torch.arange(1, n_times + 1, dtype=torch.float64, device=self.values.device)
        ordered = _isotonic(self.values.double() - offsets).clamp(0, self.horizon - gap * (n_times + 1))
        self.values.copy_(ordered + offsets)

    def extra_repr(self) -> str:
        return f"n_times={len(self.values)}, horizon={self.horizon}, learnable={self.values.requires_grad}"


def _isotonic(values: Times) -> Times:
    """The nearest non-decreasing sequence, in time quadratic in its length, which is small."""
    places = torch.arange(len(values), device=values.device)
    sums = torch.cat([values.new_zeros(1), values.cumsum(0)])
    lengths = places - places[:, None] + 1
    means = (sums[1:] - sums[:-1, None]) / lengths  # of values[a..b], in row a and column b >= a
    highest_first = means.masked_fill(lengths < 1, torch.inf).flip(1).cummin(1).values.flip(1)
    lowest_last: Times = highest_first.masked_fill(lengths < 1, -torch.inf).amax(0)
    return lowest_last


def learnable_times(model: nn.Module) -> list[LearnableTimes]:
    """All `LearnableTimes` inside a model whose times are learned."""
    return [module for module in model.modules() if isinstance(module, LearnableTimes) and module.values.requires_grad]


def time_parameters(model: nn.Module) -> list[Tensor]:
    """The learned times of a model, which have a learning rate of their own."""
    return [module.values for module in learnable_times(model)]
