"""Mult-VAE: a variational auto-encoder of whole histories."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear, log_softmax, normalize

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.losses import LossTerms
from ltocf.models.base import GradientRecommender, evaluating
from ltocf.models.row_products import row_products
from ltocf.sampling import Batch, Batches, UserBatches
from ltocf.shapes import Scalar, Scores, UserEmbeddings, UserIndices

BIAS_DEVIATION = 0.001


class MultVAE(GradientRecommender):
    """Variational auto-encoder with a multinomial likelihood.

        z ~ N(μ(x), σ²(x)),   x the history of a user, normalised, some of it dropped
        loss(u) = -Σ_i r_ui log softmax(f(z))_i + β KL(N(μ, σ²) || N(0, I))

    with one hidden tanh layer in the encoder and in the decoder f. The score is f(μ), for any history: no parameter
    belongs to a user.

    Args:
        graph: the training graph, for the histories.
        dim: length of z.
        hidden: width of both hidden layers.
        dropout: share of the history that a training step drops.
        largest_beta: β rises linearly from 0 to this.
        annealing_steps: training steps until β is ``largest_beta``, >= 1.
        seed: seed of the initial weights.

    Raises:
        ValueError: a number out of range.

    Source: Liang et al., WWW 2018, sections 2.1-2.3, https://doi.org/10.1145/3178876.3186150; widths, dropout, β and
    initialisation from its program. Differs: β = 0.2 is not searched by annealing to 1 first, as in its program.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> MultVAE(graph, dim=4, hidden=8).scores(torch.tensor([0])).shape
        torch.Size([1, 2])
    """

    n_steps: Tensor

    def __init__(
        self,
        graph: BipartiteGraph,
        dim: int = 200,
        hidden: int = 600,
        dropout: float = 0.5,
        largest_beta: float = 0.2,
        annealing_steps: int = 20_000,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(graph.n_users, graph.n_items)
        for name, value in (("dim", dim), ("hidden", hidden), ("annealing_steps", annealing_steps)):
            if value < 1:
                raise ValueError(f"`{name}` must be >= 1, got {value}")
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1), got {dropout}")
        if not 0 <= largest_beta < math.inf:
            raise ValueError(f"`largest_beta` must be finite and >= 0, got {largest_beta}")
        self.graph, self.dim, self.dropout = graph, dim, dropout
        self.largest_beta, self.annealing_steps = largest_beta, annealing_steps
        generator = torch.Generator().manual_seed(seed)
        sizes = {"encoder": (hidden, self.n_items), "moments": (2 * dim, hidden), "decoder": (hidden, dim)}
        sizes["output"] = (self.n_items, hidden)
        self.weights, self.biases = nn.ParameterDict(), nn.ParameterDict()
        for name, size in sizes.items():
            self.weights[name] = nn.init.xavier_uniform_(torch.empty(size), generator=generator)
            self.biases[name] = torch.randn(size[0], generator=generator) * BIAS_DEVIATION
        self.register_buffer("n_steps", torch.zeros(()))

    def forward(self, batch: Batch) -> LossTerms:
        histories = self.graph.histories(batch.users)
        mean, log_variance = self.encode(histories)
        latent = mean + torch.randn_like(mean) * (log_variance / 2).exp() if self.training else mean
        likelihood = (log_softmax(self.decode(latent), dim=1) * histories).sum(1).mean()
        ranking = divergence(mean, log_variance).mean() * self.beta() - likelihood
        if self.training:
            self.n_steps += 1
        l2 = sum((weight.square().sum() for weight in self.weights.values()), torch.zeros(())) / 2
        return LossTerms(ranking, l2)

    def beta(self) -> Scalar:
        """The weight of the divergence in the next step."""
        return self.largest_beta * (self.n_steps / self.annealing_steps).clamp(max=1)

    def encode(self, histories: Scores) -> tuple[UserEmbeddings, UserEmbeddings]:
        """μ and log σ² of each history."""
        inputs = dropout(normalize(histories), self.dropout, self.training)
        hidden = torch.tanh(self._layer("encoder", inputs))
        moments = self._layer("moments", hidden)
        return moments[:, : self.dim], moments[:, self.dim :]

    def decode(self, latent: UserEmbeddings) -> Scores:
        """f(z): logits of the items."""
        return self._layer("output", torch.tanh(self._layer("decoder", latent)))

    def _layer(self, name: str, inputs: Tensor) -> Tensor:
        """One linear layer; outside of training a row has the same bits whichever rows are beside it."""
        if self.training or torch.is_grad_enabled():
            return linear(inputs, self.weights[name], self.biases[name])
        return row_products(inputs, self.weights[name]).add_(self.biases[name])

    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> Batches:
        return UserBatches(train, batch_size, seed, device)

    def scorer(self) -> MultVAE:
        """The model itself; `scores` runs it without dropout."""
        return self

    @torch.no_grad()
    def scores(self, users: UserIndices) -> Scores:
        """f(μ) of each user's training history."""
        return self.history_scores(self.graph.histories(users.to(self.n_steps.device)))

    @torch.no_grad()
    def history_scores(self, histories: Scores) -> Scores:
        """f(μ) of any histories: rows over the items, 1 where an item was touched and 0 elsewhere."""
        with evaluating(self):
            return self.decode(self.encode(histories)[0])


def divergence(mean: UserEmbeddings, log_variance: UserEmbeddings) -> Tensor:
    """KL(N(μ, σ²) || N(0, I)) of each row.

    Example:
        >>> divergence(torch.ones(1, 2), torch.zeros(1, 2)).tolist()
        [1.0]
    """
    return (log_variance.exp() + mean.square() - 1 - log_variance).sum(1) / 2
