"""auto: all candidates compete on the validation set, their sum is retrained, and the run folder records it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

import ltocf
from ltocf.cli.training import _show_contest
from ltocf.evaluation import Scorer, Validation, evaluate
from ltocf.models import Blend
from ltocf.runs import contest
from ltocf.runs.candidates import SHARE_PLANNED, SHORTEST, Candidate, candidates_for, default_minutes
from ltocf.runs.config import Config
from ltocf.runs.estimate import SECONDS_PER_RANKED, neighbour_minutes
from ltocf.runs.experiment import evaluate_run, resume, select
from ltocf.runs.folder import RunFolder
from ltocf.runs.protocol import Experiment
from ltocf.runs.settings import DataSettings
from ltocf.runs.time_budget import TimeBudget
from ltocf.runs.update import update
from ltocf.training.ensemble import Weighing, choose_weights

VISITS = [
    (user, item) for user in range(40) for item in range(24) if (user * item + user) % 5 < 2 and item % 4 != user % 4
]
FEW = [
    Candidate("ease", "ease", {"penalty": 4.0}),
    Candidate("spectral-4", "spectral", {"rank": 4, "epochs": 3}),
    Candidate("huge", "ltocf", {}, "about 9 minutes more"),
    Candidate("lightgcn-4", "lightgcn", {"dim": 4, "epochs": 2, "n_negatives": 16}),
]


@pytest.fixture
def few_compete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contest, "candidates_for", lambda *_: FEW)


def interrupt(*_: object) -> object:
    raise KeyboardInterrupt


def alike(scorers: Sequence[Scorer], validation: Validation) -> Weighing:
    """Equal weights, so that every candidate is trained on all pairs."""
    return choose_weights(scorers, validation)._replace(weights=[1 / len(scorers)] * len(scorers))


def train(out: Path, **settings: object) -> dict[str, object]:
    return ltocf.train(VISITS, out, show_progress=False, select_by="recall@5", **settings)


def test_every_candidate_is_in_the_table_and_the_sum_is_measured(few_compete: None, tmp_path: Path) -> None:
    metrics = train(tmp_path / "run")
    table = {row["name"]: row for row in metrics["contest"]}
    assert list(table) == ["ease", "spectral-4", "lightgcn-4", "huge"]
    assert table["ease"]["learned"]["penalty"] > 0
    assert table["huge"]["skipped"] == "about 9 minutes more"
    weights = {name: row["weight"] for name, row in table.items() if "weight" in row}
    assert sum(weights.values()) == pytest.approx(1)
    assert metrics["selected"]["ndcg@5"] >= max(row["ndcg@5"] for row in table.values() if "weight" in row)

    model, split = ltocf.load(tmp_path / "run"), RunFolder(tmp_path / "run").read_data().split
    everything = split.train.union(split.validation)
    assert evaluate(model.model.scorer(), split.test, seen=everything, ks=[10])["ndcg@10"] == metrics["ndcg@10"]
    assert not list((tmp_path / "run").glob("candidate-*")) + list((tmp_path / "run").glob("checkpoint-*"))


def test_the_selected_models_have_not_seen_the_validation_set(few_compete: None, tmp_path: Path) -> None:
    metrics = train(tmp_path / "run")
    found = evaluate_run(tmp_path / "run", on="validation", ks=[5])
    assert found["ndcg@5"] == pytest.approx(metrics["selected"]["ndcg@5"], abs=1e-6)


def test_a_candidate_that_diverges_is_set_aside(
    few_compete: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others continue as if it had not competed; a resumed run does not try it again."""
    without = train(tmp_path / "without")
    diverging = Candidate("diverging", "mf", {"dim": 4, "epochs": 2, "n_negatives": 16, "learning_rate": 1e30})
    monkeypatch.setattr(contest, "candidates_for", lambda *_: [FEW[0], diverging, *FEW[1:]])
    choose_weights = contest.choose_weights
    monkeypatch.setattr(contest, "choose_weights", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run")
    history = RunFolder(tmp_path / "run").history()
    monkeypatch.setattr(contest, "choose_weights", choose_weights)
    metrics = resume(tmp_path / "run", show_progress=False)
    resumed = [row for row in RunFolder(tmp_path / "run").history() if row["phase"] == "diverging selection"]
    assert resumed == [row for row in history if row["phase"] == "diverging selection"]
    (row,) = [row for row in metrics["contest"] if row["name"] == "diverging"]
    assert "diverged" in row["set_aside"]
    assert [row.get("weight") for row in metrics["contest"] if row["name"] != "diverging"] == [
        row.get("weight") for row in without["contest"]
    ]
    assert metrics["ndcg@10"] == without["ndcg@10"]
    assert not (tmp_path / "run" / "diverged.safetensors").exists()
    _show_contest(metrics["contest"], metrics["selected"])
    assert "set aside: " in capsys.readouterr().out


def test_a_candidate_that_diverges_on_all_pairs_is_set_aside(
    few_compete: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are weighed again, and the run ends as a contest without it."""
    phase = Experiment.phase

    def diverging(self: Experiment, name: str, *arguments: Any) -> Any:
        if self.label == "ease" and name == "retraining":
            raise FloatingPointError("training diverged")
        return phase(self, name, *arguments)

    monkeypatch.setattr(Experiment, "phase", diverging)
    monkeypatch.setattr(contest, "choose_weights", alike)
    metrics = train(tmp_path / "run")
    table = {row["name"]: row for row in metrics["contest"]}
    assert table["ease"] == {"name": "ease", "set_aside": "training diverged"}
    monkeypatch.setattr(contest, "candidates_for", lambda *_: FEW[1:])
    without = train(tmp_path / "without")
    assert [row["name"] for row in without["contest"]] == ["spectral-4", "lightgcn-4", "huge"]
    assert all(table[row["name"]].get("weight") == row.get("weight") for row in without["contest"])
    assert metrics["ndcg@10"] == without["ndcg@10"]


def test_closed_forms_are_computed_again_before_the_heaviest_is_trained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever time is left for training, the closed forms need theirs, and what is left counts most by weight."""
    weights = {"light": 0.25, "heavy": 0.5, "ease": 0.25}
    short = {"dim": 4, "epochs": 1, "n_negatives": 16}
    competing = [Candidate("light", "lightgcn", short), Candidate("heavy", "mf", short), Candidate("ease", "ease", {})]
    monkeypatch.setattr(contest, "candidates_for", lambda *_: competing)
    monkeypatch.setattr(
        contest,
        "choose_weights",
        lambda *given: choose_weights(*given)._replace(weights=tuple(weights.values())),
    )
    order, phase = list[str](), Experiment.phase

    def recorded(self: Experiment, name: str, *arguments: Any) -> Any:
        order.append(f"{self.label} {name}")
        return phase(self, name, *arguments)

    monkeypatch.setattr(Experiment, "phase", recorded)
    metrics = train(tmp_path / "run")
    assert order[3:] == ["ease retraining", "heavy retraining", "light retraining"]
    assert {row["name"]: row["weight"] for row in metrics["contest"]} == weights


def test_retraining_leaves_time_to_rank_with_the_whole_blend(
    few_compete: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every member ranks, and their scores are standardised, which takes longer than ranking with a member alone."""
    phase, left = Experiment.phase, dict[str, float]()

    def recorded(self: Experiment, name: str, *arguments: Any) -> Any:
        left[f"{self.label} {name}"] = self.budget.seconds_left()
        return phase(self, name, *arguments)

    monkeypatch.setattr(Experiment, "phase", recorded)
    monkeypatch.setattr(contest, "choose_weights", alike)
    monkeypatch.setattr(contest, "ranking_seconds", lambda model, *_: 40.0 if isinstance(model, Blend) else 7.0)
    train(tmp_path / "run", max_minutes=10.0)
    assert [left[f"{each.name} retraining"] for each in FEW if not each.skipped] == pytest.approx([560] * 3, abs=10)


def test_a_contest_without_a_candidate_left_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = {"dim": 4, "epochs": 2, "n_negatives": 16, "learning_rate": 1e30}
    monkeypatch.setattr(contest, "candidates_for", lambda *_: [Candidate("diverging", "mf", settings)])
    with pytest.raises(FloatingPointError, match=r"no candidate is left: .* diverged"):
        train(tmp_path / "run")


def test_an_interrupted_contest_is_resumed_and_ends_the_same(
    few_compete: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole")
    choose_weights = contest.choose_weights
    monkeypatch.setattr(contest, "choose_weights", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut")
    assert len(list((tmp_path / "cut").glob("candidate-*.json"))) == 3
    monkeypatch.setattr(contest, "choose_weights", choose_weights)
    resumed = resume(tmp_path / "cut", show_progress=False)
    assert [row.get("weight") for row in resumed["contest"]] == [row.get("weight") for row in whole["contest"]]
    assert resumed["ndcg@10"] == whole["ndcg@10"]
    whole_scores, resumed_scores = (
        ltocf.load(tmp_path / name).model.scores(torch.arange(40)) for name in ("whole", "cut")
    )
    assert torch.equal(whole_scores, resumed_scores)


def test_a_resumed_contest_keeps_its_candidates_whatever_the_limit_is_then(
    few_compete: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a candidate of the same name would be retrained with settings that it was not selected with."""
    limits = list[float]()

    def few(*sizes: float) -> list[Candidate]:
        limits.append(sizes[3])
        return FEW if sizes[3] == 4.0 else [each._replace(values={**each.values, "epochs": 1}) for each in FEW]

    monkeypatch.setattr(contest, "candidates_for", few)
    whole = train(tmp_path / "whole", max_minutes=4.0)
    choose_weights = contest.choose_weights
    monkeypatch.setattr(contest, "choose_weights", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", max_minutes=4.0)
    monkeypatch.setattr(contest, "choose_weights", choose_weights)
    file = tmp_path / "run" / "config.toml"
    file.write_text(
        file.read_text(encoding="utf-8").replace("max_minutes = 4.0", "max_minutes = 7.0"), encoding="utf-8"
    )
    resumed = resume(tmp_path / "run", show_progress=False)
    assert limits == [4.0, 4.0]
    assert resumed["ndcg@10"] == whole["ndcg@10"]
    assert not (tmp_path / "run" / "candidates.json").exists()


@pytest.mark.parametrize(("requested", "used"), [(0, 7), (5, 5)])
def test_a_requested_number_of_validation_users_goes_before_that_of_a_candidate(
    requested: int, used: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    short = Candidate("short", "mf", {"dim": 4, "epochs": 1, "n_negatives": 16, "validation_users": 7})
    monkeypatch.setattr(contest, "candidates_for", lambda *_: [short])
    phase, n_users = Experiment.phase, list[int]()

    def recorded(self: Experiment, *arguments: Any) -> Any:
        n_users.append(self.config.training.validation_users)
        return phase(self, *arguments)

    monkeypatch.setattr(Experiment, "phase", recorded)
    train(tmp_path / "run", validation_users=requested)
    assert n_users == [used, used]


def test_the_model_answers_folds_in_explains_and_grows(few_compete: None, tmp_path: Path) -> None:
    train(tmp_path / "run")
    model = ltocf.load(tmp_path / "run")
    assert len(model.recommend([0, 1], k=3)) == 6
    assert len(model.snapshot.fold_in([1, 2, 3], k=3)) == 3
    item = model.recommend([0], k=1)["item"][0]
    why = model.snapshot.explain(0, item)
    assert why.history["contribution"].sum() + why.own + why.popularity == pytest.approx(why.score, rel=1e-4)
    assert why.score == pytest.approx(float(model.recommend([0], k=1)["score"][0]))
    grown = update(tmp_path / "run", [(100, 1), (100, 2), (0, 23)], tmp_path / "run-2", show_progress=False)
    assert len(grown.recommend([100], k=2)) == 2


def test_a_single_winner_is_the_model_itself(
    few_compete: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contest, "candidates_for", lambda *_: FEW[:1])
    train(tmp_path / "run")
    assert ltocf.load(tmp_path / "run").name == "ease"


def test_without_a_validation_set_the_first_candidate_is_trained(few_compete: None, tmp_path: Path) -> None:
    metrics = ltocf.train([("a", 1), ("b", 2), ("c", 1)], tmp_path / "run", show_progress=False)
    assert "contest" not in metrics
    assert ltocf.load(tmp_path / "run").name == "ease"


def test_the_default_is_auto_unless_a_setting_belongs_to_a_model(few_compete: None, tmp_path: Path) -> None:
    assert train(tmp_path / "auto", seed=3)["model"] == "auto"
    assert train(tmp_path / "own", dim=4, epochs=1, n_negatives=8)["model"] == "ltocf"


def test_auto_refuses_the_settings_of_a_single_model() -> None:
    config = Config(DataSettings("x"), "auto")
    with pytest.raises(ValueError, match="name the `model`"):
        config.with_values({"learning_rate": 0.1})
    with pytest.raises(ValueError, match="no setting `dim`"):
        config.with_values({"dim": 4})
    with pytest.raises(ValueError, match="auto chooses on validation"):
        config.with_values({"select_on": "test"})
    assert Config.from_toml(config.to_toml()) == config
    assert config.with_values({"max_minutes": 2.0}).training.max_minutes == 2.0


def test_candidates_suit_the_size_and_the_time() -> None:
    names = [c.name for c in candidates_for(900, 1_000, 80_000, 5.0) if not c.skipped]
    assert names[:2] == ["ease", "spectral-64"]
    assert {"ltocf-128", "ltocf-64"} <= set(names)
    enough, half = (
        {c.name: c.values for c in candidates_for(30_000, 41_000, 640_000, minutes) if c.model == "ltocf"}
        for minutes in (60.0, 30.0)
    )
    assert enough == {"ltocf-128": {"dim": 128}, "ltocf-64": {"dim": 64}}
    assert half == {name: values | {"epochs": 16} for name, values in enough.items()}
    large = candidates_for(1_500_000, 300_000, 50_000_000, 20.0)
    assert {c.name for c in large if c.skipped} == {"ease", "ltocf-128", "ltocf-64"}
    assert default_minutes(2_000_000) == 40.0


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("minutes", [5.0, 7.0, 10.0, 15.0, 20.5, 30.0, 60.0])
def test_a_plan_fits_into_the_time(minutes: float, in_order: bool) -> None:
    candidates = candidates_for(30_000, 41_000, 640_000, minutes, in_order)
    competing = [c for c in candidates if not c.skipped]
    expected = ["sequence-knn"] * in_order + ["history-regression", "ltocf"]
    assert [c.model for c in competing[: len(expected)]] == expected
    assert all(c.minutes for c in competing)
    assert sum(c.minutes for c in competing) <= SHARE_PLANNED * minutes
    assert len({c.name for c in candidates}) == len(candidates)
    assert {c.name for c in candidates} == {c.name for c in candidates_for(30_000, 41_000, 640_000, 2.0, in_order)}


@pytest.mark.parametrize("in_order", [True, False])
def test_more_time_gives_no_shorter_trainings(in_order: bool) -> None:
    """From one limit to the next, the larger LT-OCF has as many epochs, or more; if as many, then the regression has as
    high a rank, or a higher one; if that is the same too, the smaller LT-OCF has as many epochs, or more."""
    before = 0, 0, 0
    for minutes in range(5, 61):
        candidates = candidates_for(30_000, 41_000, 640_000, float(minutes), in_order)
        competing = {c.name: c.values for c in candidates if not c.skipped}
        larger, smaller = (
            competing[name].get("epochs", 32) if name in competing else 0 for name in ("ltocf-128", "ltocf-64")
        )
        plan = larger, competing.get("history-regression", {"rank": 0})["rank"], smaller
        assert plan >= before
        before = plan
    assert before == (32, 1024, 32)


def test_with_little_time_two_short_passes_are_trained() -> None:
    trained = [c for c in candidates_for(30_000, 41_000, 640_000, 9.0, in_order=True) if c.model == "ltocf"]
    assert [c.values for c in trained] == [{"dim": 128, **SHORTEST}, {"dim": 64, **SHORTEST}]
    assert not any(c.skipped for c in trained)


def test_with_little_time_the_larger_may_be_planned_with_one_more_pass() -> None:
    """At the size of Yelp2018, where two trainings of dimension 128 do not fit into 5 minutes."""
    five, seven = (
        [c for c in candidates_for(32_000, 38_000, 980_000, minutes, in_order=True) if not c.skipped]
        for minutes in (5.0, 7.0)
    )
    assert [c.name for c in five] == ["history-regression", "ltocf-128"]
    assert [c.name for c in seven] == ["sequence-knn", "history-regression", "ltocf-128"]
    assert five[1].minutes < SHARE_PLANNED * 5 - five[0].minutes < seven[2].minutes
    assert five[1].values == seven[2].values


@pytest.mark.parametrize(
    ("sizes", "minutes"), [((20_000, 100_000, 200_000), 5.0), ((100_000, 300_000, 640_000), 15.0)], ids=str
)
def test_a_closed_form_that_does_not_fit_keeps_nothing_from_competing(
    sizes: tuple[int, int, int], minutes: float
) -> None:
    """A spectral search on so many items takes longer than the limit, LT-OCF does not."""
    candidates = candidates_for(*sizes, minutes)
    competing = [c for c in candidates if not c.skipped]
    assert {c.name for c in competing} >= {"ltocf-128"}
    assert sum(c.minutes for c in competing) <= SHARE_PLANNED * minutes
    assert all(c.minutes for c in competing)
    assert {c.name for c in candidates if c.skipped} >= {"spectral-256", "spectral-1024"}


def test_as_sets_a_regression_is_preferred_to_lt_ocf_alone() -> None:
    competing = [c.name for c in candidates_for(30_000, 41_000, 640_000, 2.0) if not c.skipped]
    assert competing == ["history-regression"]
    in_order = [c.name for c in candidates_for(32_000, 38_000, 980_000, 3.6, in_order=True) if not c.skipped]
    assert in_order == ["ltocf-64"]


def test_if_nothing_fits_the_closed_forms_compete_without_a_plan() -> None:
    candidates = candidates_for(30_000, 41_000, 640_000, 0.5)
    names = ["history-regression", "spectral-256", "spectral-1024", "item-knn"]
    assert [c.name for c in candidates if not c.skipped] == names
    assert not any(c.minutes for c in candidates if not c.skipped)
    assert [c.name for c in candidates if c.skipped] == ["ltocf-128", "ltocf-64", "ease"]


def test_a_search_of_neighbours_counts_the_items_that_it_ranks() -> None:
    small, large = (neighbour_minutes(8_000, n_items, 200_000, 12) for n_items in (50_000, 500_000))
    assert large - small == pytest.approx(12 * 8_000 * 450_000 * SECONDS_PER_RANKED / 60)


def test_closed_forms_of_a_small_catalogue_always_compete() -> None:
    candidates = candidates_for(20_000, 3_000, 900_000, 3.0, in_order=True)
    assert [c.name for c in candidates if not c.skipped][:2] == ["ease", "spectral-64"]


def test_a_selection_leaves_the_time_that_the_others_are_planned_to_take(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What one leaves over goes to whoever is next."""
    minutes = [1.0, 2.0, 1.0]
    planned = [Candidate(f"ease-{i}", "ease", {}, "", each, 0.4 * each) for i, each in enumerate(minutes)]
    budgets = list[float]()

    def recorded_select(self: contest.Contest, candidate: Candidate, pairs: object, budget: TimeBudget) -> object:
        budgets.append(budget.seconds / 2)  # a phase leaves half of it for training on all pairs
        return original(self, candidate, pairs, budget)

    original = contest.Contest._select
    monkeypatch.setattr(contest.Contest, "_select", recorded_select)
    monkeypatch.setattr(contest, "candidates_for", lambda *_: planned)
    train(tmp_path / "run", max_minutes=5.0)
    spare = 60 * (SHARE_PLANNED * 5 - sum(minutes))
    # The time that the first two take is a fraction of a second each.
    assert budgets[0] == pytest.approx(60 * 0.6 * 1 + spare, abs=2)
    assert budgets[1] == pytest.approx(60 * (0.6 * (1 + 2)) + spare, abs=2)
    assert budgets[2] == pytest.approx(60 * (0.6 * (1 + 2 + 1)) + spare, abs=2)


def test_a_search_of_settings_needs_a_named_model(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name the `model`"):
        select(Config(DataSettings("x"), "auto"), tmp_path / "run")
