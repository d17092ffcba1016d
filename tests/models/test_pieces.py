"""A batch in pieces has the loss and the gradient of the whole batch, for every model, loss and extra term."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from ltocf.graph import BipartiteGraph
from ltocf.models import GradientRecommender, build_model
from ltocf.sampling import Batch
from samples import random_interactions

SOFTMAX: dict[str, Any] = {"loss": "softmax", "n_negatives": 9}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "mf, BPR": ("mf", {}),
    "mf, cross-entropy": ("mf", {"loss": "cross-entropy"}),
    "mf, adaptive temperature": ("mf", SOFTMAX | {"adaptive_temperature": 0.5}),
    "lightgcn, softmax": ("lightgcn", SOFTMAX),
    "ltocf, BPR": ("ltocf", {}),
    "ltocf, robust, adaptive": ("ltocf", SOFTMAX | {"robustness": 0.3, "adaptive_temperature": 0.5, "n_times": 2}),
    "ltocf, whole catalogue": ("ltocf", SOFTMAX | {"n_negatives": 500, "whole_catalogue": True}),
    "ltocf, step by step": ("ltocf", SOFTMAX | {"propagation": "solver", "n_times": 1}),
    "ltocf, half precision": ("ltocf", SOFTMAX | {"precision": "bfloat16"}),
    "lr-gccf": ("lr-gccf", SOFTMAX),
    "ngcf": ("ngcf", {"message_dropout": 0.0}),
    "ngcf, published": ("ngcf", {"message_dropout": 0.3, "variant": "published"}),
    "grmf": ("grmf", {"smoothness": 0.5}),
    "grmf-norm, softmax": ("grmf-norm", SOFTMAX | {"smoothness": 0.5}),
    "hop-rec": ("hop-rec", {}),
    "gc-mc": ("gc-mc", {}),
    "pinsage": ("pinsage", {"n_walks": 5}),
}


def build(case: str, *, weighted: bool = False) -> tuple[GradientRecommender, Batch]:
    """A model and a batch of 103 examples for it."""
    name, options = CASES[case]
    log = random_interactions()
    model = build_model(name, BipartiteGraph.from_interactions(log), {"dim": 6, **options}, seed=3)
    assert isinstance(model, GradientRecommender)
    batch = next(model.batches(log, 103, 0).epoch(0))
    weights = torch.rand(103, generator=torch.Generator().manual_seed(5)) * 2
    return model, batch._replace(weights=weights) if weighted and "softmax" in str(options) else batch


def cut_into_pieces(batch: Batch, *, shared: bool) -> list[Batch]:
    """Five pieces, the last one smaller; each has the negatives of its own examples, or all of them if ``shared``."""
    n_examples, pieces = len(batch.users), []
    for start in range(0, n_examples, 22):
        part = slice(start, start + 22)

        def rows_of(items: Tensor, part: slice = part) -> Tensor:
            return items.view(n_examples, -1)[part].flatten()

        negatives = batch.negatives if shared else rows_of(batch.negatives)
        weights = None if batch.weights is None else batch.weights[part]
        pieces.append(Batch(batch.users[part], rows_of(batch.positives), negatives, weights))
    assert [len(piece.users) for piece in pieces] == [22, 22, 22, 22, 15]
    return pieces


def loss_and_gradients(case: str, weighted: bool, l2: float, *, in_pieces: bool) -> dict[str, Tensor]:
    """The loss, the gradients and the buffers after one batch; the negatives are the same for all pieces."""
    model, batch = build(case, weighted=weighted)
    pieces = cut_into_pieces(batch, shared="softmax" in str(CASES[case])) if in_pieces else [batch]
    torch.manual_seed(0)
    terms = model(*pieces)
    terms.total(l2).backward()
    found = {f"gradient of {name}": p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"loss": terms.ranking.detach(), **found, **dict(model.named_buffers())}


def assert_pieces_are_the_whole(case: str, weighted: bool, l2: float) -> None:
    whole, pieces = (loss_and_gradients(case, weighted, l2, in_pieces=in_pieces) for in_pieces in (False, True))
    assert whole.keys() == pieces.keys()
    for name, value in whole.items():
        torch.testing.assert_close(pieces[name], value, atol=1e-6, rtol=1e-4, msg=lambda text, name=name: name + text)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weighted", [False, True])
def test_pieces_with_the_same_negatives_are_the_whole(case: str, weighted: bool) -> None:
    assert_pieces_are_the_whole(case, weighted, l2=0.0)


@pytest.mark.parametrize("case", [case for case, (_, options) in CASES.items() if "softmax" not in str(options)])
def test_pieces_with_a_penalty_are_the_whole(case: str) -> None:
    assert_pieces_are_the_whole(case, weighted=False, l2=0.7)


def test_pieces_with_negatives_of_their_own_are_the_mean_of_batches() -> None:
    """By autograd alone: each piece as a batch with a propagation of its own, weighted by its size."""
    log = random_interactions()
    graph, options = BipartiteGraph.from_interactions(log), SOFTMAX | {"dim": 6, "robustness": 0.2, "n_times": 2}
    model = build_model("ltocf", graph, options)
    assert isinstance(model, GradientRecommender)
    pieces = list(model.batches(log, 50, 0).epoch(0))[-3:]
    sizes = [len(piece.users) for piece in pieces]
    assert sizes[0] > sizes[-1]
    assert not pieces[0].negatives.equal(pieces[1].negatives)
    model(*pieces).total(0.3).backward()
    found = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad()
    sum(size / sum(sizes) * model(piece).total(0.3) for size, piece in zip(sizes, pieces, strict=True)).backward()
    expected = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    assert len(found) == len(expected) == 2
    for gradient, expected_gradient in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, expected_gradient)


def test_one_propagation_serves_all_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = build("ltocf, BPR")
    calls = 0
    products = BipartiteGraph.neighbour_sums

    def counted_products(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        return products(*arguments, **keywords)

    monkeypatch.setattr(BipartiteGraph, "neighbour_sums", counted_products)
    found = []
    for pieces in ([batch], cut_into_pieces(batch, shared=False)):
        calls = 0
        model(*pieces).total(0.1).backward()
        found.append(calls)
    assert found[0] == found[1] > 0


def test_running_losses_move_once_for_all_pieces() -> None:
    """A user in several pieces moves once, towards the mean of all of them."""
    model, batch = build("mf, adaptive temperature")
    users = torch.zeros_like(batch.users)
    model(*cut_into_pieces(batch._replace(users=users), shared=True))
    moved = model.get_buffer("user_losses").clone()
    whole, _ = build("mf, adaptive temperature")
    whole(batch._replace(users=users))
    torch.testing.assert_close(moved, whole.get_buffer("user_losses"))
    assert int((moved != 0).sum()) == 1
