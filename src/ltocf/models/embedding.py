"""Models whose score is the inner product of final embeddings, or their cosine."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import fields, replace
from inspect import Parameter, signature
from typing import Any, ClassVar, Unpack

import torch
from torch import Tensor, nn

from ltocf.data.interactions import Interactions
from ltocf.evaluation.validation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.losses import LossTerms, l2_penalty
from ltocf.models.base import GradientRecommender, Recommender, evaluating
from ltocf.models.drift import Drift
from ltocf.models.embedding_scorer import EmbeddingScorer
from ltocf.models.history_rescoring import HistoryRescoring
from ltocf.models.initial import INITIAL_DEVIATION, InitialEmbeddings, normal
from ltocf.models.least_squares import LeastSquares
from ltocf.models.objective import Objective, ObjectiveOptions, remember_losses
from ltocf.models.pieces import nodes_of, terms_in_pieces
from ltocf.models.ranking import (
    CORE_START,
    STEPS,
    Ranking,
    RankingNumbers,
    Rescoring,
    choose_ranking,
    leaving_time_to_choose,
)
from ltocf.models.recency import Recency, log_trend
from ltocf.models.user_map import LinearModel, Touch, UserMap
from ltocf.models.user_steps import UserSteps
from ltocf.sampling import Batch, Batches
from ltocf.shapes import (
    BatchEmbeddings,
    Embeddings,
    FinalEmbeddings,
    ItemEmbeddings,
    ItemValues,
    NegativeEmbeddings,
    PerUser,
    Scalar,
    ScoredItems,
    ScoredUsers,
    UserEmbeddings,
)
from ltocf.training import FitContext, FitResult, TrainingSettings


class EmbeddingRecommender(GradientRecommender):
    """A model whose score is the inner product of final embeddings, or their cosine.

        score(u, i) = <E_final[u], E_final[i]>,   or by another ranking of its `Objective`
        E_final = propagate(E(0)),   E(0) ~ N(0, 0.1²) unless the model's source has another start

    A subclass has to define one method: `propagate`.

    Args:
        graph: the training graph; this class uses its sizes and the degrees of its items.
        dim: length of an embedding.
        seed: seed of the initial embeddings.
        initial: draws the initial embeddings; None: N(0, 0.1²).
        objective: the fields of `Objective` as keywords: loss, sampler and ranking.

    Raises:
        ValueError: an unknown loss or ranking, or a number out of range.
    """

    starts: ClassVar[tuple[str, ...]] = ("random", "spectral", "mf")
    uses_weights: ClassVar[bool] = True
    later_weights: ClassVar[tuple[str, ...]] = tuple(f"ranking_numbers.{name}" for name in ("trend", *CORE_START))
    columns_apart: bool = False
    """Whether `propagate` acts on each column independently, see `Trainable.columns`."""
    l2_of_final: bool = False
    """Whether the L2 penalty is on the final embeddings of a batch instead of the initial ones."""
    log_degrees: Tensor
    user_losses: Tensor

    def __init__(
        self,
        graph: BipartiteGraph,
        dim: int,
        seed: int,
        initial: InitialEmbeddings | None = None,
        **objective: Unpack[ObjectiveOptions],
    ) -> None:
        super().__init__(graph.n_users, graph.n_items)
        if dim < 1:
            raise ValueError(f"`dim` must be >= 1, got {dim}")
        self.dim, self.objective = dim, Objective(**objective).for_pairs(len(graph.user_indices))
        numbers = self.objective.chosen_numbers()
        self.ranking_numbers = RankingNumbers(numbers) if numbers else None
        self._batch_losses: list[tuple[Tensor, Tensor]] = []
        if self.objective.adaptive_temperature:
            self.register_buffer("user_losses", torch.zeros(graph.n_users))
        # A new user or item has no degree; its popularity is that of one pair.
        self.register_buffer("log_degrees", graph.item_degrees.clamp(min=1).log(), persistent=False)
        generator = torch.Generator().manual_seed(seed)
        self.initial_embeddings = nn.Parameter((initial or normal(INITIAL_DEVIATION))(graph, dim, generator))

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Its own options, and those of `Objective` if its constructor passes keywords on to this class."""
        keywords = [p.kind for p in signature(cls).parameters.values()]
        objective = {f.name: f.default for f in fields(Objective)} if Parameter.VAR_KEYWORD in keywords else {}
        return super().options() | objective

    def columns(self) -> dict[str, int]:
        return {"initial_embeddings": self.dim} if self.columns_apart else {}

    @property
    def history_graph(self) -> BipartiteGraph | None:
        """The graph with the histories, for a model whose `user_map` depends on them."""
        return None

    def check_weights(self) -> None:
        if self.ranking_numbers is not None:
            self.ranking_numbers.check()

    @abstractmethod
    def propagate(self, embeddings: Embeddings) -> FinalEmbeddings:
        """E_final from E(0): users followed by items."""

    @torch.no_grad()
    def start_from(self, users: UserEmbeddings, items: ItemEmbeddings) -> None:
        self.initial_embeddings.copy_(torch.cat([users, items]))

    @torch.no_grad()
    def grow_from(self, smaller: Recommender, graph: BipartiteGraph) -> None:
        super().grow_from(smaller, graph)
        self.take_over(smaller)
        self.expect_core(0, 0.0)  # new events may be those that had been held out
        if self.objective.adaptive_temperature:
            assert isinstance(smaller, EmbeddingRecommender)
            self.user_losses.fill_(smaller.user_losses.mean())
            self.user_losses[: smaller.n_users] = smaller.user_losses

    def train_on(
        self,
        pairs: Interactions,
        *,
        settings: TrainingSettings,
        validation: Validation | None = None,
        seed: int = 0,
        context: FitContext | None = None,
    ) -> FitResult:
        numbers, context = self.ranking_numbers, context or FitContext()
        searched = self.objective.choose_ranking or self._ordered_graph() is not None
        if numbers is None or validation is None or not searched:
            return super().train_on(pairs, settings=settings, validation=validation, seed=seed, context=context)
        shorter = leaving_time_to_choose(context, validation)
        trained = super().train_on(pairs, settings=settings, validation=validation, seed=seed, context=shorter)
        return choose_ranking(self._rescoring(), numbers, self.scorer, validation, trained, context)

    def _rescoring(self) -> Rescoring:
        items, ranking = self.final_items(), self.ranking
        steps = STEPS if self.objective.choose_ranking else {}
        if (graph := self._ordered_graph()) is not None:
            return HistoryRescoring(self._user_map(), graph.all_histories(), items, self.log_degrees, ranking, steps)
        users = ranking.users(self.final_users(), self._temperatures())
        return Rescoring(users, items, self.log_degrees, ranking, steps)

    def take_over(self, chosen: Recommender) -> None:
        assert isinstance(chosen, EmbeddingRecommender)
        if self.ranking_numbers is not None and chosen.ranking_numbers is not None:
            self.ranking_numbers.load_state_dict(chosen.ranking_numbers.state_dict())

    def extrapolate(self, drift: Drift) -> None:
        if self.ranking_numbers is not None and self.reads_order:
            self.ranking_numbers.extrapolate(drift)

    def expect_core(self, core: int, held_out: float) -> bool:
        return self.ranking_numbers is not None and self.ranking_numbers.expect_core(core, held_out)

    def learned(self) -> dict[str, float]:
        return {} if self.ranking_numbers is None else self.ranking_numbers.learned(self.reads_order)

    @property
    def reads_order(self) -> bool:
        return self._ordered_graph() is not None

    def _ordered_graph(self) -> BipartiteGraph | None:
        """The graph, if it has histories in order and recency is chosen."""
        graph = self.history_graph if self.objective.recency == "auto" else None
        return None if graph is None or graph.later is None else graph

    @property
    def ranking(self) -> Ranking:
        """How scores are formed from final embeddings, with the chosen numbers."""
        start = self.objective.as_ranking()
        return start if self.ranking_numbers is None else self.ranking_numbers.ranking(start)

    @property
    def recency(self) -> tuple[Recency | None, float]:
        """How the items of a history are weighed by their age, and the weight of a user's own embedding, as chosen."""
        if self.ranking_numbers is None or not self.reads_order:
            return None, 1.0
        return self.ranking_numbers.recency, float(self.ranking_numbers.own_weight)

    def forward(self, batch: Batch, *more: Batch) -> LossTerms:
        """The loss of a batch; with ``more``, of a larger batch split into pieces, see `terms_in_pieces`."""
        initial = self.initial_embeddings
        self._batch_losses.clear()
        if more:
            terms = terms_in_pieces(self, (batch, *more))
        else:
            # One gather for all three roles: its backward is then one scatter, not three.
            nodes = nodes_of(batch, self.n_users)
            # Before the propagation, whose backward then runs first: its states are freed when this gradient is made.
            penalised = None if self.l2_of_final else initial.index_select(0, self.ranks.local_rows(nodes))
            rows = self.ranks.take(self.propagate(initial), nodes)
            ranking = self.loss_of_rows(batch, rows)
            terms = LossTerms(ranking, l2_penalty(rows if penalised is None else penalised, len(batch.users)))
        if self._batch_losses:  # after the last piece, so that all pieces have the same temperatures
            remember_losses(self.user_losses, *map(torch.cat, zip(*self._batch_losses, strict=True)))
        return terms

    def loss_of_rows(self, batch: Batch, rows: Tensor) -> Scalar:
        """`ranking_loss`, given the final embeddings of all nodes of a batch in the order of `nodes_of`."""
        return self.ranking_loss(batch, *torch.split(rows, [len(part) for part in batch[:3]]))

    def ranking_loss(
        self, batch: Batch, users: BatchEmbeddings, positives: BatchEmbeddings, negatives: NegativeEmbeddings
    ) -> Scalar:
        """The loss of a batch, given the final embeddings of its users, positives and negatives."""
        all_temperatures, objective = self._temperatures(), self.objective
        temperatures = None if all_temperatures is None else all_temperatures.index_select(0, batch.users)
        counts = objective.counts(self.log_degrees, batch.negatives)
        mean, losses = objective.ranking_loss(
            users, positives, negatives, temperatures, batch.weights, counts, self.ranks
        )
        if temperatures is not None and self.training:
            self._batch_losses.append((batch.users, losses))
        return mean

    def _temperatures(self) -> PerUser | None:
        return self.objective.temperatures(self.user_losses) if self.objective.adaptive_temperature else None

    def freeze(self) -> bool:
        # Adaptive temperatures are computed on the CPU.
        return not self.objective.adaptive_temperature

    @property
    def piece_size(self) -> int:
        return self.objective.piece_size

    def batches(self, train: Interactions, batch_size: int, seed: int, device: torch.device | str = "cpu") -> Batches:
        return self.objective.batches(train, batch_size, seed, device)

    def embeddings(self) -> tuple[ScoredUsers, ScoredItems]:
        """Vectors whose inner product is the score: those of `Ranking`, one longer where popularity counts."""
        (users, items), ranking, temperatures = self._final_embeddings(), self.ranking, self._temperatures()
        users = ranking.users(users, None if temperatures is None else self.ranks.own_nodes(temperatures))
        items = ranking.items(items)
        bias = self._item_bias(items)
        if bias is None:
            return users, items
        return torch.cat([users, torch.ones_like(users[:, :1])], dim=1), torch.cat([items, bias[:, None]], dim=1)

    def _item_bias(self, items: ItemEmbeddings) -> ItemValues | None:
        """What is added to the scores of each item for its popularity, trend and rarity; None for nothing."""
        log_degrees, numbers = self.log_degrees.to(items), self.ranking_numbers
        recency, graph = self.recency[0], self._ordered_graph()
        shares = [self.ranking.bias(log_degrees), None if numbers is None else numbers.core_bias(log_degrees)]
        if recency is not None and graph is not None and recency.trend:
            shares.append(recency.trend * log_trend(graph.all_histories(), recency.unit).to(items))
        known = [share for share in shares if share is not None]
        return torch.stack(known).sum(0) if known else None

    def _final_embeddings(self) -> tuple[UserEmbeddings, ItemEmbeddings]:
        """Final embeddings of the users, with histories weighed by age if that was chosen, and of the items."""
        users, items = self.ranks.to_score(self.propagate(self.initial_embeddings), self.n_users)
        recency, own_weight = self.recency
        if (graph := self._ordered_graph()) is None or (recency is not None and (recency.power, own_weight) == (0, 1)):
            return users, items
        linear = replace(self._user_map(), temperature=None)
        return linear.vectors(graph.all_histories(), torch.arange(self.n_users)), items

    def _user_map(self) -> UserMap:
        assert isinstance(self, LinearModel)
        return self.user_map()

    @torch.no_grad()
    def scorer(self) -> EmbeddingScorer:
        """The final embeddings without dropout, computed once, as a scorer for many calls."""
        with evaluating(self):
            users, items = self.embeddings()
        # Where `propagate` is the identity, these are views of the parameter and would still ask for gradients.
        return EmbeddingScorer(users.detach(), items.detach(), self.ranks.local_rows)

    @torch.no_grad()
    def final_items(self) -> ItemEmbeddings:
        """Final embeddings of the items, without their popularity: similar items are near each other."""
        with evaluating(self):
            return self.propagate(self.initial_embeddings)[self.n_users :].detach()

    @torch.no_grad()
    def final_users(self) -> UserEmbeddings:
        """Final embeddings of the users: similar users are near each other."""
        with evaluating(self):
            return self._final_embeddings()[0].detach()

    def least_squares(self) -> LeastSquares:
        """Vectors for any histories against the fixed items."""
        items, ranking = self.final_items(), self.ranking
        length = ranking.users(self.final_users()).norm(dim=1).mean().item()
        return LeastSquares(ranking.items(items), length, self._item_bias(items))

    def user_steps(self) -> UserSteps:
        """Gradient steps for any histories against the fixed items, see `UserSteps.beside`."""
        items = self.final_items()
        return UserSteps.beside(items, self.log_degrees, self.ranking, self.objective, self._item_bias(items))

    @torch.no_grad()
    def _build_user_map(
        self,
        own: UserEmbeddings,
        touch: Touch | None = None,
        graph: BipartiteGraph | None = None,
        *,
        self_loops: bool = False,
        part_names: tuple[str, ...] = (),
    ) -> UserMap:
        """The `UserMap` of user vectors that are ``own`` plus what ``touch`` adds over ``graph``."""
        items, ranking, temperatures = self.final_items(), self.ranking, self._temperatures()
        return UserMap(
            items.new_zeros(0, *items.shape) if touch is None else touch,
            own.detach(),
            ranking.items(items),
            items.new_ones(len(items)) if graph is None else graph.item_degrees.to(items),
            self._item_bias(items),
            ranking.temperature,
            temperatures.to(items) if ranking.temperature is not None and temperatures is not None else None,
            self_loops,
            part_names,
            *self.recency,
        )
