"""Our models with RecBole's choices where these differ from ours: how much of the difference they explain."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import dropout, leaky_relu, normalize

from ltocf.data import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.models.initial import xavier_by_side
from ltocf.models.ngcf import NGCF, SLOPE
from ltocf.sampling import Batch
from ltocf.sampling.pairs import PairwiseBatches

ALIGNED = {
    "mf": "Xavier start, epochs are passes over the pairs",
    "lightgcn": "Xavier start, epochs are passes over the pairs",
    "gc-mc": "epochs are passes over the pairs",
    "ngcf": "epochs are passes over the pairs, each layer is normalised before the next",
}


class Passes(PairwiseBatches):
    """Every training pair once in an epoch, where ours draw a user first and then one of their items."""

    def __init__(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> None:
        super().__init__(train, batch_size, seed, device)
        self.pairs = torch.tensor(train.users), torch.tensor(train.items)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        generator = self.generator(epoch)
        for places in torch.randperm(self.n_examples, generator=generator).split(self.batch_size):
            users, positives = (part[places] for part in self.pairs)
            yield Batch(users, positives, self._untouched.draw(users, generator))


def normalised_layers(model: NGCF, embeddings: Tensor) -> Tensor:
    state, layers = embeddings, [embeddings]
    for own, shared, bias in zip(model.own, model.shared, model.biases, strict=True):
        neighbours = model.graph(state)
        state = leaky_relu((neighbours + state) @ own + (neighbours * state) @ shared + bias, SLOPE)
        state = normalize(dropout(state, model.message_dropout, model.training))
        layers.append(state)
    return torch.cat(layers, dim=1)


def align(name: str, model: Any, graph: BipartiteGraph, seed: int) -> None:
    """Make the model do what `ALIGNED` says."""
    model.batches = Passes
    if name in ("mf", "lightgcn"):
        generator = torch.Generator().manual_seed(seed)
        users, items = xavier_by_side(graph, model.dim, generator).split([graph.n_users, graph.n_items])
        model.start_from(users, items)
    if name == "ngcf":
        model.propagate = partial(normalised_layers, model)
