"""NeuMF: a generalised inner product and a multi-layer perceptron, added up."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.losses import LossTerms, binary_cross_entropy, bpr, l2_penalty
from ltocf.models.base import GradientRecommender, evaluating
from ltocf.models.initial import lecun, normal, xavier, xavier_by_side
from ltocf.models.row_products import row_products
from ltocf.models.variants import Variant, check_variant
from ltocf.sampling import Batch, Batches, PairwiseBatches, PointwiseBatches
from ltocf.shapes import BatchEmbeddings, BatchScores, ItemEmbeddings, Scores, UserEmbeddings, UserIndices

INITIAL_DEVIATION = 0.01


class NeuMF(GradientRecommender):
    """Neural matrix factorisation.

        score(u, i) = <h_1, p_u ⊙ q_i> + <h_2, φ_n(...φ_1([p'_u, q'_i]))> + b,   φ_k(x) = ReLU(W_k x + b_k)

    The first term is the GMF tower, the second the MLP tower with embeddings of its own. Each layer halves the width:
    2 dim, dim, dim / 2, ... It is trained with binary cross-entropy against ``n_negatives`` items for each pair.

    The variant of the published row is that of NGCF's comparison: one tower and one pair of embeddings, layers of equal
    width, trained by BPR on batches of distinct users, with an L2 penalty on the embeddings of the batch and on h:

        score(u, i) = <h, φ_n(...φ_1([p_u, q_i, p_u ⊙ q_i]))>,   widths 3 dim, dim, dim, ...

    The published row has two layers, ``init = "mf"``, and a batch of 1,024.

    Args:
        graph: the training graph; only its numbers of users and items are used.
        dim: length of an embedding in each tower; a multiple of 2^(n_layers - 1), except in the published variant.
        n_layers: layers of the MLP, >= 1.
        n_negatives: sampled items for each pair, if the loss is the cross-entropy.
        dropout: share of each layer's outputs that a training step drops.
        variant: ``source``, or ``published``, the variant of the published row.
        seed: seed of the initial embeddings and weights.

    Raises:
        ValueError: an unknown variant, or a number out of range.

    Source: He et al., WWW 2017, sections 3.2-3.4, https://doi.org/10.1145/3038912.3052569; the initial values from its
    program, https://github.com/hexiangnan/neural_collaborative_filtering: embeddings N(0, 0.01²), the layers after
    Glorot & Bengio, h after LeCun et al. Differs: the towers are trained together, without the paper's pre-training of
    each; with ``init = "mf"`` the GMF tower starts from a factorisation, which is GMF with equal weights. Source of the
    published variant: Wang et al., SIGIR 2019, section 4.2.2, and NGCF/NMF.py of its program,
    https://github.com/xiangwang1223/neural_graph_collaborative_filtering. Differs: Adam, as in that paper.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1], [0, 1]))
        >>> NeuMF(graph, dim=8).scores(torch.tensor([0])).shape
        torch.Size([1, 2])
    """

    starts: ClassVar[tuple[str, ...]] = ("random", "mf")
    later_weights: ClassVar[tuple[str, ...]] = ("output_bias",)

    def __init__(
        self,
        graph: BipartiteGraph,
        dim: int = 64,
        n_layers: int = 3,
        n_negatives: int = 4,
        dropout: float = 0.0,
        variant: Variant = "source",
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(graph.n_users, graph.n_items)
        check_variant(variant)
        for name, value in (("dim", dim), ("n_layers", n_layers), ("n_negatives", n_negatives)):
            if value < 1:
                raise ValueError(f"`{name}` must be >= 1, got {value}")
        if variant == "source" and dim % 2 ** (n_layers - 1):
            raise ValueError(f"`dim` must be a multiple of {2 ** (n_layers - 1)} for {n_layers} layers, got {dim}")
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1), got {dropout}")
        self.dim, self.n_negatives, self.dropout = dim, n_negatives, dropout
        self.as_published = variant == "published"
        generator = torch.Generator().manual_seed(seed)
        if self.as_published:
            self._add_one_tower(graph, n_layers, generator)
        else:
            self._add_two_towers(graph, n_layers, generator)

    def _add_two_towers(self, graph: BipartiteGraph, n_layers: int, generator: torch.Generator) -> None:
        draw = normal(INITIAL_DEVIATION)
        self.gmf_embeddings, self.mlp_embeddings = (nn.Parameter(draw(graph, self.dim, generator)) for _ in range(2))
        widths = [2 * self.dim // 2**layer for layer in range(n_layers + 1)]
        self.layers = nn.ParameterList(xavier(before, after, generator) for before, after in pairwise(widths))
        self.biases = nn.ParameterList(torch.zeros(width) for width in widths[1:])
        # The two parts of one layer whose inputs are the outputs of both towers.
        output = lecun(self.dim + widths[-1], 1, generator).detach()
        self.gmf_weights, self.mlp_weights = (
            nn.Parameter(part.clone()) for part in torch.split(output, [self.dim, widths[-1]])
        )
        self.output_bias = nn.Parameter(torch.zeros(1))

    def _add_one_tower(self, graph: BipartiteGraph, n_layers: int, generator: torch.Generator) -> None:
        self.embeddings = nn.Parameter(xavier_by_side(graph, self.dim, generator))
        widths = [3 * self.dim] + [self.dim] * n_layers
        self.layers = nn.ParameterList(xavier(before, after, generator) for before, after in pairwise(widths))
        self.biases = nn.ParameterList(xavier(1, self.dim, generator) for _ in range(n_layers))
        self.mlp_weights = xavier(self.dim, 1, generator)

    @torch.no_grad()
    def start_from(self, users: UserEmbeddings, items: ItemEmbeddings) -> None:
        table = self.embeddings if self.as_published else self.gmf_embeddings
        table.copy_(torch.cat([users, items]))
        if not self.as_published:
            self.gmf_weights.fill_(1.0)

    def forward(self, batch: Batch) -> LossTerms:
        if self.as_published:
            return self._pairwise_loss(batch)
        users = torch.cat([batch.users, batch.users.repeat_interleave(self.n_negatives)])
        items = torch.cat([batch.positives, batch.negatives]) + self.n_users
        rows = [part.index_select(0, nodes) for part in self._tables() for nodes in (users, items)]
        gmf_users, gmf_items, mlp_users, mlp_items = rows
        first = self._first_layer(mlp_users, "users") + self._first_layer(mlp_items, "items")
        scores = (gmf_users * gmf_items) @ self.gmf_weights[:, 0] + self._later_layers(first) + self.output_bias
        positives, negatives = torch.split(scores, [len(batch.positives), len(batch.negatives)])
        l2 = torch.stack([l2_penalty(part, len(users)) for part in rows]).sum()
        return LossTerms(binary_cross_entropy(positives, negatives), l2)

    def _pairwise_loss(self, batch: Batch) -> LossTerms:
        nodes = torch.cat([batch.users, batch.positives + self.n_users, batch.negatives + self.n_users])
        rows = self.embeddings.index_select(0, nodes)
        users, positives, negatives = rows.chunk(3)
        scores = self._one_tower(torch.cat([users, users]), torch.cat([positives, negatives]))
        l2 = l2_penalty(rows, len(batch.users)) + l2_penalty(self.mlp_weights, 1)
        return LossTerms(bpr(*scores.chunk(2)), l2)

    def _one_tower(self, users: Tensor, items: BatchEmbeddings) -> BatchScores:
        """The score of each user's row with each item's row; a single user is paired with all items."""
        user_weights, item_weights, product_weights = self.layers[0].chunk(3)
        hidden = users @ user_weights + torch.addmm(items @ item_weights, users * items, product_weights)
        return self._later_layers(hidden)

    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> Batches:
        if self.as_published:
            return PairwiseBatches(train, batch_size, seed, device, distinct_users=True)
        return PointwiseBatches(train, batch_size, seed, self.n_negatives, device)

    def scorer(self) -> NeuMF:
        """The model itself, without dropout."""
        return self

    @torch.no_grad()
    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each requested user."""
        with evaluating(self):
            return self._scores_by_one_tower(users) if self.as_published else self._scores_by_two_towers(users)

    def _scores_by_one_tower(self, users: UserIndices) -> Scores:
        items = self.embeddings[self.n_users :]
        rows = [self._one_tower(self.embeddings[user, None], items) for user in users.to(items.device).tolist()]
        return torch.stack(rows) if rows else items.new_zeros(0, self.n_items)

    def _scores_by_two_towers(self, users: UserIndices) -> Scores:
        gmf, mlp = self._tables()
        users = users.to(gmf.device)
        scores = row_products(gmf[users] * self.gmf_weights[:, 0], gmf[self.n_users :]) + self.output_bias
        user_parts = self._first_layer(mlp[users], "users")
        item_parts = self._first_layer(mlp[self.n_users :], "items")
        for row, user_part in zip(scores, user_parts, strict=True):
            row += self._later_layers(item_parts + user_part)
        return scores

    def _tables(self) -> tuple[Tensor, Tensor]:
        return self.gmf_embeddings, self.mlp_embeddings

    def _first_layer(self, rows: Tensor, side: str) -> Tensor:
        """What users or items add to the first layer before its activation, where it is linear."""
        weights, half = self.layers[0], len(self.layers[0]) // 2
        side_weights = weights[:half] if side == "users" else weights[half:]
        if self.training or torch.is_grad_enabled():
            return torch.mm(rows, side_weights)
        return row_products(rows, side_weights.T)

    def _later_layers(self, hidden: Tensor) -> BatchScores:
        """The MLP's share of the score, given the first layer before its activation."""
        hidden = dropout(torch.relu(hidden + self.biases[0]), self.dropout, self.training)
        for index in range(1, len(self.layers)):
            hidden = torch.relu(torch.addmm(self.biases[index], hidden, self.layers[index]))
            hidden = dropout(hidden, self.dropout, self.training)
        scores: BatchScores = linear(hidden, self.mlp_weights.T)[:, 0]
        return scores
