"""UserMap: a user's vector as a linear map of their history, and so every score as a sum over it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy.polynomial import chebyshev
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize

from ltocf.data.display import Shown
from ltocf.data.histories import Histories
from ltocf.models.recency import Recency
from ltocf.models.row_products import row_products
from ltocf.shapes import Coefficients, ItemEmbeddings, QueryVectors, Scalar, Scores, UserEmbeddings, UserIndices

Touch: TypeAlias = Float[Tensor, "parts items dim"]
ItemNumbers: TypeAlias = Float[Tensor, " items"]
UserNumbers: TypeAlias = Float[Tensor, " users"]
PartContributions: TypeAlias = Float[Tensor, "parts touched"]


@runtime_checkable
class LinearModel(Protocol):
    """A model whose user vectors are linear in the histories: it can be explained, and most take new users."""

    def user_map(self) -> UserMap:
        """The map of the model's present state."""


@runtime_checkable
class SummedModel(Protocol):
    """A model whose scores are sums over a history, without a vector of the user in between."""

    def score_map(self) -> ScoreMap:
        """The sums of the model's present state."""


@runtime_checkable
class ScoreMap(Protocol):
    """Scores as sums over a history: exactly those of the model for training users, and scores for anybody else."""

    @property
    def depends_on_history(self) -> bool:
        """Whether a new user can be scored."""

    @property
    def part_names(self) -> tuple[str, ...]:
        """A name of each part of a score to show to people; or none."""

    def scores(self, histories: Histories, users: UserIndices | None = None) -> Scores:
        """Score of every item for each history.

        Args:
            histories: a row for each query; an item is in it at most once.
            users: the training users whose histories they are, (queries,), or None for users who were not in training.
        """

    def contributions(self, history: Histories, item: int, user: int | None = None) -> Contributions:
        """What each item of one history adds to the score of ``item``, and what else does.

        Args:
            history: one row.
            item: the item that is scored.
            user: the training user whose history it is, or None for a user who was not in training.

        Raises:
            ValueError: not exactly one row.
        """


class Contributions(NamedTuple):
    """A score, taken apart: its parts sum to it.

    Args:
        history: what each item of the history adds, in each part of the map.
        own: what the user's own embedding adds, 0 for a user who was not in training.
        popularity: what the item's popularity adds.
    """

    history: PartContributions
    own: Scalar
    popularity: Scalar

    @property
    def score(self) -> Scalar:
        """The sum of all parts."""
        total: Scalar = self.history.sum() + self.own + self.popularity
        return total

    def __repr__(self) -> str:
        n_parts, n_items = self.history.shape
        return f"Contributions(score={self.score.item():.4g}, n_parts={n_parts}, n_items={n_items})"


@dataclass(frozen=True, eq=False, repr=False)
class UserMap(Shown):
    """Vectors and scores of any histories, exactly those of the model for training users.

        vector(u) = ω own[u] + Σ_p Σ_{j in history} r̃_uj w_p(u, j) touch[p, j]
        w_p(u, j) = s^p / sqrt(d_u d_j),   d_u = |history|, d_j = degree of j, s = 1
        score(u, i) = <vector(u), items[i]> + bias[i]

    r̃ weighs the items by their age, see `Recency`: 1 without it, and if a history has no order. Its mean over a
    history is 1, so that history and own part keep their proportion; ω = 1 unless it is chosen too.
    With self-loops both degrees are one larger and s = 1 / d_u: part p has passed p loops of the user.
    With the cosine the vector is divided by its norm and by the temperature, so the score stays a sum.

    Args:
        touch: what touching item j adds to a vector, in each part: one part for each state of an ODE, one for a mean
            over layers, none if a vector does not depend on the history.
        own: the share of a training user's vector that comes from their own embedding, or None.
        items: item vectors, normalised for the cosine.
        degrees: number of training users of each item.
        bias: what popularity adds to the score of an item, or None.
        temperature: None for the inner product, else τ of the cosine.
        temperatures: τ of each training user, if they differ.
        self_loops: whether nodes are neighbours of themselves.
        part_names: a name of each part to show to people, such as the time of a state of an ODE; or none.
        recency: how the items of a history are weighed by their age, or None: a history is a set.
        own_weight: ω.

    Source: E_final = h(Â) E(0) and h(λ) = h(0) + λ q(λ), so the row of a user is h(0) E(0)[u] + Â[u, :] q(Â) E(0).

    Example:
        >>> from ltocf.data import Interactions
        >>> from ltocf.graph import BipartiteGraph
        >>> from ltocf.models import LightGCN
        >>> log = Interactions.from_pairs([0, 0, 1], [0, 1, 1])
        >>> model = LightGCN(BipartiteGraph.from_interactions(log), dim=4)
        >>> histories, users = Histories.of(log), torch.tensor([0, 1])
        >>> model.user_map().vectors(histories, users).allclose(model.embeddings()[0])
        True
        >>> parts = model.user_map().contributions(histories.rows(users[:1]), item=1, user=0)
        >>> parts.score.allclose(model.scores(users)[0, 1])
        True
    """

    touch: Touch
    own: UserEmbeddings | None
    items: ItemEmbeddings
    degrees: ItemNumbers
    bias: ItemNumbers | None = None
    temperature: float | None = None
    temperatures: UserNumbers | None = None
    self_loops: bool = False
    part_names: tuple[str, ...] = ()
    recency: Recency | None = None
    own_weight: float | int = 1.0

    def facts(self) -> dict[str, object]:
        n_parts, n_items, dim = self.touch.shape
        return {"n_parts": n_parts, "n_items": n_items, "dim": dim, "cosine": self.temperature is not None}

    @property
    def depends_on_history(self) -> bool:
        """Whether a new user can be given a vector."""
        return len(self.touch) > 0

    def vectors(self, histories: Histories, users: UserIndices | None = None) -> QueryVectors:
        """The vector of each history.

        Args:
            histories: a row for each query; an item is in it at most once.
            users: the training users whose histories they are, (queries,), or None for users who were not in training.
        """
        raw = self._raw(histories, users)
        return raw if self.temperature is None else normalize(raw) / self._temperatures(users)

    def scores(self, histories: Histories, users: UserIndices | None = None) -> Scores:
        """Score of every item for each history; arguments as for `vectors`."""
        scores = row_products(self.vectors(histories, users), self.items)
        return scores if self.bias is None else scores + self.bias

    def contributions(self, history: Histories, item: int, user: int | None = None) -> Contributions:
        """What each item of one history adds to the score of ``item``, and what else does; see `ScoreMap`."""
        only_row(history)
        users = None if user is None else torch.tensor([user])
        target, scale = self.items[item], self.items.new_ones(())
        if self.temperature is not None:
            scale = 1 / (self._raw(history, users).norm().clamp(min=1e-12) * self._temperatures(users).squeeze())
        touched = history.items.long().to(self.items.device)
        products = self.touch.index_select(1, touched) @ target
        for part, weights in zip(products, self._weights(history), strict=True):
            part *= weights * scale
        own = target.new_zeros(())
        if self.own is not None and user is not None:
            own = (self.own[user] @ target) * scale * self.own_weight
        return Contributions(products, own, target.new_zeros(()) if self.bias is None else self.bias[item])

    def _raw(self, histories: Histories, users: UserIndices | None) -> QueryVectors:
        """The equation of the class, before the cosine."""
        device = self.items.device
        rows = self.items.new_zeros(len(histories), self.items.shape[1])
        if self.own is not None and users is not None:
            rows += self.own.index_select(0, users.to(device)) * self.own_weight
        items, offsets = histories.items.long().to(device), histories.offsets.to(device)
        for touch, weights in zip(self.touch, self._weights(histories), strict=True):
            rows += embedding_bag(
                items, touch, offsets, mode="sum", per_sample_weights=weights, include_last_offset=True
            )
        return rows

    def _weights(self, histories: Histories) -> Iterator[Float[Tensor, " entries"]]:
        """r̃_uj w_p(u, j) of every entry, for one part after the other."""
        loops, device = int(self.self_loops), self.items.device
        items = histories.items.long().to(device)
        # A row without entries has no weight to compute.
        lengths = (histories.lengths + loops).to(device, self.items.dtype)
        lengths = lengths.repeat_interleave(histories.lengths.to(device))
        # An item without training users has this user's pair.
        degrees = (self.degrees.index_select(0, items) + loops).clamp(min=1)
        weights = (lengths * degrees).rsqrt() * self._aged(histories)
        for _ in self.touch:
            yield weights
            weights = weights / lengths if self.self_loops else weights

    def _aged(self, histories: Histories) -> Float[Tensor, " entries"] | float:
        """r̃ of every entry; 1 for a set."""
        ages = None if self.recency is None else self.recency.ages(histories)
        if self.recency is None or ages is None:
            return 1.0
        rows = torch.repeat_interleave(histories.lengths).to(self.items.device)
        return self.recency.weights(ages.to(self.items.device), rows, len(histories)).to(self.items.dtype)

    def _temperatures(self, users: UserIndices | None) -> Float[Tensor, "queries_or_all 1"]:
        if self.temperatures is None or users is None:
            return self.items.new_full((1, 1), self.temperature or 1.0)
        return self.temperatures.index_select(0, users.to(self.items.device))[:, None]


def score_map_of(model: object) -> ScoreMap | None:
    """The scores of a model as sums over a history, or None if they are not."""
    if isinstance(model, SummedModel):
        return model.score_map()
    return model.user_map() if isinstance(model, LinearModel) else None


def only_row(history: Histories) -> Histories:
    """The same histories; raises ValueError unless there is exactly one row."""
    if len(history) != 1:
        raise ValueError(f"`history` must be one row, got {len(history)}; take `histories.rows(users[:1])`")
    return history


def without_constant(coefficients: Coefficients) -> tuple[float, Float[Tensor, " quotient"]]:
    """h(0), and the Chebyshev coefficients of q(λ) = (h(λ) - h(0)) / λ for h = Σ_k c_k T_k.

    The division is exact, so h(0) + Â q(Â) is the given polynomial itself, not an approximation.

    Example:
        >>> h0, q = without_constant(torch.tensor([1.5, 3.0, 0.5], dtype=torch.float64))  # 1 + 3 λ + λ²
        >>> h0, q.tolist()
        (1.0, [3.0, 1.0])
    """
    quotient, remainder = chebyshev.chebdiv(coefficients.detach().cpu().double().numpy(), np.array([0.0, 1.0]))
    return float(remainder[0]), torch.from_numpy(quotient)
