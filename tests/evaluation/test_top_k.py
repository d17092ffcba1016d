"""The ranking is exact, breaks every tie by the lower index, and does not depend on the block size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ltocf.data.histories import Histories
from ltocf.data.interactions import Interactions
from ltocf.evaluation import NO_ITEM, rank, top_k
from ltocf.evaluation.top_k import TILE
from ltocf.models import EmbeddingScorer, Popularity

BLOCK_SIZES = [1, 7, 64, 1000]
MASKED = -torch.inf

tied_scores = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 0.5, 1.0, np.inf]),
)


def brute_force(scores: np.ndarray, k: int, rows: Sequence[int] | None = None) -> list[list[int]]:
    """The best ``k`` items of the given rows, or of all, by plain sorting."""
    lists = []
    for row in scores if rows is None else (scores[r] for r in rows):
        order = sorted((i for i in range(len(row)) if row[i] > -np.inf), key=lambda i: (-row[i], i))[:k]
        lists.append(order + [NO_ITEM] * (k - len(order)))
    return lists


@dataclass
class StoredScores:
    """Returns a row for each user, and records the users of each call."""

    matrix: torch.Tensor
    calls: list[list[int]] = field(default_factory=list)

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        self.calls.append(users.tolist())
        return self.matrix.index_select(0, users)


class RowCountSensitiveScores:
    """Scores nearly equal; the best item depends on the number of users in a call and on their places in it."""

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        n_items = 11
        places = torch.arange(len(users))[:, None] + torch.arange(n_items)
        return 1 + torch.finfo(torch.float32).eps * ((places * 7 + len(users)) % n_items)


@settings(deadline=None, max_examples=200)
@given(scores=tied_scores, data=st.data())
def test_top_k_equals_brute_force(scores: np.ndarray, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, scores.shape[1]))
    values, items = top_k(torch.from_numpy(scores), k)
    assert items.tolist() == brute_force(scores, k)
    expected = [[row[i] if i >= 0 else -np.inf for i in order] for row, order in zip(scores, items, strict=True)]
    np.testing.assert_array_equal(values.numpy(), np.array(expected, np.float32))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("k", [1, 20, 299, 300])
def test_top_k_of_long_rows_with_many_ties_equals_brute_force(k: int, dtype: torch.dtype) -> None:
    scores = torch.from_numpy(np.random.default_rng(k).integers(-3, 4, size=(50, 300))).to(dtype)
    untouched = scores.clone()
    assert top_k(scores, k)[1].tolist() == brute_force(scores.double().numpy(), k)
    assert torch.equal(scores, untouched)


def test_all_equal_scores_give_the_first_items() -> None:
    assert top_k(torch.zeros(2, 1000), 5)[1].tolist() == [[0, 1, 2, 3, 4]] * 2


def test_a_row_with_everything_masked_is_empty() -> None:
    values, items = top_k(torch.full((1, 4), MASKED), 2)
    assert items.tolist() == [[NO_ITEM, NO_ITEM]]
    assert values.tolist() == [[MASKED, MASKED]]


@pytest.mark.parametrize("k", [0, -1, 5])
def test_k_out_of_range_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=rf"`k` must be in \[1, 4\].*got {k}"):
        top_k(torch.zeros(2, 4), k)


@pytest.mark.parametrize("k", [1, 4])
def test_nan_is_refused_and_located(k: int) -> None:
    scores = torch.zeros(3, 4)
    scores[1, 2] = torch.nan
    with pytest.raises(ValueError, match="NaN, got one in row 1"):
        top_k(scores, k)


@settings(deadline=None, max_examples=100)
@given(scores=tied_scores, data=st.data())
def test_rank_leaves_out_seen_items(scores: np.ndarray, data: st.DataObject) -> None:
    n_users, n_items = scores.shape
    seen_cells = data.draw(hnp.arrays(bool, scores.shape))
    requested = data.draw(st.lists(st.integers(0, n_users - 1), max_size=20))
    k = data.draw(st.integers(1, n_items))
    scorer = StoredScores(torch.from_numpy(scores))
    seen = Interactions.from_pairs(*np.nonzero(seen_cells), n_users, n_items)
    ranked = rank(scorer, torch.tensor(requested, dtype=torch.int64), k, seen=seen)
    assert ranked.items.tolist() == brute_force(np.where(seen_cells, np.float32(-np.inf), scores), k, requested)
    np.testing.assert_array_equal(scorer.matrix.numpy(), scores)


@settings(deadline=None, max_examples=100)
@given(
    n_users=st.integers(1, 140),
    n_items=st.sampled_from([3, 70, 700]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16]),
    data=st.data(),
)
def test_the_scores_of_a_list_are_bit_for_bit_those_of_the_scorer(
    n_users: int, n_items: int, dtype: torch.dtype, data: st.DataObject
) -> None:
    """Whatever is left out, however many users are in a call, with `Histories` and with `Interactions`."""
    k = data.draw(st.integers(1, min(n_items, 8)))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 99)))
    scorer = StoredScores(torch.randn(n_users, n_items, generator=generator, dtype=torch.float64).to(dtype))
    cells = torch.rand(n_users, n_items, generator=generator) < data.draw(st.sampled_from([0.0, 0.3, 0.99]))
    allowed = torch.rand(n_items, generator=generator) < data.draw(st.sampled_from([0.02, 0.5, 1.0]))
    seen = Interactions.from_pairs(*(part.numpy() for part in cells.nonzero(as_tuple=True)), n_users, n_items)
    users = torch.randint(n_users, (n_users,), generator=generator)
    ranked = rank(scorer, users, k, seen=Histories.of(seen), allowed=allowed, block_size=100)
    open_cells = scorer.matrix.double().masked_fill(cells | ~allowed, -torch.inf)
    assert ranked.items.tolist() == brute_force(open_cells.numpy(), k, users.tolist())
    padded = torch.cat([scorer.matrix, torch.full((n_users, 1), -torch.inf, dtype=dtype)], dim=1)
    expected = padded.index_select(0, users).gather(1, ranked.items % (n_items + 1))
    assert ranked.scores.dtype == dtype
    assert ranked.scores.equal(expected)
    again = rank(scorer, users, k, seen=seen, allowed=allowed)
    assert again.items.equal(ranked.items)
    assert again.scores.equal(ranked.scores)


@pytest.mark.parametrize("by_item", [False, True], ids=["stored by user", "stored by item"])
@pytest.mark.parametrize("values", [2, 5, 10_000], ids="{} different scores".format)
@pytest.mark.parametrize(("n_items", "k"), [(64, 1), (129, 2), (130, 2), (641, 5), (700, 10), (5000, 3)])
def test_long_catalogues_are_ranked_exactly(n_items: int, k: int, values: int, by_item: bool) -> None:
    """Only parts of the catalogue are searched: ties and seen items lie across their borders."""
    generator = np.random.default_rng(n_items + values)
    scores = generator.integers(values, size=(80, n_items)).astype(np.float32)
    scores[generator.random(scores.shape) < 0.1] = -np.inf
    scores[0], scores[1, 3:], scores[2, :-2] = -np.inf, -np.inf, np.inf
    # Most of the best items are seen ones.
    seen_cells = generator.random(scores.shape) < np.where(scores >= 0.8 * values, 0.9, 0.1)
    seen = Interactions.from_pairs(*np.nonzero(seen_cells), *scores.shape)
    matrix = torch.from_numpy(scores.T.copy()).T if by_item else torch.from_numpy(scores)
    ranked = rank(ViewScores(matrix), torch.arange(len(scores)), k, seen=seen)
    assert ranked.items.tolist() == brute_force(np.where(seen_cells, np.float32(-np.inf), scores), k)
    np.testing.assert_array_equal(matrix.numpy(), scores)


@pytest.mark.parametrize("by_item", [False, True], ids=["stored by user", "stored by item"])
@pytest.mark.parametrize(("n_items", "k"), [(37, 5), (1000, 5)], ids=["narrow", "wide"])
def test_any_number_of_users_is_ranked(n_items: int, k: int, by_item: bool) -> None:
    """With 65 users, 129 users, ... the last call has one user, whose strides do not tell the layout."""
    generator = torch.Generator().manual_seed(0)
    embeddings = [torch.randn(n, 4, generator=generator) for n in (300, n_items)]
    scorer = EmbeddingScorer(*embeddings) if by_item else StoredScores(embeddings[0] @ embeddings[1].T)
    seen = Interactions.from_pairs(range(300), [user % n_items for user in range(300)], 300, n_items)
    matrix = scorer.scores(torch.arange(300)).clone()
    matrix[torch.arange(300), torch.tensor(seen.items)] = MASKED
    # The last bit of a product may depend on the number of rows; the order of the items does not in this case.
    expected = top_k(matrix, k)[1]
    for n_users in range(1, 301):
        ranked = rank(scorer, torch.arange(n_users), k, seen=seen)
        assert torch.equal(ranked.items, expected[:n_users]), n_users


def test_the_score_of_a_seen_item_may_be_nan() -> None:
    scores = torch.arange(300.0).repeat(2, 1)
    scores[0, 7] = torch.nan
    lists = rank(ViewScores(scores), torch.arange(2), 2, seen=Interactions.from_pairs([0], [7], 2, 300)).items
    assert lists.tolist() == [[299, 298]] * 2
    with pytest.raises(ValueError, match="NaN, got one in row 0"):
        rank(ViewScores(scores), torch.arange(2), 2, seen=None)


@pytest.mark.parametrize("n_items", [12, 3000])
def test_scores_that_are_new_are_masked_in_place_without_a_copy(n_items: int) -> None:
    class NewScores(EmbeddingScorer):
        scores_are_new = True

        def scores(self, users: torch.Tensor) -> torch.Tensor:
            returned.append(super().scores(users))
            return returned[-1]

    returned: list[torch.Tensor] = []
    generator = torch.Generator().manual_seed(0)
    embeddings = [torch.randn(n, 4, generator=generator) for n in (100, n_items)]
    seen = Interactions.from_pairs(range(100), [user % n_items for user in range(100)], 100, n_items)
    users = torch.arange(100)
    lists = rank(NewScores(*embeddings), users, 5, seen=seen)
    assert torch.equal(lists.items, rank(EmbeddingScorer(*embeddings), users, 5, seen=seen).items)
    assert sum(int(scores.isinf().sum()) for scores in returned) == len(seen)


class ViewScores:
    """Returns views of one matrix, in the layout of that matrix."""

    def __init__(self, matrix: torch.Tensor) -> None:
        self.matrix = matrix

    def scores(self, users: torch.Tensor) -> torch.Tensor:
        return self.matrix[int(users[0]) : int(users[-1]) + 1]


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_the_scorer_gets_the_same_calls_whatever_the_block_size(block_size: int) -> None:
    users = torch.from_numpy(np.random.default_rng(0).integers(50, size=2 * TILE + 88))
    scorer = StoredScores(torch.randn(50, 30, generator=torch.Generator().manual_seed(0)))
    ranked = rank(scorer, users, 5, seen=None, block_size=block_size)
    assert scorer.calls == [tile.tolist() for tile in users.split(TILE)]
    assert torch.equal(ranked.items, top_k(scorer.matrix.index_select(0, users), 5)[1])


@pytest.mark.parametrize("n_users", [1, TILE - 1, TILE, TILE + 1, 1100])
def test_near_ties_do_not_depend_on_the_block_size(n_users: int) -> None:
    lists = [
        rank(RowCountSensitiveScores(), torch.arange(n_users), 3, seen=None, block_size=size).items
        for size in BLOCK_SIZES
    ]
    assert all(torch.equal(lists[0], other) for other in lists[1:])


def test_nearly_equal_inner_products_do_not_depend_on_the_block_size() -> None:
    generator = torch.Generator().manual_seed(0)
    item = torch.randn(1, 64, generator=generator)
    nearly_equal = item * (1 + 1e-7 * torch.randn(500, 64, generator=generator))
    scorer = EmbeddingScorer(torch.randn(700, 64, generator=generator), nearly_equal)
    lists = [rank(scorer, torch.arange(700), 20, seen=None, block_size=size).items for size in BLOCK_SIZES]
    assert all(torch.equal(lists[0], other) for other in lists[1:])


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_seen_items_are_left_out_in_every_block(block_size: int) -> None:
    generator = np.random.default_rng(1)
    n_users, n_items = 600, 15
    scores = generator.integers(4, size=(n_users, n_items)).astype(np.float32)
    seen_cells = generator.random(scores.shape) < 0.6
    seen = Interactions.from_pairs(*np.nonzero(seen_cells), n_users, n_items)
    requested = generator.permutation(n_users)
    ranked = rank(
        StoredScores(torch.from_numpy(scores)), torch.from_numpy(requested), 8, seen=seen, block_size=block_size
    )
    assert ranked.items.tolist() == brute_force(np.where(seen_cells, np.float32(-np.inf), scores), 8, requested)


def test_a_row_shared_by_all_users_is_not_written_to() -> None:
    counts = torch.tensor([1.0, 3.0, 2.0])

    class Shared:
        def scores(self, users: torch.Tensor) -> torch.Tensor:
            return counts.expand(len(users), -1)

    seen = Interactions.from_pairs([0], [1], 2, 3)
    assert rank(Shared(), torch.arange(2), 2, seen=seen).items.tolist() == [[2, 0], [1, 2]]
    assert counts.tolist() == [1.0, 3.0, 2.0]


def test_the_result_consists_of_normal_tensors() -> None:
    scorer = Popularity(Interactions.from_pairs([0, 1], [0, 1]))
    ranked = rank(scorer, torch.tensor([0]), 1, seen=None, show_progress=True)
    assert not ranked.items.is_inference()
    assert not ranked.scores.is_inference()
    no_users = rank(scorer, torch.empty(0, dtype=torch.int64), 1, seen=None)
    assert no_users.items.shape == no_users.scores.shape == (0, 1)
    assert repr(ranked) == "Ranked(lists=1, k=1)"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "`k` must be >= 1, got 0"),
        ({"k": 4}, r"`k` must be in \[1, 3\].*got 4"),
        ({"block_size": 0}, "`block_size` must be >= 1, got 0"),
        ({"users": torch.tensor([0, 2])}, r"user indices must be in \[0, 2\).*got 2"),
        ({"users": torch.tensor([-1])}, "got -1"),
        ({"seen": Interactions.from_pairs([0], [0], 2, 4)}, "`seen` has 4 items, but 3 were scored"),
        ({"allowed": torch.ones(2, dtype=torch.bool)}, "`allowed` has 2 items, but 3 were scored"),
    ],
)
def test_wrong_arguments_are_refused(change: dict[str, object], message: str) -> None:
    seen = Interactions.from_pairs([0, 1], [0, 2], 2, 3)
    arguments = {"scorer": Popularity(seen), "users": torch.tensor([0]), "k": 1, "seen": seen}
    with pytest.raises(ValueError, match=message):
        rank(**(arguments | change))


def test_a_scorer_that_answers_for_too_few_users_is_refused() -> None:
    class OneRow:
        def scores(self, users: torch.Tensor) -> torch.Tensor:
            return torch.zeros(1, 3)

    with pytest.raises(ValueError, match=r"scores of 2 users must be 2 x 3, got \(1, 3\)"):
        rank(OneRow(), torch.arange(2), 1, seen=None)
