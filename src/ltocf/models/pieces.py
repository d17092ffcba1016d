"""The loss of a batch that is split into pieces: one propagation for all of them, and the memory of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ltocf.evaluation.ranks import ALONE, Ranks
from ltocf.losses import LossTerms
from ltocf.sampling import Batch
from ltocf.shapes import BatchIndices, Embeddings, FinalEmbeddings, Scalar

LossOfRows = Callable[[Batch, Tensor], Scalar]
"""The mean loss of a piece, given the final embeddings of its nodes in the order of `nodes_of`."""


def nodes_of(batch: Batch, n_users: int) -> BatchIndices:
    """Users, positives and negatives of a batch as rows of stacked embeddings.

    Example:
        >>> nodes_of(Batch(torch.tensor([1]), torch.tensor([0]), torch.tensor([2, 3])), n_users=5).tolist()
        [1, 5, 7, 8]
    """
    return torch.cat([batch.users, batch.positives + n_users, batch.negatives + n_users])


@runtime_checkable
class Propagating(Protocol):
    """A model whose loss is a function of final embeddings."""

    n_users: int
    if TYPE_CHECKING:  # from Python 3.12 on checks at run time do not find a tensor of a module
        initial_embeddings: nn.Parameter
    l2_of_final: bool
    ranks: Ranks

    def propagate(self, embeddings: Embeddings) -> FinalEmbeddings: ...

    def loss_of_rows(self, batch: Batch, rows: Tensor) -> Scalar: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...


def terms_in_pieces(model: Propagating, pieces: Sequence[Batch]) -> LossTerms:
    """Both loss terms of a batch that is split into pieces."""
    initial, n_users, ranks = model.initial_embeddings, model.n_users, model.ranks
    # Made before the propagation, so that its backward runs after the propagation's, whose states are freed by then.
    l2 = None if model.l2_of_final else l2_penalty_in_pieces(initial, pieces, n_users, ranks)
    final = model.propagate(initial)
    ranking = loss_in_pieces(model.loss_of_rows, pieces, n_users, final, [*model.parameters()], ranks)
    return LossTerms(ranking, l2_penalty_in_pieces(final, pieces, n_users, ranks) if l2 is None else l2)


def loss_in_pieces(
    loss_of: LossOfRows,
    pieces: Sequence[Batch],
    n_users: int,
    final: FinalEmbeddings,
    parameters: Sequence[Tensor],
    ranks: Ranks = ALONE,
) -> Scalar:
    """The mean loss over the examples of all pieces, differentiable in ``final`` and in ``parameters``.

        L = Σ_p (B_p / B) L_p(E_final),   dL/dE_final = Σ_p (B_p / B) dL_p/dE_final

    The gradient is computed along with the value, one piece after the other, and added up in one matrix like ``final``;
    then one backward pass takes it through the propagation. So a batch of any size needs the memory of a piece and two
    such matrices, and its gradient is the exact one, up to the order of sums.

    Args:
        loss_of: the loss of one piece.
        pieces: the pieces of the batch, each with negatives of its own.
        n_users: rows of ``final`` that are users.
        final: E_final.
        parameters: what ``loss_of`` may depend on besides ``final``.
        ranks: the processes that share the embeddings.
    """
    learned = [parameter for parameter in parameters if parameter.requires_grad]
    loss: Scalar = _LossInPieces.apply(loss_of, pieces, n_users, ranks, final, *learned)  # type: ignore[no-untyped-call]
    return loss


def l2_penalty_in_pieces(
    embeddings: FinalEmbeddings, pieces: Sequence[Batch], n_users: int, ranks: Ranks = ALONE
) -> Scalar:
    """`ltocf.losses.l2_penalty` of the rows that all pieces use, which are counted instead of gathered."""
    counts = embeddings.new_zeros(len(embeddings))
    for piece in pieces:
        nodes = ranks.local_rows(nodes_of(piece, n_users))
        counts.index_add_(0, nodes, counts.new_ones(()).expand(len(nodes)))
    return counts @ embeddings.square().sum(1) / (2 * sum(len(piece.users) for piece in pieces))


class _LossInPieces(torch.autograd.Function):
    """See `loss_in_pieces`."""

    @staticmethod
    def forward(
        ctx: Any,
        loss_of: LossOfRows,
        pieces: Sequence[Batch],
        n_users: int,
        ranks: Ranks,
        final: Tensor,
        *parameters: Tensor,
    ) -> Tensor:
        n_examples = sum(len(piece.users) for piece in pieces)
        value = final.new_zeros(())
        ctx.gradients = [torch.zeros_like(final), *[None] * len(parameters)]
        for piece in pieces:
            nodes, share = nodes_of(piece, n_users), len(piece.users) / n_examples
            rows = ranks.take(final.detach(), nodes).requires_grad_()
            with torch.enable_grad():
                loss = share * loss_of(piece, rows)
            row_gradients, *others = torch.autograd.grad(loss, [rows, *parameters], allow_unused=True)
            value += loss.detach()
            ranks.add(ctx.gradients[0], nodes, row_gradients)
            for place, other in enumerate(others, start=1):
                if other is not None:
                    ctx.gradients[place] = other if ctx.gradients[place] is None else ctx.gradients[place].add_(other)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        # In place: these matrices are as large as all embeddings, and are used only once.
        scaled = [None if kept is None else kept.mul_(gradients[0]) for kept in ctx.gradients]
        del ctx.gradients
        return (None, None, None, None, *scaled)
