"""The few numbers of a ranking, and how they are chosen: by scoring anew what training ended with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize

from ltocf.evaluation.top_k import Scorer
from ltocf.evaluation.validation import Validation
from ltocf.shapes import (
    ItemEmbeddings,
    ListScores,
    Numbers,
    PerUser,
    RankedItems,
    ScoredUsers,
    Scores,
    UserEmbeddings,
    UserIndices,
)
from ltocf.training import SEARCH_USERS, FitContext, FitResult, Shortlist, search

ItemValues: TypeAlias = Float[Tensor, " items"]

STEPS = {"popularity": 0.5, "norm": 0.25}
"""The numbers of a ranking by their names, and a step of each that is worth trying first."""
EVALUATIONS = 30
SHORTEST = 1e-12


class Ranking(NamedTuple):
    """How scores are formed of final embeddings.

        score(u, i) = <F_u, F_i> + β log deg(i)   or, with a temperature,
        score(u, i) = cos(F_u, F_i) / τ · (|F_i| / mean |F|)^c + β log deg(i)

    With c = 0 the first part is the cosine; with c = 1 it orders items as the inner product does.

    Args:
        popularity: β.
        norm: c.
        temperature: τ, None for the inner product.

    Example:
        >>> Ranking(norm=1.0, temperature=1.0).items(torch.tensor([[3.0, 4.0], [15.0, 0.0]])).tolist()
        [[0.30000001192092896, 0.4000000059604645], [1.5, 0.0]]
    """

    popularity: float = 0.0
    norm: float = 0.0
    temperature: float | None = None

    def items(self, items: ItemEmbeddings) -> ItemEmbeddings:
        """The vectors of items that those of users are multiplied with."""
        if self.temperature is None:
            return items
        return normalize(items) * self.lengths(items)[:, None] if self.norm else normalize(items)

    def users(self, users: UserEmbeddings, temperatures: PerUser | None = None) -> UserEmbeddings:
        """The vectors of users; with ``temperatures`` each has a τ of their own."""
        if self.temperature is None:
            return users
        return normalize(users) / (self.temperature if temperatures is None else temperatures[:, None])

    def lengths(self, items: ItemEmbeddings) -> ItemValues:
        """What the norm multiplies the score of each item by."""
        lengths = items.norm(dim=1).clamp(min=SHORTEST)
        share: ItemValues = (lengths / lengths.mean()).pow(self.norm)
        return share

    def bias(self, log_degrees: ItemValues) -> ItemValues | None:
        """What popularity adds to the score of each item, None for nothing."""
        return self.popularity * log_degrees if self.popularity else None


class RankingNumbers(nn.Module):
    """The numbers of `STEPS` as part of a model: each is a number of its own in the model file.

    Example:
        >>> numbers = RankingNumbers({"popularity": 1.0, "norm": 0.0})
        >>> numbers.named(), list(numbers.state_dict())
        ({'popularity': 1.0, 'norm': 0.0}, ['popularity', 'norm'])
    """

    def __init__(self, start: dict[str, float]) -> None:
        super().__init__()
        for name in STEPS:
            self.register_buffer(name, torch.tensor(start[name]))

    def named(self) -> dict[str, float]:
        """Each number by its name."""
        return {name: float(getattr(self, name)) for name in STEPS}

    def set(self, numbers: Numbers) -> None:
        """Replace all of them, in the order of `STEPS`."""
        for name, value in zip(STEPS, numbers, strict=True):
            getattr(self, name).copy_(value)


class Rescoring:
    """Embeddings that stay and ranking numbers that are searched, see `ltocf.training.simplex`.

    Args:
        users: final embeddings of the users, as `Ranking.users` gives them.
        items: final embeddings of the items.
        log_degrees: of the items.
        ranking: where the search starts; of cosines.

    Example:
        >>> items = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> rescoring = Rescoring(items[:1], items, torch.tensor([0.0, 1.0]), Ranking(temperature=1.0))
        >>> rescoring.numbers[0] = 3.0
        >>> rescoring.learned(), rescoring.scores(torch.tensor([0])).tolist()
        ({'popularity': 3.0, 'norm': 0.0}, [[1.0, 3.0]])
    """

    scores_are_new = True

    def __init__(self, users: ScoredUsers, items: ItemEmbeddings, log_degrees: ItemValues, ranking: Ranking) -> None:
        self.users, self.items, self.cosines, self.log_degrees = users, items, normalize(items), log_degrees
        self.start, self.n_items = ranking, len(items)
        self.numbers = torch.tensor([getattr(ranking, name) for name in STEPS], dtype=torch.float64)

    @property
    def search_steps(self) -> Numbers:
        """A step of each number that is worth trying first."""
        return torch.tensor([*STEPS.values()], dtype=torch.float64)

    def prepare(self) -> None:
        """Nothing: the embeddings are there."""

    def learned(self) -> dict[str, float]:
        """The numbers by their names."""
        return dict(zip(STEPS, self.numbers.tolist(), strict=True))

    def scores(self, users: UserIndices) -> Scores:
        """Score of every item for each user asked for."""
        lengths, bias = self._lengths_and_bias()
        return (self.users.index_select(0, users.to(self.users.device)) @ self.cosines.T) * lengths + bias

    def list_scores(self, users: UserIndices, items: RankedItems) -> ListScores:
        """The scores of the items listed; the place of a missing item, -1, has that of item 0."""
        lengths, bias = self._lengths_and_bias()
        items = items.to(self.users.device).clamp(min=0)
        vectors = self.users.index_select(0, users.to(self.users.device))
        return (self.cosines[items] @ vectors[:, :, None]).squeeze(2) * lengths[items] + bias[items]

    def _lengths_and_bias(self) -> tuple[ItemValues, ItemValues]:
        ranking = self.start._replace(**self.learned())
        return ranking.lengths(self.items), ranking.popularity * self.log_degrees


def choose_ranking(
    rescoring: Rescoring,
    numbers: RankingNumbers,
    scorer: Callable[[], Scorer],
    validation: Validation,
    trained: FitResult,
    context: FitContext | None,
) -> FitResult:
    """Set ``numbers`` to those that validate best.

    Args:
        rescoring: the trained embeddings.
        numbers: of the model; as they are, unless the search finds better ones.
        scorer: of the model as it stands.
        validation: what the epoch was chosen on.
        trained: how training ended.
        context: its deadline and its metric; past the deadline the numbers stay as they are.

    Returns:
        ``trained`` with the value of the numbers that were chosen, and with the seconds that choosing took.
    """
    context, asked = context or FitContext(), validation.of_at_most(SEARCH_USERS)
    if context.seconds_left() <= 0:
        return trained
    shortlist = Shortlist(rescoring, asked.truth, asked.seen, asked.depth)
    quiet = replace(context, on_epoch=None, description=f"{context.description}: ranking")
    found = search(rescoring, validate=lambda: asked(shortlist), evaluations=EVALUATIONS, context=quiet)
    before = torch.tensor([*numbers.named().values()])
    numbers.set(rescoring.numbers)
    value = validation(scorer())[context.select_by]
    if trained.best_value is not None and value <= trained.best_value:
        # Among all items, what the shortlists left out can take back what was gained among these.
        numbers.set(before)
        value = trained.best_value
    return trained._replace(best_value=value, seconds=trained.seconds + found.seconds)
