"""Blend: a weighted sum of other models' scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias, cast

import torch
from torch import Tensor, nn

from ltocf.data.interactions import Interactions
from ltocf.evaluation.top_k import Scorer
from ltocf.evaluation.validation import Validation
from ltocf.graph import BipartiteGraph
from ltocf.models.base import Recommender
from ltocf.models.blend_map import BlendMap, blended
from ltocf.models.drift import Drift
from ltocf.models.user_map import score_map_of
from ltocf.shapes import Scores, UserIndices
from ltocf.training import SEARCH_USERS, FitContext, FitResult, TrainingSettings
from ltocf.training.ensemble import choose_weights

Member: TypeAlias = "str | Mapping[str, Any]"


@dataclass(frozen=True)
class BlendScorer:
    """The equation of `Blend` over the scorers of its members."""

    scorers: Sequence[Scorer]
    weights: Sequence[float]
    scores_are_new: ClassVar[bool] = True

    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each requested user."""
        return blended([scorer.scores(users) for scorer in self.scorers], self.weights)


class Blend(Recommender):
    """A weighted sum of other models' scores, each in units of its own spread.

        score(u, i) = Σ_m w_m s_m(u, i) / sd_m(u),   sd_m(u) the standard deviation of s_m(u, ·) over the catalogue

    The weights are chosen on the validation set by `ltocf.training.ensemble.choose_weights`; without one they are
    equal. Scores need not be centred, which would add the same number to all items of a user. If the scores of all
    members are sums over a history, so are those of the blend, which can then be explained and takes new users.

    Args:
        graph: the training graph.
        members: the models, each a name or a table of name and options: ``{"model": "spectral", "rank": 256}``.
        seed: seed of each member.

    Raises:
        ValueError: no member, a member without ``model``, or an option that a member refuses.

    Source: weights by Caruana et al., ICML 2004, https://doi.org/10.1145/1015330.1015432

    Example:
        >>> from ltocf.data import Interactions
        >>> log = Interactions.from_pairs([0, 0, 1, 1, 2], [0, 1, 0, 2, 2])
        >>> model = Blend(BipartiteGraph.from_interactions(log), ["spectral", {"model": "lightgcn", "dim": 4}])
        >>> model.prepare()
        >>> model.learned(), model.scores(torch.tensor([0, 2])).shape
        ({'weight_spectral': 0.5, 'weight_lightgcn': 0.5}, torch.Size([2, 3]))
    """

    starts: ClassVar[tuple[str, ...]] = ("random", "spectral")
    uses_weights: ClassVar[bool] = True
    weights: Tensor

    def __init__(
        self, graph: BipartiteGraph, members: Sequence[Member] = ("spectral", "ltocf"), *, seed: int = 0
    ) -> None:
        from ltocf.models import build_model  # the registry, in which this class is an entry

        super().__init__(graph.n_users, graph.n_items)
        tables = [{"model": member} if isinstance(member, str) else dict(member) for member in members]
        if not tables:
            raise ValueError("`members` must have at least one model, got none")
        if without := [table for table in tables if "model" not in table]:
            raise ValueError(f"a member of a blend must name its `model`, got {without[0]}")
        self.names = _distinct([table.pop("model") for table in tables])
        kinds = [name.partition("#")[0] for name in self.names]
        self.members = nn.ModuleList(
            build_model(kind, graph, options, seed=seed) for kind, options in zip(kinds, tables, strict=True)
        )
        self.register_buffer("weights", torch.full((len(tables),), 1 / len(tables)))
        self.fits: tuple[FitResult, ...] = ()

    @property
    def models(self) -> list[Recommender]:
        """The members."""
        return cast("list[Recommender]", list(self.members))

    @property
    def reads_order(self) -> bool:
        return any(model.reads_order for _, model, _ in self._weighted())

    def learned(self) -> dict[str, float]:
        return dict(zip((f"weight_{name}" for name in self.names), self.weights.tolist(), strict=True))

    def train_on(
        self,
        pairs: Interactions,
        *,
        settings: TrainingSettings,
        validation: Validation | None = None,
        seed: int = 0,
        context: FitContext | None = None,
    ) -> FitResult:
        """Train each member by itself, all with ``settings``; then choose the weights."""
        context = context or FitContext()
        file = context.checkpoint
        fits = []
        for place, (name, model) in enumerate(zip(self.names, self.models, strict=True)):
            of_member = replace(
                context,
                checkpoint=None if file is None else file.with_stem(f"{file.stem}-{name}"),
                last_epoch=(self.fits[place].best_epoch or 0) if self.fits else 0,
                description=f"{context.description}: {name}",
            )
            fits.append(model.train_on(pairs, settings=settings, validation=validation, seed=seed, context=of_member))
        self.fits = tuple(fits)
        value = None if validation is None else self.weigh(validation)[context.select_by]
        longest = max(fits, key=lambda fit: fit.best_epoch or fit.epochs)
        return longest._replace(
            best_value=value,
            seconds=sum(fit.seconds for fit in fits),
            repeating_seconds=sum(fit.repeating_seconds for fit in fits),
        )

    def weigh(self, validation: Validation) -> dict[str, float]:
        """Choose the weights on a validation set, or a sample of its users; returns the metrics that they reach."""
        found = choose_weights([model.scorer() for model in self.models], validation.of_at_most(SEARCH_USERS))
        self.weights.copy_(torch.tensor(found.weights))
        return validation(self.scorer())

    def hold(self, models: Sequence[Recommender], weights: Sequence[float]) -> None:
        """Copy the state of each member from a model that was trained elsewhere, and set the weights."""
        for member, model in zip(self.models, models, strict=True):
            member.load_state_dict(model.state_dict())
        self.weights.copy_(torch.tensor(weights))

    def prepare(self) -> None:
        for model in self.models:
            model.prepare()

    def take_over(self, chosen: Recommender) -> None:
        assert isinstance(chosen, Blend)
        self.weights.copy_(chosen.weights)
        self.fits = chosen.fits
        for model, other in zip(self.models, chosen.models, strict=True):
            model.take_over(other)

    def go_on_from(self, chosen: Recommender) -> None:
        assert isinstance(chosen, Blend)
        for model, other in zip(self.models, chosen.models, strict=True):
            model.go_on_from(other)

    def extrapolate(self, drift: Drift) -> None:
        for model in self.models:
            model.extrapolate(drift)

    def expect_core(self, core: int, held_out: float) -> bool:
        expecting = [model.expect_core(core, held_out) for model in self.models]
        return any(each and weight for each, weight in zip(expecting, self.weights.tolist(), strict=True))

    def grow_from(self, smaller: Recommender, graph: BipartiteGraph) -> None:
        assert isinstance(smaller, Blend)
        self.weights.copy_(smaller.weights)
        for model, other in zip(self.models, smaller.models, strict=True):
            model.grow_from(other, graph)

    def scorer(self) -> BlendScorer:
        """The scorers of the members that have a weight."""
        used = self._weighted()
        return BlendScorer([model.scorer() for _, model, _ in used], [weight for *_, weight in used])

    def score_map(self) -> BlendMap:
        """Scores of any histories, and what each of their items adds.

        Raises:
            ValueError: the scores of a member are not sums over a history.
        """
        names, maps, weights = [], [], []
        for name, model, weight in self._weighted():
            score_map = score_map_of(model)
            if score_map is None:
                raise ValueError(f"the scores of this blend are not sums over a history: those of {name} are not")
            names.append(name)
            maps.append(score_map)
            weights.append(weight)
        return BlendMap(names, maps, weights)

    def _weighted(self) -> list[tuple[str, Recommender, float]]:
        return [row for row in zip(self.names, self.models, self.weights.tolist(), strict=True) if row[2]]


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, each made distinct: "#2" is appended to the second of a kind.

    Example:
        >>> _distinct(["ltocf", "spectral", "ltocf"])
        ['ltocf', 'spectral', 'ltocf#2']
    """
    counts: dict[str, int] = {}
    distinct = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        distinct.append(name if counts[name] == 1 else f"{name}#{counts[name]}")
    return distinct
