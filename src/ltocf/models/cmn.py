"""CMN: a memory network that attends to the users who share an item."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ltocf.data.batches import Batch, Batches, PairwiseBatches
from ltocf.data.interactions import Interactions
from ltocf.graph import BipartiteGraph
from ltocf.losses import bpr, l2_penalty
from ltocf.models.base import GradientRecommender, LossTerms
from ltocf.models.embedding import INITIAL_DEVIATION
from ltocf.models.ngcf import xavier
from ltocf.shapes import (
    BatchIndices,
    BatchScores,
    ItemEmbeddings,
    ListScores,
    RankedItems,
    Scores,
    UserEmbeddings,
    UserIndices,
)


class CMN(GradientRecommender):
    """Collaborative memory network.

        z_0 = m_u + e_i,   a_v = softmax over the users v != u of item i of <z_h, m_v>,   o_h = Σ_v a_v c_v
        z_h+1 = ReLU(z_h W_h + o_h + b_h)
        score(u, i) = <v, ReLU((m_u ⊙ e_i) U + o W + b)>,   o of the last hop

    Args:
        graph: the training graph: who touched an item.
        dim: length of the memories m and c and of the item embeddings e.
        n_hops: how often the memory is read, >= 1.
        seed: of the initial embeddings and weights.

    Raises:
        ValueError: a number out of range.

    Source: Ebesu, Shen, Fang, SIGIR 2018, section 3, https://doi.org/10.1145/3209978.3209991. With ``init = "mf"`` a
    run starts m and e from a factorisation that it trains first, as the paper does with GMF. Differs: a user is not
    among the neighbours of their own training items, or training would see an answer that ranking does not.

    Scoring all items of a user visits every training pair: fine for some ten thousand, slow for a million.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 1, 1], [0, 0, 1]))
        >>> CMN(graph, dim=8).scores(torch.tensor([0])).shape
        torch.Size([1, 2])
    """

    def __init__(self, graph: BipartiteGraph, dim: int = 64, n_hops: int = 2, *, seed: int = 0) -> None:
        super().__init__(graph.n_users, graph.n_items)
        for name, value in (("dim", dim), ("n_hops", n_hops)):
            if value < 1:
                raise ValueError(f"`{name}` must be >= 1, got {value}")
        self.graph, self.n_hops = graph, n_hops
        generator = torch.Generator().manual_seed(seed)
        sizes = (graph.n_users, graph.n_items, graph.n_users)
        self.user_memory, self.item_embeddings, self.external_memory = (
            nn.Parameter(torch.randn(size, dim, generator=generator) * INITIAL_DEVIATION) for size in sizes
        )
        self.hops = nn.ParameterList(xavier(dim, dim, generator) for _ in range(n_hops - 1))
        self.hop_biases = nn.ParameterList(torch.zeros(dim) for _ in range(n_hops - 1))
        self.of_product, self.of_memory = (xavier(dim, dim, generator) for _ in range(2))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.output = xavier(dim, 1, generator)

    @torch.no_grad()
    def start_from(self, users: UserEmbeddings, items: ItemEmbeddings) -> None:
        """Replace m and e by the embeddings of a factorisation."""
        self.user_memory.copy_(users)
        self.item_embeddings.copy_(items)

    def forward(self, batch: Batch) -> LossTerms:
        users, items = torch.cat([batch.users, batch.users]), torch.cat([batch.positives, batch.negatives])
        positives, negatives = self.pair_scores(users, items).chunk(2)
        rows = torch.cat([self.user_memory.index_select(0, batch.users), self.item_embeddings.index_select(0, items)])
        return LossTerms(bpr(positives, negatives), l2_penalty(rows, len(batch.users)))

    def pair_scores(self, users: BatchIndices, items: BatchIndices) -> BatchScores:
        """The equation of the class for pairs of a user and an item."""
        pairs, neighbours = self._neighbours(users, items)
        memory, external = (part.index_select(0, neighbours) for part in (self.user_memory, self.external_memory))
        user, item = self.user_memory.index_select(0, users), self.item_embeddings.index_select(0, items)
        query = user + item
        read = _attend(query, memory, external, pairs)
        for weights, bias in zip(self.hops, self.hop_biases, strict=True):
            query = torch.relu(torch.addmm(bias, query, weights) + read)
            read = _attend(query, memory, external, pairs)
        hidden = torch.relu((user * item) @ self.of_product + torch.addmm(self.bias, read, self.of_memory))
        scores: BatchScores = (hidden @ self.output)[:, 0]
        return scores

    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> Batches:
        return PairwiseBatches(train, batch_size, seed, device)

    def scorer(self) -> CMN:
        """The model itself."""
        return self

    @torch.no_grad()
    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each user asked for."""
        users = users.to(self.bias.device)
        every_item = torch.arange(self.n_items, device=users.device)
        return torch.stack([self.pair_scores(user.expand(self.n_items), every_item) for user in users])

    def list_scores(self, users: UserIndices, items: RankedItems) -> ListScores:
        """The scores of the items listed; the place of a missing item, -1, has that of item 0."""
        return self.scores(users).gather(1, items.clamp(min=0))

    def _neighbours(self, users: BatchIndices, items: BatchIndices) -> tuple[Tensor, Tensor]:
        """The other users of each pair's item: the index of the pair and the user, for all of them in a row."""
        pairs, neighbours = self.graph.users_of(items)
        others = neighbours != users[pairs]
        return pairs[others], neighbours[others]


def _attend(query: Tensor, memory: Tensor, external: Tensor, pairs: Tensor) -> Tensor:
    """Σ_v softmax_v(<query, m_v>) c_v for each pair; zero where there is no neighbour."""
    weights = (query.index_select(0, pairs) * memory).sum(1)
    highest = weights.detach().new_full((len(query),), -torch.inf)
    highest = highest.scatter_reduce(0, pairs, weights.detach(), "amax")
    weights = torch.exp(weights - highest[pairs])
    totals = weights.new_zeros(len(query)).index_add(0, pairs, weights)
    sums = torch.zeros_like(query).index_add(0, pairs, weights[:, None] * external)
    return sums / totals.clamp(min=1e-12)[:, None]
