"""A snapshot answers for any user, in the caller's ids, at the cost of that answer alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ltocf.data.histories import Histories
from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS, SpectralLTOCF
from ltocf.models.row_products import ROWS
from ltocf.serving import Snapshot, TrainedModel, UnknownItemError, UnknownUserError
from samples import random_interactions

LINEAR = ["ltocf", "lightgcn", "lr-gccf", "grmf", "grmf-norm", "hop-rec", "mf"]


def names_of(log: Interactions, *, integers: bool = True) -> Names:
    users = IdMap([user if integers else f"u{user}" for user in range(100, 100 + log.n_users)])
    items = IdMap([10 * item for item in range(log.n_items)])
    return Names(users, items, tuple(f"Film {item}" for item in range(log.n_items)))


def snapshot_of(name: str, log: Interactions, names: Names | None = None, **options: Any) -> Snapshot:
    graph = BipartiteGraph.from_interactions(log)
    model = SpectralLTOCF(graph).decompose() if name == "spectral" else MODELS[name](graph, dim=8, **options)
    return Snapshot.of(name, model, log, names or names_of(log))


@pytest.fixture
def snapshot(interactions: Interactions) -> Snapshot:
    return snapshot_of("ltocf", interactions)


def test_scores_and_items_are_those_of_the_model(snapshot: Snapshot, interactions: Interactions) -> None:
    frame = snapshot.recommend([107, 100], k=4)
    assert frame.columns == ["user", "rank", "item", "score", "title"]
    assert frame["user"].to_list() == [107] * 4 + [100] * 4
    assert frame["rank"].to_list() == [1, 2, 3, 4] * 2
    scores = snapshot.model.scores(torch.tensor([7, 0])).detach().numpy()
    for row, user in enumerate((7, 0)):
        scores[row, interactions.items[interactions.users == user]] = -np.inf
        best = np.argsort(-scores[row])[:4]
        of_user = frame.filter(user=100 + user)
        assert of_user["item"].to_list() == [10 * item for item in best]
        assert of_user["title"].to_list() == [f"Film {item}" for item in best]
        assert of_user["score"].to_list() == scores[row, best].tolist()


@pytest.mark.parametrize("user", [107, "107", np.int64(107), [107], ["107"], np.array([107]), pl.Series([107])])
def test_one_id_is_one_user_and_has_the_type_of_the_data(user: Any, snapshot: Snapshot) -> None:
    assert snapshot.recommend(user, k=3).equals(snapshot.recommend([107], k=3))
    assert snapshot.recommend(user, k=3).to_dicts()[0]["user"] == 107


def test_a_text_id_is_not_taken_for_its_letters(interactions: Interactions) -> None:
    names = Names(IdMap([*"0123456789", *map(str, range(10, 30))]), IdMap.identity(40))
    snapshot = snapshot_of("mf", interactions, names)
    assert snapshot.recommend("12", k=2)["user"].to_list() == ["12", "12"]
    assert snapshot.recommend(["12", "99"], k=1, unknown="popular")["user"].to_list() == ["12", "99"]
    assert snapshot.history("12")["item"].to_list() == interactions.items[interactions.users == 12].tolist()


def test_the_policies_for_unknown_users(snapshot: Snapshot, interactions: Interactions) -> None:
    with pytest.raises(UnknownUserError, match=r'2 of 3 users were not in training: 1, 2;.*`unknown="popular"`'):
        snapshot.recommend([1, 101, 2])
    frame = snapshot.recommend([1, 101, 2], k=3, unknown="popular")
    counts = np.sort(interactions.item_degrees)[::-1][:3].tolist()
    assert frame["user"].to_list() == [1] * 3 + [101] * 3 + [2] * 3
    assert frame.filter(user=1)["score"].to_list() == frame.filter(user=2)["score"].to_list() == counts
    assert frame.columns[-1] == "by"
    assert frame["by"].to_list() == ["popular"] * 3 + ["model"] * 3 + ["popular"] * 3
    assert frame.filter(user=101).drop("by").equals(snapshot.recommend(101, k=3))
    assert snapshot.recommend([1, 101, 2], k=3, unknown="skip").equals(snapshot.recommend(101, k=3))
    assert snapshot.recommend("x", k=1, unknown="popular")["user"].to_list() == ["x"]
    with pytest.raises(ValueError, match="`unknown` must be one of error, popular, skip, got 'eror'"):
        snapshot.recommend(101, unknown="eror")
    with pytest.raises(UnknownUserError, match="user 1 was not in training"):
        snapshot.history(1)


def test_only_and_exclude_restrict_the_list(snapshot: Snapshot) -> None:
    everything = snapshot.recommend(107, k=40)["item"].to_list()
    assert snapshot.recommend(107, k=40, exclude=everything[:3])["item"].to_list() == everything[3:]
    assert snapshot.recommend(107, k=40, only=everything[5:2:-1])["item"].to_list() == everything[3:6]
    assert snapshot.recommend(107, k=40, only=[*everything[:2], 7], exclude=everything[0])["item"].to_list() == [
        everything[1]
    ]
    popular = snapshot.recommend(
        1, k=40, unknown="popular", exclude=snapshot.recommend(1, k=1, unknown="popular")["item"]
    )
    assert popular.equals(
        snapshot.recommend(1, k=40, unknown="popular")[1:].with_columns(rank=pl.Series(range(1, 40), dtype=pl.Int64))
    )
    with pytest.raises(UnknownItemError, match="none of the items of `only` was in training: 7, 8"):
        snapshot.recommend(107, only=[7, 8])


def test_lists_have_at_least_one_place_and_at_most_all_items(snapshot: Snapshot) -> None:
    for answer in (
        lambda: snapshot.recommend(107, 0),
        lambda: snapshot.recommend_all(0),
        lambda: snapshot.fold_in([], 0),
        lambda: snapshot.similar_items(10, 0),
    ):
        with pytest.raises(ValueError, match="`k` must be >= 1, got 0"):
            answer()
    assert snapshot.recommend(107, 99).equals(snapshot.recommend(107, 40))
    assert len(snapshot.similar_items(10, 99)) == 39
    with pytest.raises(ValueError, match="`rows` must be >= 1, got 0"):
        snapshot.recommend_all(rows=0)


@pytest.mark.parametrize("rows", [1, 7, 30, 4096])
def test_recommend_all_gives_frames_of_so_many_users(rows: int, snapshot: Snapshot) -> None:
    frames = list(snapshot.recommend_all(k=3, rows=rows))
    assert [frame["user"].n_unique() for frame in frames] == [min(rows, 30 - start) for start in range(0, 30, rows)]
    expected = snapshot.recommend(range(100, 130), k=3)
    found = pl.concat(frames)
    assert set(found["by"]) == {"model"}
    assert found.drop("score", "by").equals(expected.drop("score"))
    np.testing.assert_allclose(found["score"], expected["score"], rtol=1e-5)


def test_no_users_get_an_empty_frame(snapshot: Snapshot) -> None:
    frame = snapshot.recommend([])
    assert frame.schema == snapshot.recommend(107).schema
    assert len(frame) == 0


@pytest.mark.parametrize("by", ["cosine", "inner_product"])
@pytest.mark.parametrize(
    ("name", "options"), [("ltocf", {"popularity": 0.5}), ("ngcf", {"popularity": 0.5}), ("mf", {})]
)
def test_similar_items_are_near_in_their_final_vectors(
    name: str, options: dict[str, Any], by: Any, interactions: Interactions
) -> None:
    snapshot = snapshot_of(name, interactions, **options)
    with torch.no_grad():
        vectors = snapshot.model.eval().propagate(snapshot.model.initial_embeddings)[30:].detach()
    lengths = vectors.norm(dim=1) * vectors[4].norm() if by == "cosine" else 1
    scores = vectors @ vectors[4] / lengths
    scores[4] = -torch.inf
    frame = snapshot.similar_items(40, k=5, by=by)
    assert frame.columns == ["rank", "item", "score", "title"]
    assert frame["item"].to_list() == (10 * scores.topk(5).indices).tolist()
    np.testing.assert_allclose(frame["score"], scores.topk(5).values, rtol=1e-5)
    assert frame["rank"].to_list() == [1, 2, 3, 4, 5]


def test_impossible_calls_of_similar_items_are_refused(interactions: Interactions, snapshot: Snapshot) -> None:
    with pytest.raises(UnknownItemError, match="1 of 1 items were not in training: 7"):
        snapshot.similar_items(7)
    with pytest.raises(ValueError, match="`by` must be one of cosine, inner_product, history, got 'dot'"):
        snapshot.similar_items(40, by="dot")
    with pytest.raises(ValueError, match=r"`neumf` has no vectors of users and items; ltocf, als, lightgcn, .*mf have"):
        snapshot_of("neumf", interactions).similar_items(40)


@pytest.mark.parametrize("name", ["ltocf", "lightgcn", "lr-gccf", "mult-vae", "spectral"])
def test_fold_in_gives_the_scores_of_the_history_alone(name: str, interactions: Interactions) -> None:
    """A user of training, taken for a new one, has the scores that their history alone gives them."""
    snapshot = snapshot_of(name, interactions)
    history = snapshot.history(107)["item"].to_list()
    frame = snapshot.fold_in({"new": [*history, history[0]], "other": [10]}, k=40)
    assert frame["user"].unique(maintain_order=True).to_list() == ["new", "other"]
    row = Histories.of(interactions).rows(torch.tensor([7]))
    scores = snapshot.model.user_map().scores(row) if name in LINEAR else snapshot.model.scores(torch.tensor([7]))
    of_user = frame.filter(user="new")
    assert not set(of_user["item"]) & set(history)
    assert len(of_user) == 40 - len(history)
    np.testing.assert_allclose(of_user["score"], scores[0].numpy()[of_user["item"] // 10], rtol=1e-4, atol=1e-6)
    assert of_user["score"].is_sorted(descending=True)
    indices = Histories.of(interactions).rows(torch.tensor([7]))
    assert snapshot.fold_in(indices, k=40).drop("user").equals(snapshot.fold_in([history], k=40).drop("user"))
    unmasked = snapshot.fold_in([history], k=40, exclude_seen=False)
    assert unmasked["user"].unique().to_list() == [0]
    assert set(history) < set(unmasked["item"])


def test_impossible_calls_of_fold_in_are_refused(interactions: Interactions, snapshot: Snapshot) -> None:
    with pytest.raises(UnknownUserError, match=r"1 of 2 histories have no item of training, those of 1; .*popular"):
        snapshot.fold_in([[10, 7, 8], [7, 8]])
    with pytest.raises(ValueError, match=r"must have a list of items for each user, got 20 for one; pass \[1, 2\]"):
        snapshot.fold_in([[10], 20])
    with pytest.raises(ValueError, match="`histories` must be over the 40 items, got 8"):
        snapshot.fold_in(Histories.of(random_interactions(6, 8)))
    with_fold_in = ", ".join(name for name in MODELS if name not in ("cmn", "neumf")) + " have"
    for name in ("cmn", "neumf"):
        with pytest.raises(ValueError, match=f"`{name}` has no way from a history to a user.*; {with_fold_in}"):
            snapshot_of(name, interactions).fold_in([[10, 20]])


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("options", [{}, {"ranking": "cosine", "popularity": 0.5}], ids=["plain", "cosine"])
def test_an_explanation_adds_up_to_the_score(name: str, options: dict[str, Any], interactions: Interactions) -> None:
    if name == "hop-rec" and options:
        pytest.skip("it has one ranking")
    snapshot = snapshot_of(name, interactions, **options)
    best = snapshot.recommend(107, k=1)
    why = snapshot.explain("107", best["item"][0])
    assert (why.user, why.item) == (107, best["item"][0])
    assert why.score == pytest.approx(best["score"][0], rel=1e-4, abs=1e-6)
    assert why.own + why.popularity + why.history["contribution"].sum() == pytest.approx(why.score)
    assert sorted(why.history["item"]) == snapshot.history(107)["item"].to_list()
    assert why.history["contribution"].is_sorted(descending=True)
    parts = [column for column in why.history.columns if column.startswith("part_")]
    assert len(parts) == {"ltocf": 5, "lr-gccf": 3}.get(name, 0)
    if parts:
        np.testing.assert_allclose(
            why.history.select(pl.sum_horizontal(parts)).to_series(), why.history["contribution"]
        )
    assert repr(why).startswith("Explanation(user=107, item=")


@pytest.mark.parametrize("name", LINEAR)
def test_an_explanation_of_a_history_adds_up_to_its_score(name: str, interactions: Interactions) -> None:
    snapshot = snapshot_of(name, interactions)
    history = snapshot.history(107)["item"].to_list()
    if not snapshot.score_map.depends_on_history:
        with pytest.raises(ValueError, match=f"the scores of `{name}` are not sums over a history; explain a user"):
            snapshot.explain_fold_in(history, 10)
        return
    for item, score in snapshot.fold_in([history], k=3).select("item", "score").iter_rows():
        why = snapshot.explain_fold_in([*history, 7, history[0]], item)
        assert why.score == pytest.approx(score, rel=1e-4, abs=1e-6)
        assert why.popularity + why.history["contribution"].sum() == pytest.approx(why.score)
        assert (why.user, why.item, why.own) == (None, item, 0.0)
        assert sorted(why.history["item"]) == history
    with pytest.raises(UnknownUserError, match="1 of 1 histories have no item of training"):
        snapshot.explain_fold_in([7, 8], 10)
    with pytest.raises(UnknownItemError, match="items were not in training: 7"):
        snapshot.explain_fold_in(history, 7)


def test_lists_as_values_are_those_of_the_frame(snapshot: Snapshot) -> None:
    lists, frame = (
        snapshot.lists([107, 1], k=40, unknown="popular"),
        snapshot.recommend([107, 1], k=40, unknown="popular"),
    )
    assert repr(lists) == "Lists(n_lists=2, k=40)"
    for user, places in zip(lists.users, lists.values(), strict=True):
        of_user = frame.filter(pl.col("user").cast(pl.String) == str(user))
        assert [place.item for place in places] == of_user["item"].to_list(), "no place without an item"
        assert [place.score for place in places] == of_user["score"].to_list()
        assert [place.title for place in places] == of_user["title"].to_list()


def test_impossible_explanations_are_refused(interactions: Interactions, snapshot: Snapshot) -> None:
    with pytest.raises(UnknownUserError, match="user 1 was not"):
        snapshot.explain(1, 10)
    with pytest.raises(UnknownItemError, match="items were not in training: 7"):
        snapshot.explain(107, 7)
    with pytest.raises(ValueError, match=r"scores of `mult-vae` are not sums over a history; those of ltocf, .*mf are"):
        snapshot_of("mult-vae", interactions).explain(107, 10)


LOOK_UPS = ("aten::index", "aten::index_select", "aten::slice", "aten::select", "aten::detach", "aten::alias")
"""Operations that take a few entries of a tensor, however many it has."""


class _LargestTensor(TorchDispatchMode):
    """The size of the largest tensor that any operation reads or makes, other than look-ups and views."""

    largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        look_up = func.name().partition(".")[0] in LOOK_UPS
        touched = (result,) if look_up and not result._is_view() else () if look_up else (*args, result)
        sizes = [tensor.numel() for tensor in touched if isinstance(tensor, torch.Tensor)]
        self.largest = max([self.largest, *sizes])
        return result


def test_an_answer_does_not_read_all_pairs() -> None:
    log = random_interactions(500, 50, density=0.3)
    snapshot = snapshot_of("mf", log)
    answers = (
        lambda: snapshot.recommend([103, 1], unknown="popular"),
        lambda: snapshot.history(103),
        lambda: snapshot.similar_items(10),
    )
    for answer in answers:
        answer()
        with _LargestTensor() as mode:
            answer()
        assert mode.largest <= ROWS * log.n_items < len(log)


def test_many_threads_get_the_answers_of_one(snapshot: Snapshot) -> None:
    users = [100 + number % 5 for number in range(40)]

    def answers(source: Snapshot, user: int) -> list[pl.DataFrame]:
        item = source.recommend(user, 3)["item"][0]
        return [source.fold_in([[item]], 3), source.similar_items(item, 3), source.explain(user, item).history]

    unused = Snapshot.of(snapshot.name, snapshot.model, random_interactions(), snapshot.names)
    expected = [answers(snapshot, user) for user in users[:5]]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(partial(answers, unused), users))
    for place, frames in enumerate(found):
        assert all(frame.equals(other) for frame, other in zip(frames, expected[place % 5], strict=True))


def test_dropout_is_off_and_the_model_left_as_it_was(interactions: Interactions) -> None:
    model = MODELS["ngcf"](BipartiteGraph.from_interactions(interactions), dim=8, message_dropout=0.5).train()
    first, second = (Snapshot.of("ngcf", model, interactions, names_of(interactions)) for _ in range(2))
    assert first.recommend(range(100, 130)).equals(second.recommend(range(100, 130)))
    assert first.similar_items(10).equals(second.similar_items(10))
    assert model.training


def test_a_snapshot_opens_a_run_or_a_file(snapshot: Snapshot, interactions: Interactions, tmp_path: Path) -> None:
    file = tmp_path / "run" / "model.safetensors"
    with pytest.raises(FileNotFoundError, match="no model file at"):
        Snapshot.open(file)
    file.parent.mkdir()
    with pytest.raises(FileNotFoundError, match=r"holds no finished run .*; `ltocf train --resume"):
        Snapshot.open(file.parent)
    TrainedModel("ltocf", {"dim": 8}, snapshot.model, interactions, snapshot.names).save(file)
    opened = Snapshot.open(file.parent)
    assert opened.version == Snapshot.open(str(file)).version
    assert repr(opened) == f"Snapshot(model='ltocf', version='{opened.version[:12]}', n_users=30, n_items=40)"
    assert opened.recommend(107).equals(snapshot.recommend(107))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("name", ["ltocf", "lr-gccf", "spectral"])
def test_a_snapshot_on_a_gpu_answers_the_same(name: str, interactions: Interactions, tmp_path: Path) -> None:
    snapshot = snapshot_of(name, interactions)
    options = {} if name == "spectral" else {"dim": 8}
    TrainedModel(name, options, snapshot.model, interactions, snapshot.names).save(tmp_path / "model.safetensors")
    on_gpu = Snapshot.open(tmp_path / "model.safetensors", device="cuda")
    answers: list[Any] = [lambda s: s.recommend(107, k=5), lambda s: s.fold_in([[10, 20]], k=5)]
    if name != "spectral":
        answers += [lambda s: s.similar_items(10, k=5), lambda s: s.explain(107, 10).history]
    for answer in answers:
        found, expected = answer(on_gpu), answer(snapshot)
        assert found["item"].to_list() == expected["item"].to_list()
        numbers, others = (frame.select(pl.selectors.float()).to_numpy() for frame in (found, expected))
        np.testing.assert_allclose(numbers, others, rtol=1e-3, atol=1e-5)
