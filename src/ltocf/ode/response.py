"""A function of the graph's eigenvalues as a Chebyshev series, differentiable in whatever it depends on."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch

from ltocf.shapes import Coefficients, Eigenvalues, Response, Transform

FEWEST_NODES = 32
MOST_NODES = 1024
ROUNDING = 1e-13


def chebyshev_coefficients(
    response: Callable[[Eigenvalues], Response],
    tolerance: float = 1e-5,
    degree: int | None = None,
    device: torch.device | str = "cpu",
) -> Coefficients:
    """Coefficients c_0..c_d of h(λ) ≈ Σ_k c_k T_k(λ) on [-1, 1], cut where the rest no longer matters.

        c_k = (2 - [k = 0]) / n · Σ_j h(λ_j) cos(k θ_j),   λ_j = cos θ_j,   θ_j = π (j + 1/2) / n

    The degree d is one above the smallest for which the cut coefficients sum to at most ``tolerance`` times the sum
    of all (absolute values); as |T_k| <= 1 this bounds the error of h everywhere. The number of nodes n starts at 32
    and doubles until the last quarter of the coefficients is below the tolerance, so that aliasing is too.

    Args:
        response: h at float64 eigenvalues, shape (n,) to (n,); may be differentiable in other tensors.
        tolerance: share of the coefficients' sum that may be cut, > 0.
        degree: d, if it is known already: then no value is read back, so nothing waits for a GPU.
        device: device of the nodes. From the second call on nothing is copied to it, so a call can be recorded there as
            a CUDA graph.

    Raises:
        ValueError: ``tolerance`` <= 0, or h not resolved by 1,024 nodes.
        FloatingPointError: h is not finite.

    Source: Trefethen, *Approximation Theory and Approximation Practice*, chapter 3,
    https://people.maths.ox.ac.uk/trefethen/ATAP/

    Example:
        >>> [f"{c:.3f}" for c in chebyshev_coefficients(lambda x: 2 * x**2)]
        ['1.000', '0.000', '1.000']
        >>> len(chebyshev_coefficients(lambda x: 2 * x**2, degree=5))
        6
    """
    if not tolerance > 0:
        raise ValueError(f"`tolerance` must be > 0, got {tolerance}")
    if degree is not None:
        return _interpolate(response, max(FEWEST_NODES, 2 * degree), device)[: degree + 1]
    n_nodes = FEWEST_NODES
    while n_nodes <= MOST_NODES:
        coefficients = _interpolate(response, n_nodes, device)
        sizes = coefficients.detach().abs()
        allowed = tolerance * sizes.sum()
        if not torch.isfinite(allowed):
            raise FloatingPointError(
                "the response is not finite on [-1, 1]: shorten the `horizon`, or if training diverged lower"
                " `learning_rate`, `time_learning_rate` or `l2`"
            )
        if sizes[-n_nodes // 4 :].sum() <= allowed:
            rest = sizes.flip(0).cumsum(0).flip(0)
            # One coefficient more, unless it is only rounding: dc_k/dt is about as large as c_k-1.
            n_kept = min(int((rest > allowed).sum()) + 1, int((rest > ROUNDING * rest[0]).sum()))
            return coefficients[: max(1, n_kept)]
        n_nodes *= 2
    raise ValueError(f"the response needs more than {MOST_NODES} nodes: shorten the `horizon`")


def _interpolate(response: Callable[[Eigenvalues], Response], n_nodes: int, device: torch.device | str) -> Coefficients:
    """The series through h at ``n_nodes`` Chebyshev nodes."""
    nodes, transform = _nodes(n_nodes, torch.device(device))
    return transform @ response(nodes)


@lru_cache(maxsize=16)
def _nodes(n_nodes: int, device: torch.device) -> tuple[Eigenvalues, Transform]:
    """Chebyshev nodes, and the matrix that turns values there into coefficients."""
    with torch.inference_mode(False):
        angles = math.pi * (torch.arange(n_nodes, dtype=torch.float64) + 0.5) / n_nodes
        transform = torch.cos(torch.arange(n_nodes, dtype=torch.float64)[:, None] * angles) * (2 / n_nodes)
        transform[0] /= 2
        return torch.cos(angles).to(device), transform.to(device)


def evaluate_series(coefficients: Coefficients, eigenvalues: Eigenvalues) -> Response:
    """Σ_k c_k T_k(λ), with T_k(λ) = cos(k arccos λ).

    Example:
        >>> round(evaluate_series(torch.tensor([0.0, 0.0, 1.0]), torch.tensor([0.5])).item(), 4)
        -0.5
    """
    orders = torch.arange(len(coefficients), dtype=eigenvalues.dtype)
    return coefficients.to(eigenvalues.dtype) @ torch.cos(orders[:, None] * torch.arccos(eigenvalues))
