"""The class for notebooks is `fit` and its answers with the conventions of scikit-learn, and nothing of its own."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import ltocf
from ltocf import LTOCFRecommender
from ltocf.models import MODELS
from ltocf.runs.recommender import NotFittedError
from ltocf.runs.settings import DataSettings, RunSettings
from ltocf.serving import Snapshot
from ltocf.training import TrainingSettings
from samples import random_interactions

QUICK: dict[str, Any] = {"model": "lightgcn", "dim": 4, "epochs": 2, "learning_rate": 0.02, "show_progress": False}
ANSWERS = ("explain", "fold_in", "history", "popular", "recommend", "recommend_all", "similar_items", "similar_users")


def text_log() -> pl.DataFrame:
    """A log whose ids are texts."""
    pairs = random_interactions(30, 40, density=0.3)
    return pl.DataFrame({"user": [f"u{user}" for user in pairs.users], "item": [f"i{item}" for item in pairs.items]})


@pytest.fixture(scope="module")
def fitted() -> LTOCFRecommender:
    return LTOCFRecommender(**QUICK).fit(text_log())


def test_the_class_trains_the_model_that_fit_trains(fitted: LTOCFRecommender) -> None:
    trained = ltocf.fit(text_log(), **QUICK)
    users = trained.user_ids.ids.to_list()
    assert fitted.recommend(users, k=3).equals(trained.recommend(users, k=3))
    assert (fitted.n_users_, fitted.n_items_) == (30, 40)
    assert fitted.trained_.names.sizes == (30, 40)


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_are_those_of_the_snapshot(name: str, fitted: LTOCFRecommender) -> None:
    method, original = getattr(LTOCFRecommender, name), getattr(Snapshot, name)
    assert inspect.signature(method) == inspect.signature(original)
    assert method.__doc__ == original.__doc__


def test_answers_take_what_the_snapshot_takes(fitted: LTOCFRecommender) -> None:
    snapshot, history = fitted.trained_.snapshot, ["i1", "i2", "i3"]
    assert fitted.fold_in(history, 4, exclude=["i5"]).equals(snapshot.fold_in(history, 4, exclude=["i5"]))
    assert fitted.similar_items("i1", k=3, by="history").equals(snapshot.similar_items("i1", 3, by="history"))
    assert fitted.popular(k=2).equals(snapshot.popular(2))
    assert fitted.explain("u1", "i1").history.equals(snapshot.explain("u1", "i1").history)


def test_fit_writes_a_run_to_the_given_folder(tmp_path: Path) -> None:
    recommender = LTOCFRecommender(**QUICK)
    assert recommender.fit(text_log(), None, out=tmp_path / "run") is recommender
    assert (tmp_path / "run" / "history.jsonl").exists()
    loaded = ltocf.load(tmp_path / "run")
    assert loaded.recommend("u3").equals(recommender.recommend("u3"))


def test_y_is_ignored() -> None:
    first, second = LTOCFRecommender(**QUICK).fit(text_log()), LTOCFRecommender(**QUICK).fit(text_log(), y=None)
    assert first.recommend("u1").equals(second.recommend("u1"))


@pytest.mark.parametrize("name", [*ANSWERS, "score", "save"])
def test_before_fit_every_answer_is_an_error(name: str) -> None:
    arguments = {"explain": ("u1", "i1"), "popular": (), "recommend_all": ()}.get(name, ("u1",))
    with pytest.raises(NotFittedError, match="call `fit` first"):
        getattr(LTOCFRecommender(), name)(*arguments)


def test_before_fit_there_are_no_fitted_attributes() -> None:
    recommender = LTOCFRecommender()
    assert not any(hasattr(recommender, name) for name in ("trained_", "n_users_", "n_items_"))
    with pytest.raises(AttributeError, match="'LTOCFRecommender' object has no attribute 'recomend'"):
        _ = recommender.recomend


def test_parameters_are_those_given_and_are_attributes() -> None:
    recommender = LTOCFRecommender("mf", dim=8, min_rating=4, show_progress=False)
    assert recommender.get_params() == {"model": "mf", "show_progress": False, "dim": 8, "min_rating": 4}
    assert repr(recommender) == "LTOCFRecommender(model='mf', show_progress=False, dim=8, min_rating=4)"
    assert recommender.dim == 8
    recommender.dim = 16
    assert recommender.set_params(epochs=3) is recommender
    assert recommender.get_params(deep=False) == {**LTOCFRecommender("mf", dim=16, min_rating=4).get_params()} | {
        "show_progress": False,
        "epochs": 3,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dimm": 8}, "no setting `dimm`; did you mean `dim`"),
        ({"dim": "8"}, "`dim` must be of type int, got '8'"),
        ({"model": "mf", "horizon": 2.0}, "no setting `horizon`"),
        ({"model": "svd"}, "`model` must be one of ltocf,"),
        ({"preset": "slow"}, "`preset` must be one of fast, paper, got 'slow'"),
        ({"min_user_interactions": 0}, "`min_user_interactions` must be at least 1, got 0"),
        ({"source": "log.csv"}, "`source` is not a parameter: the data are given to `fit`"),
        ({"split": "time"}, "`split` is not a parameter: `fit` holds nothing back"),
    ],
)
def test_a_wrong_parameter_is_an_error_at_once_and_changes_nothing(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LTOCFRecommender(**given)
    recommender = LTOCFRecommender(dim=4)
    with pytest.raises(ValueError, match=message):
        recommender.set_params(epochs=1, **given)
    assert recommender.get_params() == {"model": "ltocf", "show_progress": True, "dim": 4}


def test_an_item_table_in_memory_is_a_parameter() -> None:
    items = pl.DataFrame({"item": [f"i{item}" for item in range(40)], "price": range(40)})
    recommender = LTOCFRecommender(**QUICK, items=items).fit(text_log())
    found = recommender.recommend("u1", k=3, where="price < 20")["item"]
    assert {int(item[1:]) < 20 for item in found} == {True}
    titled = LTOCFRecommender(**QUICK, items=items, title_column="price").fit(text_log())
    held_out = pl.DataFrame({"user": ["u1"], "item": [titled.recommend("u1", k=1)["item"][0]]})
    assert titled.score(held_out) == 1.0  # the pairs have no prices: they are in the table
    assert recommender.items is items


def test_no_setting_hides_a_method() -> None:
    settings = {name for model in MODELS.values() for name in model.options()}
    settings |= {
        field.name for part in (DataSettings, RunSettings, TrainingSettings) for field in dataclasses.fields(part)
    }
    assert not settings & set(dir(LTOCFRecommender))


def test_a_clone_has_the_parameters_and_nothing_fitted(fitted: LTOCFRecommender) -> None:
    """What `sklearn.base.clone` does: a copy of each parameter to the constructor, which keeps the very object."""
    given = {name: copy.deepcopy(value) for name, value in fitted.get_params(deep=False).items()}
    cloned = type(fitted)(**given)
    assert all(value is given[name] for name, value in cloned.get_params(deep=False).items())
    assert cloned.get_params() == fitted.get_params()
    assert not hasattr(cloned, "trained_")


def test_pickled_and_copied_it_answers_the_same(fitted: LTOCFRecommender) -> None:
    for other in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert other.get_params() == fitted.get_params()
        assert other.recommend("u1").equals(fitted.recommend("u1"))


def test_saved_and_loaded_it_answers_and_fits_the_same(fitted: LTOCFRecommender, tmp_path: Path) -> None:
    fitted.save(tmp_path / "shop.safetensors")
    loaded = LTOCFRecommender.load(tmp_path / "shop.safetensors")
    assert loaded.get_params() == fitted.get_params()
    assert loaded.recommend("u1").equals(fitted.recommend("u1"))
    assert loaded.fit(text_log()).recommend("u1").equals(fitted.recommend("u1"))
    assert ltocf.load(tmp_path / "shop.safetensors").recommend("u1").equals(fitted.recommend("u1"))


def test_a_path_is_saved_as_text_and_an_item_table_not_at_all(tmp_path: Path) -> None:
    items = pl.DataFrame({"item": ["i1"], "title": ["One"]})
    recommender = LTOCFRecommender(**QUICK, items=items, title_column="title", data_dir=tmp_path).fit(text_log())
    recommender.save(tmp_path / "shop.safetensors")
    loaded = LTOCFRecommender.load(tmp_path / "shop.safetensors")
    assert loaded.get_params() == {**QUICK, "title_column": "title", "data_dir": str(tmp_path)}
    assert loaded.similar_items("i2", k=39).filter(item="i1")["title"].to_list() == ["One"]


def test_any_run_can_be_loaded(tmp_path: Path) -> None:
    trained = ltocf.fit(text_log(), tmp_path / "run", **QUICK)
    loaded = LTOCFRecommender.load(tmp_path / "run")
    assert loaded.get_params() == {"model": "lightgcn", "show_progress": True, **trained.options}
    assert loaded.recommend("u1").equals(trained.recommend("u1"))


def test_the_score_is_the_recall_that_train_measures(tmp_path: Path) -> None:
    """A run with a test set, its model in the class: both measure the same lists against the same pairs."""
    metrics = ltocf.train(text_log(), tmp_path / "run", **QUICK)
    loaded, (names, parts) = LTOCFRecommender.load(tmp_path / "run"), names_and_parts(tmp_path / "run")
    test = pl.DataFrame(
        {"user": names.user_ids.decode(parts.test.users), "item": names.item_ids.decode(parts.test.items)}
    )
    assert loaded.score(test) == pytest.approx(metrics["recall@20"], rel=1e-12)
    # Training pairs change nothing, nor do unknown users.
    everything = pl.concat([text_log(), pl.DataFrame({"user": ["new"], "item": ["i1"]})])
    assert loaded.score(everything) == loaded.score(test)


def names_and_parts(folder: Path) -> Any:
    data = ltocf.runs.folder.RunFolder(folder).read_data()
    return data.names, data.split


def test_a_held_out_item_unknown_in_training_counts_as_missed(fitted: LTOCFRecommender) -> None:
    (first,) = fitted.recommend("u1", k=1)["item"]
    assert fitted.score([("u1", first)]) == 1.0
    assert fitted.score([("u1", first), ("u1", "unheard of")]) == 0.5
    assert fitted.score([("u1", first), ("u2", "unheard of")]) == 0.5


def test_held_out_pairs_are_read_by_the_columns_of_the_log_without_its_minimum() -> None:
    options: dict[str, Any] = {"user_column": "who", "item_column": "what", "min_user_interactions": 2}
    recommender = LTOCFRecommender(**QUICK, **options).fit(text_log().rename({"user": "who", "item": "what"}))
    (first,) = recommender.recommend("u1", k=1)["item"]
    assert recommender.score(pl.DataFrame({"item": ["x"], "what": [first], "who": ["u1"]})) == 1.0


def test_a_short_catalogue_is_scored_at_half_its_size() -> None:
    """Lists of 4 of the 8 items: with all that a user does not have held out, 4 of 7 are found whatever the order."""
    recommender = LTOCFRecommender(**QUICK).fit([(user, user % 8) for user in range(40)])
    assert recommender.score([(1, item) for item in range(8)]) == pytest.approx(4 / 7)


def test_without_a_held_out_pair_there_is_no_score(fitted: LTOCFRecommender) -> None:
    seen = text_log().filter(user="u1").rows()
    for pairs in (seen, [("new", "i1")]):
        with pytest.raises(ValueError, match="`X` must have a pair of a user of training that was not trained on"):
            fitted.score(pairs)


def test_scikit_learn_clones_and_searches_with_it() -> None:
    base, search = pytest.importorskip("sklearn.base"), pytest.importorskip("sklearn.model_selection")
    validation = pytest.importorskip("sklearn.utils.validation")
    recommender = LTOCFRecommender(**QUICK)
    with pytest.raises(pytest.importorskip("sklearn.exceptions").NotFittedError):
        validation.check_is_fitted(recommender)
    assert base.clone(recommender).get_params() == recommender.get_params()
    folds = search.KFold(2, shuffle=True, random_state=0)
    found = search.GridSearchCV(recommender, {"dim": [2, 4]}, cv=folds, error_score="raise").fit(text_log().to_pandas())
    validation.check_is_fitted(found.best_estimator_)
    assert found.best_params_["dim"] in (2, 4)
    assert 0 < found.best_score_ < 1
    assert len(found.best_estimator_.recommend("u1", k=3)) == 3
