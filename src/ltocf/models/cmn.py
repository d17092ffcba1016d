"""CMN: a memory network that attends to the users who share an item."""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, pad

from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph, csr_tensor
from ltocf.losses import LossTerms, bpr, l2_penalty
from ltocf.models.base import GradientRecommender
from ltocf.models.initial import he, truncated_normal, xavier
from ltocf.sampling import Batch, Batches, PairwiseBatches
from ltocf.shapes import (
    BatchEmbeddings,
    BatchIndices,
    BatchScores,
    ItemEmbeddings,
    Scores,
    UserEmbeddings,
    UserIndices,
)

NeighbourIndices: TypeAlias = Int64[Tensor, " neighbours"]
NeighbourScores: TypeAlias = Float[Tensor, " neighbours"]
NeighbourMask: TypeAlias = Bool[Tensor, " neighbours"]

INITIAL_DEVIATION = 0.01
PAIRS_AT_A_TIME = 2**25
"""On a GPU: enough to keep it busy, in some gigabytes."""

ITEMS_AT_A_TIME = 8192
"""Few enough for a CPU to keep the intermediate results in its cache."""


class CMN(GradientRecommender):
    """Collaborative memory network.

        z_0 = m_u + e_i,   a_v = softmax over the users v != u of item i of <z_h, m_v>,   o_h = Σ_v a_v c_v
        z_h+1 = ReLU(z_h W_h + o_h + b_h)
        score(u, i) = <v, ReLU((m_u ⊙ e_i) U + o W + b)>,   o of the last hop

    Args:
        graph: the training graph: who touched an item.
        dim: length of the memories m and c and of the item embeddings e.
        n_hops: how often the memory is read, >= 1.
        distinct_users: whether a batch has no user twice, see `PairwiseBatches`.
        seed: seed of the initial embeddings and weights.

    Raises:
        ValueError: a number out of range.

    Source: Ebesu, Shen, Fang, SIGIR 2018, section 3, https://doi.org/10.1145/3209978.3209991. With ``init = "mf"`` a
    run starts m and e from a factorisation that it trains first, as the paper does with GMF. The L2 penalty is that of
    W_h, U, W and v, as in the authors' program, https://github.com/tebesu/CollaborativeMemoryNetwork: it bounds the
    scores, whereas a penalty on the embeddings would only move their size into the weights. The initial values are
    that program's too: memories and embeddings N(0, 0.01²) cut at two deviations, W_h, U and W after He et al., v after
    Glorot & Bengio, the biases of the hops 1. NGCF's comparison, the source of the published row, states one
    difference: Xavier for all. Differs: a user is not among the neighbours of their own training items, or training
    would see an answer that ranking does not.

    Scoring all items of a user visits every training pair: fine for tens of thousands of pairs, slow for a million.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1, 1], [0, 0, 1]))
        >>> CMN(graph, dim=8).scores(torch.tensor([0])).shape
        torch.Size([1, 2])
    """

    starts: ClassVar[tuple[str, ...]] = ("random", "mf")
    uses_weights: ClassVar[bool] = True

    def __init__(
        self, graph: BipartiteGraph, dim: int = 64, n_hops: int = 2, distinct_users: bool = False, *, seed: int = 0
    ) -> None:
        super().__init__(graph.n_users, graph.n_items)
        for name, value in (("dim", dim), ("n_hops", n_hops)):
            if value < 1:
                raise ValueError(f"`{name}` must be >= 1, got {value}")
        self.graph, self.dim, self.n_hops, self.distinct_users = graph, dim, n_hops, distinct_users
        generator = torch.Generator().manual_seed(seed)
        sizes = (graph.n_users, graph.n_items, graph.n_users)
        self.user_memory, self.item_embeddings, self.external_memory = (
            truncated_normal(size, dim, INITIAL_DEVIATION, generator) for size in sizes
        )
        self.hops = nn.ParameterList(he(dim, dim, generator) for _ in range(n_hops - 1))
        # Ones, so that the ReLU is open at the start.
        self.hop_biases = nn.ParameterList(torch.ones(dim) for _ in range(n_hops - 1))
        # The two halves of one layer with 2 dim inputs.
        halves = he(2 * dim, dim, generator).detach().chunk(2)
        self.of_product, self.of_memory = (nn.Parameter(half.clone()) for half in halves)
        self.bias = nn.Parameter(torch.zeros(dim))
        self.output = xavier(dim, 1, generator)

    @torch.no_grad()
    def start_from(self, users: UserEmbeddings, items: ItemEmbeddings) -> None:
        self.user_memory.copy_(users)
        self.item_embeddings.copy_(items)

    def forward(self, batch: Batch) -> LossTerms:
        users, items = torch.cat([batch.users, batch.users]), torch.cat([batch.positives, batch.negatives])
        positives, negatives = self.pair_scores(users, items).chunk(2)
        weights = torch.cat([*self.hops, self.of_product, self.of_memory, self.output], dim=1)
        return LossTerms(bpr(positives, negatives), l2_penalty(weights, batch_size=1))

    def pair_scores(self, users: BatchIndices, items: BatchIndices) -> BatchScores:
        """The equation of the class for pairs of a user and an item."""
        pairs, neighbours = self.graph.users_of(items)
        return self._pair_scores(users, items, pairs, neighbours)

    def _pair_scores(
        self, users: BatchIndices, items: BatchIndices, pairs: NeighbourIndices, neighbours: NeighbourIndices
    ) -> BatchScores:
        """`pair_scores`, given the users of each pair's item: entries of pair index and user, ordered by pair."""
        is_self = neighbours == users.index_select(0, pairs)
        user, item = self.user_memory.index_select(0, users), self.item_embeddings.index_select(0, items)
        query = user + item
        read = self._attend(query, pairs, neighbours, is_self)
        for weights, bias in zip(self.hops, self.hop_biases, strict=True):
            query = torch.relu(torch.addmm(bias, query, weights) + read)
            read = self._attend(query, pairs, neighbours, is_self)
        hidden = torch.relu((user * item) @ self.of_product + torch.addmm(self.bias, read, self.of_memory))
        scores: BatchScores = (hidden @ self.output)[:, 0]
        return scores

    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> Batches:
        return PairwiseBatches(train, batch_size, seed, device, distinct_users=self.distinct_users)

    def scorer(self) -> CMN:
        """The model itself."""
        return self

    @torch.no_grad()
    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each requested user."""
        users = users.to(self.bias.device)
        blocks = torch.split(torch.arange(self.n_items, device=users.device), ITEMS_AT_A_TIME)
        return torch.cat([self._block_scores(users, items) for items in blocks], dim=1)

    def _block_scores(self, users: UserIndices, items: BatchIndices) -> Scores:
        """`scores` for some of the items."""
        pairs, neighbours = self.graph.users_of(items)
        # On a GPU, launching the kernels for one user at a time would take longer than running them.
        users_at_a_time = max(1, PAIRS_AT_A_TIME // max(1, len(pairs))) if users.is_cuda else 1
        repeated_items, rows = items, []
        for block in torch.split(users, users_at_a_time):
            if len(repeated_items) != len(block) * len(items):  # the first block, or a last one that is smaller
                repeated_items = items.repeat(len(block))
                pairs, neighbours = self.graph.users_of(repeated_items)
            scores = self._pair_scores(block.repeat_interleave(len(items)), repeated_items, pairs, neighbours)
            rows.append(scores.view(len(block), len(items)))
        return torch.cat(rows)

    def _attend(
        self, query: BatchEmbeddings, pairs: NeighbourIndices, neighbours: NeighbourIndices, is_self: NeighbourMask
    ) -> BatchEmbeddings:
        """Σ_v softmax_v(<query, m_v>) c_v for each pair; zero for a pair without neighbours."""
        lengths = torch.bincount(pairs, minlength=len(query))
        ends = lengths.cumsum(0)
        weights = self._inner_products(query, pairs, neighbours, ends).masked_fill(is_self, -torch.inf)
        # The lowest finite number instead of -inf where no neighbour is left, so that the difference is not NaN.
        lowest = torch.finfo(weights.dtype).min
        highest = torch.segment_reduce(weights.detach(), "max", lengths=lengths, initial=lowest)
        weights = torch.exp(weights - highest.index_select(0, pairs))
        totals = torch.segment_reduce(weights, "sum", lengths=lengths, initial=0)
        sums = embedding_bag(neighbours, self.external_memory, ends - lengths, mode="sum", per_sample_weights=weights)
        read: BatchEmbeddings = sums / totals.clamp(min=1e-12)[:, None]
        return read

    def _inner_products(
        self, query: BatchEmbeddings, pairs: NeighbourIndices, neighbours: NeighbourIndices, ends: BatchIndices
    ) -> NeighbourScores:
        """<query, m_v> of every neighbour."""
        if torch.is_grad_enabled():
            keys = self.user_memory.index_select(0, neighbours)
            trained: NeighbourScores = torch.linalg.vecdot(query.index_select(0, pairs), keys)
            return trained
        # The same without copying rows of either: ten times faster, but without a gradient.
        offsets = pad(ends, (1, 0))
        pattern = csr_tensor(offsets, neighbours, query.new_zeros(len(neighbours)), (len(query), self.n_users))
        products: NeighbourScores = torch.sparse.sampled_addmm(pattern, query, self.user_memory.T, beta=0.0).values()
        return products
