"""SpectralLTOCF: a response applied to a user's history. Only a few numbers are learned."""

from __future__ import annotations

import math
from typing import ClassVar, TypeAlias

import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import embedding_bag

from ltocf.data.interactions import Interactions
from ltocf.evaluation.validation import Validation
from ltocf.graph import BipartiteGraph, products_at
from ltocf.graph.svd import item_singular_vectors
from ltocf.models.history import Entries, EntryIndices, EntryValues, HistoryRecommender
from ltocf.models.nearest import NearestItems, entries_kept
from ltocf.models.row_products import row_products
from ltocf.models.similarity import check_indices
from ltocf.models.user_map import PartContributions
from ltocf.shapes import (
    ItemEmbeddings,
    ListScores,
    Numbers,
    RankedItems,
    Scores,
    SingularValues,
    UserEmbeddings,
    UserIndices,
)
from ltocf.training import (
    MOST_EVALUATIONS,
    SEARCH_USERS,
    FitContext,
    FitResult,
    Shortlist,
    TrainingSettings,
    search,
)

SparseScores: TypeAlias = Float[Tensor, "items histories"]
Factors: TypeAlias = Float[Tensor, "histories rank"]

MORE_FOR_RECENCY = 15
"""Evaluations of the joint search if the numbers of recency are among its numbers."""
USERS_AT_A_TIME = 64
"""In `SpectralLTOCF.list_scores`."""
LONGEST_HISTORY = 1_000
"""Users with more items are left out of the entries that are kept: theirs are most of the work, and weigh little."""


class SpectralLTOCF(HistoryRecommender):
    """A graph filter of the history: a low-rank part with a learned response, and one exact sparse product.

        B = D_u^-γ R D_i^-δ / σ_1 ≈ U Σ Vᵀ,   σ_1 the largest singular value
        score(u, ·) = r_u D_i^-a V g(Σ) Vᵀ D_i^b + w r_u D_i^-d BᵀB D_i^c,   r_u a row of R, D_i relative to its mean
        g(σ) = (1 / T) Σ_s (1 - exp(-t_s σ²))

    g is LT-OCF's linear connection, start minus solution, for the heat equation dE/dt = -BᵀB E among the items. V are
    the leading ``rank`` vectors; what they leave out is in the sparse product. Its ``numbers``, log t_s, log w and a to
    d, are chosen by `ltocf.training.simplex`. Any history can be scored, also that of a user who was not in training.
    Weights of pairs, relative to their mean, are the values of R.

    The sparse product goes through all pairs for each user. On a large graph BᵀB is computed instead, once, and each of
    its rows keeps its ``n_neighbours`` largest entries.

    Args:
        graph: the training graph.
        rank: number of singular vectors; a small graph has fewer.
        n_times: T, the number of times t_s, >= 1.
        user_exponent: γ; a smaller one gives users with long histories more influence.
        item_exponent: δ; a smaller one gives popular items more influence.
        recency: ``off`` or ``auto``, see `HistoryRecommender`.
        n_neighbours: entries of each row of BᵀB that are kept; 0: all of them, by the product, if that takes at most
            10^12 multiplications for the lists of all users, and 200 otherwise.
        seed: seed of the randomised decomposition.

    Raises:
        ValueError: ``rank`` or ``n_times`` < 1, or ``n_neighbours`` < 0.

    Source: GF-CF (Shen et al., CIKM 2021, Section 5.2, https://arxiv.org/abs/2108.07567) is the case γ = δ = a = b =
    1/2, c = d = 0, t -> infinity, w = 1 / α. Differs: the response, the exponents and the balance are learned.

    Example:
        >>> from ltocf.data import Interactions
        >>> graph = BipartiteGraph.from_interactions(Interactions.from_pairs([0, 0, 1, 1, 2], [0, 1, 0, 2, 2]))
        >>> model = SpectralLTOCF(graph).decompose()
        >>> model.scores(torch.tensor([2])).argsort(descending=True)
        tensor([[2, 0, 1]])
        >>> model.history_scores(torch.tensor([[0.0, 0.0, 1.0]])).argsort(descending=True)
        tensor([[2, 0, 1]])
    """

    part_names: ClassVar[tuple[str, ...]] = ("low-rank", "exact")
    singular_values: Tensor
    item_vectors: Tensor

    def __init__(
        self,
        graph: BipartiteGraph,
        rank: int = 512,
        n_times: int = 1,
        user_exponent: float = 0.4,
        item_exponent: float = 0.4,
        recency: str = "off",
        n_neighbours: int = 0,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__(graph, recency)
        for name, value, least in (("rank", rank, 1), ("n_times", n_times, 1), ("n_neighbours", n_neighbours, 0)):
            if value < least:
                raise ValueError(f"`{name}` must be >= {least}, got {value}")
        for name, exponent in (("user_exponent", user_exponent), ("item_exponent", item_exponent)):
            if not 0 <= exponent <= 1:
                raise ValueError(f"`{name}` must be in 0..1, got {exponent}")
        self.seed, self.n_times = seed, n_times
        self.user_exponent, self.item_exponent = user_exponent, item_exponent
        self.rank = min(rank, graph.n_users, graph.n_items)
        # log t_1.., log w, a, b, c, d: a good start on every data set tried.
        start = [*torch.linspace(2.5, 4.0, n_times + 1).tolist()[:n_times], 1.2, 0.55, 0.5, 0.1, 0.25]
        self.start_with(start)
        self.register_buffer("singular_values", torch.zeros(self.rank))
        self.register_buffer("item_vectors", torch.zeros(graph.n_items, self.rank))
        kept = entries_kept(graph.n_users, graph.n_items, int(graph.user_degrees.sum()), n_neighbours)
        self.gram = NearestItems(graph.n_items, kept) if kept else None

    def learned(self) -> dict[str, float]:
        t, (log_w, *exponents) = self.numbers[: self.n_times].exp().tolist(), self._balance().tolist()
        times = {f"t_{s}": time for s, time in enumerate(t, start=1)}
        return times | {"w": math.exp(log_w)} | dict(zip("abcd", exponents, strict=True)) | self.recency_numbers()

    @property
    def search_steps(self) -> Numbers:
        """The first step to try of each number."""
        of_recency = [0.15, 0.4 * self.searches_trend] * self.chooses_recency
        return torch.tensor([*[1.0] * self.n_times, -0.7, -0.1, -0.1, 0.1, 0.1, *of_recency])

    def decompose(self) -> SpectralLTOCF:
        """Compute σ and V, and the entries of BᵀB that are kept: seconds to minutes. A saved model has them."""
        self.singular_values, self.item_vectors = item_singular_vectors(
            self._gram_product, self.n_items, self.rank, self.seed, self.numbers.device
        )
        if self.gram is not None:
            self._keep_gram(self.gram)
        return self

    def _keep_gram(self, gram: NearestItems) -> None:
        """Of each row of BᵀB, without σ_1, the entries that now add most to a score."""
        ratings, counted = self.graph.ratings(), self.graph.user_degrees <= LONGEST_HISTORY
        users = counted.to(self.item_vectors)[:, None] * self._degrees("user") ** -self.user_exponent
        items = self._degrees("item") ** -self.item_exponent
        left, right, scale = (
            side.double().cpu().numpy()[:, 0] for side in (users, items, self._item_scale(self._balance()[3]))
        )
        matrix = sp.csr_matrix(sp.diags(left) @ ratings @ sp.diags(right))
        matrix.eliminate_zeros()
        gram.keep_gram(matrix, scale)

    def response(self, singular_values: SingularValues) -> SingularValues:
        """g(σ), for σ in [0, 1]."""
        times = self.numbers[: self.n_times].exp()
        return -torch.expm1(-times[:, None] * singular_values.square()).mean(0)

    def train_on(
        self,
        pairs: Interactions,
        *,
        settings: TrainingSettings,
        validation: Validation | None = None,
        seed: int = 0,
        context: FitContext | None = None,
    ) -> FitResult:
        """Decompose, and choose the numbers by a search; without a validation set they keep their values."""
        # More numbers take a larger simplex, which needs more steps.
        evaluations = min(settings.epochs, MOST_EVALUATIONS + MORE_FOR_RECENCY * self.chooses_recency)
        if validation is None:
            return search(self, validate=None, evaluations=evaluations, context=context)
        sampled, context = validation.of_at_most(SEARCH_USERS), context or FitContext(description="search")

        def joint_search(context: FitContext) -> FitResult:
            shortlist = Shortlist(self, sampled.truth, sampled.seen, sampled.depth)
            return search(self, validate=lambda: sampled(shortlist), evaluations=evaluations, context=context)

        return self.search_after_recency(lambda: sampled(self), joint_search, context)

    def prepare(self) -> None:
        if not self.singular_values[0] > 0:
            self.decompose()

    def check_weights(self) -> None:
        if self.gram is not None:
            check_indices("gram.neighbours", self.gram.neighbours, self.n_items)

    def entry_scores(self, entries: Entries) -> Scores:
        return self._all_scores(*self._parts(entries))

    @torch.no_grad()
    def kernel(self, items: EntryIndices, target: int) -> PartContributions:
        self._check_ready()
        log_w, a, b, c, d = self._balance()
        gain = self.response(self.singular_values / self.singular_values[0])
        low_rank = self.item_vectors[items] @ (gain * self.item_vectors[target]) * self._item_scale(-a)[items, 0]
        weight = log_w.exp() / self.singular_values[0].square() * self._item_scale(c)[target, 0]
        exact = self._gram_column(items, target) * self._item_scale(-d)[items, 0] * weight
        return torch.stack([low_rank * self._item_scale(b)[target, 0], exact])

    def _gram_column(self, items: EntryIndices, target: int) -> EntryValues:
        """Some entries of a column of BᵀB, without σ_1."""
        if self.gram is not None:
            return self.gram.column(items, target)
        one_hot = self.item_vectors.new_zeros(self.n_items, 1)
        one_hot[target] = 1.0
        # BᵀB is symmetric: its product with a one-hot vector is a column and a row.
        return self._gram_product(one_hot)[items, 0]

    @torch.no_grad()
    def list_scores(self, users: UserIndices, items: RankedItems) -> ListScores:
        """The scores of the listed items; a missing item, -1, gets the score of item 0."""
        scores = []
        scale, trend = self._final_scale()[:, 0], self.trend()
        scale = scale if trend is None else scale * trend
        listed = items.to(scale.device).clamp(min=0)
        for block, rows in zip(torch.split(users, USERS_AT_A_TIME), torch.split(listed, USERS_AT_A_TIME), strict=True):
            sparse, factors = self._parts(self.training_entries(block))
            sums = products_at(rows, factors, self.item_vectors, sparse.T.gather(1, rows))
            scores.append(sums * scale[rows])
        return torch.cat(scores)

    def _balance(self) -> Numbers:
        """log w, a, b, c and d."""
        return self.own_numbers[self.n_times :]

    def _check_ready(self) -> None:
        if not self.singular_values[0] > 0:
            raise ValueError("the model has no singular vectors yet; call `decompose`, or load a saved one")

    @torch.no_grad()
    def _parts(self, entries: Entries) -> tuple[SparseScores, Factors]:
        """Both parts of the equation of the class, without D_i^b.

        The sparse part is a column of scores for each history, the low-rank part a row of factors of V.
        """
        self._check_ready()
        n_rows, rows, items, values = entries
        values = values.to(self.item_vectors)
        log_w, a, b, c, d = self._balance()
        # D_i^b is applied to the sum of both parts, so the sparse one is divided by it here: V is never copied.
        weight = log_w.exp() / self.singular_values[0].square()
        sparse = self._gram_scores(entries, self._item_scale(-d), self._item_scale(c - b) * weight)
        lengths = torch.bincount(rows, minlength=n_rows)
        weights = values * self._item_scale(-a)[items, 0]
        factors = embedding_bag(
            items, self.item_vectors, lengths.cumsum(0) - lengths, mode="sum", per_sample_weights=weights
        )
        return sparse, factors * self.response(self.singular_values / self.singular_values[0])

    @torch.no_grad()
    def _all_scores(self, sparse: SparseScores, factors: Factors) -> Scores:
        return row_products(factors, self.item_vectors).add_(sparse.T).mul_(self._final_scale().T)

    def _final_scale(self) -> ItemEmbeddings:
        """D_i^b, by which the sum of both parts is multiplied."""
        b = self._balance()[2]
        return self._item_scale(b)

    def _gram_scores(self, entries: Entries, before: ItemEmbeddings, after: ItemEmbeddings) -> SparseScores:
        """Histories times ``before``, BᵀB without σ_1, and ``after``, which are columns."""
        n_rows, rows, items, values = entries
        if self.gram is not None:
            return self.gram.scores(entries._replace(values=values * before[items, 0])).T.mul_(after)
        balance = self._degrees("item") ** (0.5 - self.item_exponent)
        histories = self.item_vectors.new_zeros(self.n_items, n_rows)
        histories[items, rows] = values * (balance * before)[items, 0]
        return self._two_steps(histories).mul_(balance * after)

    def _gram_product(self, items: ItemEmbeddings) -> ItemEmbeddings:
        """BᵀB X = D_i^(1/2 - δ) R̃ᵀ D_u^(1 - 2γ) R̃ D_i^(1/2 - δ) X, without σ_1."""
        balance = self._degrees("item") ** (0.5 - self.item_exponent)
        return self._two_steps(items * balance).mul_(balance)

    def _two_steps(self, items: ItemEmbeddings) -> ItemEmbeddings:
        """R̃ᵀ D_u^(1 - 2γ) R̃ X."""
        users = self.graph.users_from_items(items)
        return self.graph.items_from_users(users.mul_(self._degrees("user") ** (1 - 2 * self.user_exponent)))

    def _item_scale(self, exponent: Tensor) -> ItemEmbeddings:
        """(degree / mean degree)^exponent of every item as a column; the mean keeps both parts in proportion."""
        degrees = self._degrees("item")
        return (degrees / degrees.mean()) ** exponent

    def _degrees(self, side: str) -> UserEmbeddings:
        """Degrees as a column; a node without pairs has 1, so that every power exists."""
        degrees = self.graph.user_degrees if side == "user" else self.graph.item_degrees
        return degrees.to(self.item_vectors).clamp(min=1)[:, None]
