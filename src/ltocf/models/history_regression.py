"""HistoryRegression: each item of a history is predicted from those before it, or from all others, in closed form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import embedding_bag

from ltocf.data.interactions import Interactions
from ltocf.evaluation.validation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.graph.svd import item_singular_vectors
from ltocf.models.history import Entries, EntryIndices
from ltocf.models.row_products import row_products
from ltocf.models.similarity import SimilarityModel, check_numbers
from ltocf.models.user_map import PartContributions
from ltocf.shapes import ItemEmbeddings, ItemValues, Scores
from ltocf.training import FitContext, FitResult, TrainingSettings
from ltocf.training.grid import Grid

Gram: TypeAlias = Float[Tensor, "rank rank"]
Nearness: TypeAlias = Float[Tensor, "users predicted before"]

HISTORY_EXPONENT = 0.4
"""Of the degrees of items in a history: with 0.3 to 0.5 it validates alike on Gowalla."""
LONGEST_HISTORY = 1_000
"""Users with more items are left out: the work grows with the square of the length."""
NUMBERS_AT_A_TIME = 2**24
"""In the arrays of a block of users."""


SMALLEST = 1e-30


class _Sums(NamedTuple):
    """Σ c x xᵀ over all events, and Σ c x over the events of each item, as a row."""

    gram: Gram
    targets: ItemEmbeddings


class HistoryRegression(SimilarityModel):
    """A ridge regression of each item of a history on the items before it, in the basis of singular vectors.

        B = D_u^-1/2 R D_i^-1/2 ≈ U Σ Vᵀ,   y_j = D_j^-0.4 v_j, v_j a row of V
        x_ut = Σ_{j before t} r_uj g_tj^-q y_j,   g_tj how many places j is before t, j and t in u's history
        W = argmin Σ_ut c_ut ||e_t - x_ut W||² + λ m ||W||²,   c_ut = r_ut / ||x_ut||,  m the mean of diag(Σ c x xᵀ)
        score(u, i) = d_i^-b Σ_{j in history(u)} r̃_uj r_uj <y_j, w_i>,   w_i a column of W

    e_t is the unit vector of item t. An item is never predicted from itself, so the diagonal of the map needs no
    constraint. Items of the same moment do not predict each other. If a history is a set, each of its items is
    predicted from all the others, with weights of 1: a leave-one-out regression.

    q is given; λ, b and the numbers of recency are chosen on validation. The sums over the pairs are computed once.

    Args:
        graph: the training graph; its pairs have an order if the data have one.
        rank: number of singular vectors; a small graph has fewer.
        penalty: λ at which the search starts, > 0.
        nearness: q, >= 0.
        item_exponent: b at which the search starts; a smaller one gives popular items more influence.
        recency: ``off``: a history is a set; or ``auto``: in order, if there is one, see `HistoryRecommender`.
        seed: seed of the randomised decomposition.

    Raises:
        ValueError: a number out of range.

    Source: in order, the linear transitions of SLIST (Choi et al., WWW 2021, Section 4.2,
    https://arxiv.org/abs/2103.16104); as sets, EASE (Steck, WWW 2019, https://arxiv.org/abs/1905.03375). Differs: the
    regression is in the space of V, where it needs no matrix of all pairs of items; events are weighted by the length
    of x, not alike; weights fall by a power of the distance and not exponentially.

    Example:
        >>> from ltocf.data import Interactions
        >>> log = Interactions.from_pairs([0, 0, 0, 1], [0, 1, 2, 0], timestamps=[1, 2, 3, 1])
        >>> model = HistoryRegression(BipartiteGraph.from_interactions(log), recency="auto")
        >>> model.prepare()
        >>> model.scores(torch.tensor([1])).argsort(descending=True)  # item 1 comes just after item 0
        tensor([[1, 2, 0]])
    """

    item_vectors: Tensor
    coefficients: Tensor

    def __init__(
        self,
        graph: BipartiteGraph,
        rank: int = 512,
        penalty: float = 0.1,
        nearness: float = 1.0,
        item_exponent: float = 0.2,
        recency: str = "off",
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(graph, recency)
        if rank < 1:
            raise ValueError(f"`rank` must be >= 1, got {rank}")
        check_numbers(penalty=penalty)
        check_numbers(-float("inf"), item_exponent=item_exponent)
        if not 0 <= nearness < float("inf"):
            raise ValueError(f"`nearness` must be finite and >= 0, got {nearness}")
        self.seed, self.nearness = seed, nearness
        self.rank = min(rank, graph.n_users, graph.n_items)
        self.start_with([penalty, item_exponent])
        self.register_buffer("item_vectors", torch.full((self.n_items, self.rank), torch.nan))
        self.register_buffer("coefficients", torch.full((self.n_items, self.rank), torch.nan))
        self._searching = False
        self._kept: _Sums | None = None

    @property
    def grid(self) -> Grid:
        return {
            "penalty": [0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0],
            "item_exponent": [-0.2, -0.1, 0.0, 0.1, 0.2, 0.3],
        }

    @property
    def is_ready(self) -> bool:
        return not bool(self.coefficients[0, 0].isnan())

    def train_on(
        self,
        pairs: Interactions,
        *,
        settings: TrainingSettings,
        validation: Validation | None = None,
        seed: int = 0,
        context: FitContext | None = None,
    ) -> FitResult:
        """Choose the numbers by a search; the sums over the pairs are kept until it ends."""
        self._searching = True
        try:
            return super().train_on(pairs, settings=settings, validation=validation, seed=seed, context=context)
        finally:
            self._searching, self._kept = False, None

    @torch.no_grad()
    def fit_similarity(self, before: Sequence[float] | None) -> None:
        penalty = self.numbers[0].item()
        if before is not None and before[0] == penalty:
            return  # b is not in the coefficients
        if before is None:
            self.item_vectors.copy_(self._vectors())
        sums = self._kept or self._sums_over_events()
        self._kept = sums if self._searching else None
        gram = sums.gram.double()
        # Without any event all sums are 0, and so are the coefficients.
        gram.diagonal().add_((penalty * gram.diagonal().mean()).clamp(min=SMALLEST))
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        self.coefficients.copy_(sums.targets @ inverse.to(sums.targets))

    def _vectors(self) -> ItemEmbeddings:
        """y of every item."""

        def gram_product(items: ItemEmbeddings) -> ItemEmbeddings:
            return self.graph.items_from_users(self.graph.users_from_items(items))

        _, vectors = item_singular_vectors(gram_product, self.n_items, self.rank, self.seed, self.device)
        return vectors * self._degrees()[:, None] ** -HISTORY_EXPONENT

    def _sums_over_events(self) -> _Sums:
        sums = _Sums(self.item_vectors.new_zeros(self.rank, self.rank), torch.zeros_like(self.item_vectors))
        for items, weights, nearness in self._blocks():
            before = (nearness @ (self.item_vectors[items] * weights[:, :, None])).flatten(0, 1)
            norms = before.norm(dim=1)
            counts = (weights.flatten() / norms).where(norms > 0, 0)
            counted = before * counts[:, None]
            sums.gram.addmm_(counted.T, before)
            sums.targets.index_add_(0, items.flatten(), counted)
        return sums

    def _blocks(self) -> Iterator[tuple[Tensor, Tensor, Nearness]]:
        """Users whose histories are equally long: their items, weights and how near those before an item are."""
        lengths = self.graph.user_degrees
        for length in torch.bincount(lengths).nonzero()[:, 0].tolist():
            if not 2 <= length <= LONGEST_HISTORY:
                continue
            n_users = max(1, NUMBERS_AT_A_TIME // (length * max(length, self.rank)))
            for users in torch.split((lengths == length).nonzero()[:, 0], n_users):
                shape = len(users), length
                _, items = self.graph.items_of(users)
                later = self.graph.ages_of(users, "items") if self.reads_order else None
                yield (
                    items.view(shape),
                    self.graph.weights_of(users).view(shape).to(self.item_vectors),
                    self._nearness(None if later is None else later.view(shape), shape),
                )

    def _nearness(self, later: Tensor | None, shape: tuple[int, int]) -> Nearness:
        """g^-q of item j before item t of a history, 0 where j is not before t."""
        if later is None:
            others = 1 - torch.eye(shape[1], device=self.device)
            return others.to(self.item_vectors).expand(shape[0], -1, -1)
        gaps = later[:, None, :] - later[:, :, None]
        return (gaps.clamp(min=1).to(self.item_vectors) ** -self.nearness) * (gaps > 0)

    @torch.no_grad()
    def entry_scores(self, entries: Entries) -> Scores:
        self.check_ready()
        lengths = torch.bincount(entries.rows, minlength=entries.n_rows)
        values = entries.values.to(self.item_vectors)
        factors = embedding_bag(
            entries.items, self.item_vectors, lengths.cumsum(0) - lengths, mode="sum", per_sample_weights=values
        )
        return row_products(factors, self.coefficients).mul_(self._item_scale())

    def kernel(self, items: EntryIndices, target: int) -> PartContributions:
        self.check_ready()
        products = self.item_vectors[items] @ self.coefficients[target]
        return (products * self._item_scale()[target])[None]

    def _item_scale(self) -> ItemValues:
        """d_i^-b."""
        return self._degrees() ** -self.own_numbers[1].item()

    def _degrees(self) -> ItemValues:
        """Degrees of items; an item without pairs has 1."""
        return self.graph.item_degrees.to(self.item_vectors).clamp(min=1)
