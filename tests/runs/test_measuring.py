"""A run measured against popularity and another run, and a comparison of runs: both give the same numbers."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

import ltocf
from ltocf.data import Split
from ltocf.evaluation import METRICS, beyond_accuracy, evaluate, evaluate_per_user, sample_users
from ltocf.evaluation.beyond import BEYOND
from ltocf.evaluation.significance import holm
from ltocf.files import read_arrays
from ltocf.models import Popularity
from ltocf.runs.comparison import compare_runs
from ltocf.runs.experiment import evaluate_run
from ltocf.runs.folder import RunFolder

EARLIER = Path(__file__).with_name("earlier_version")
LTOCF, FAST, SPECTRAL = (EARLIER / f"run-{name}" for name in ("ltocf", "fast", "spectral"))


@pytest.fixture
def other_split(tmp_path: Path) -> Path:
    """A run of the same pairs, with test and validation exchanged."""
    run = RunFolder(shutil.copytree(LTOCF, tmp_path / "exchanged"))
    data = run.read_data()
    assert data.split.validation is not None
    run.write_data(replace(data, split=Split(data.split.train, data.split.validation, data.split.test)))
    return run.path


def test_only_the_requested_metrics_are_measured() -> None:
    assert set(evaluate_run(LTOCF, ks=[3])) == {f"{name}@3" for name in (*METRICS, "coverage")}


@pytest.mark.parametrize("on", ["test", "validation"])
def test_a_sample_of_users_is_the_same_for_every_run_of_the_split(on: str) -> None:
    found = evaluate_run(LTOCF, on=on, ks=[3], against=SPECTRAL, users=7)
    run = RunFolder(LTOCF)
    trained = ltocf.load(LTOCF if on == "test" else run.selection_model_file)
    sample = sample_users(getattr(run.read_data().split, on), 0, 7)
    expected = evaluate(trained.model.scorer(), sample, seen=trained.seen, ks=[3])
    assert {name: found[name] for name in expected} == expected
    other = evaluate_run(SPECTRAL, on=on, ks=[3], users=7)
    assert found["against"][str(SPECTRAL)]["recall@3"]["other"] == other["recall@3"]
    with pytest.raises(ValueError, match="`users` must be >= 0, got -1"):
        evaluate_run(LTOCF, on=on, users=-1)


@pytest.mark.parametrize("on", ["test", "validation"])
def test_beyond_accuracy_is_that_of_the_lists_and_of_the_most_popular(on: str) -> None:
    found = evaluate_run(LTOCF, on=on, ks=[3, 10], beyond=True)
    run = RunFolder(LTOCF)
    trained = ltocf.load(LTOCF if on == "test" else run.selection_model_file)
    truth = getattr(run.read_data().split, on)
    scorers = {"run": trained.model.scorer(), "popularity": Popularity(trained.seen)}
    expected = {}
    for name, scorer in scorers.items():
        per_user = evaluate_per_user(scorer, truth, seen=trained.seen, ks=[3, 10])
        beyond = beyond_accuracy(per_user, trained.seen, truth).as_dict()
        expected[name] = evaluate(scorer, truth, seen=trained.seen, ks=[3, 10]) | beyond
    assert found.pop("popularity") == expected["popularity"]
    assert list(found.pop("against")) == ["popularity"]
    assert found == expected["run"]
    assert {f"{name}@3" for name in BEYOND} < set(found)


def test_differences_are_the_paired_test_over_the_kept_values() -> None:
    found = evaluate_run(LTOCF, against=str(SPECTRAL))
    assert list(found["against"]) == [str(SPECTRAL)]
    against = found["against"][str(SPECTRAL)]
    ours, theirs = (read_arrays(RunFolder(run).test_users_file)[0] for run in (LTOCF, SPECTRAL))
    assert set(against) == set(ours) - {"users"}
    for name, test in against.items():
        assert test["other"] == pytest.approx(theirs[name].mean(), abs=1e-6)
        assert test["difference"] == pytest.approx(found[name] - test["other"], abs=1e-12)
        assert test["p_value"] == pytest.approx(stats.ttest_rel(ours[name], theirs[name]).pvalue, rel=1e-3)
    assert [test["p_holm"] for test in against.values()] == holm([test["p_value"] for test in against.values()])
    assert evaluate_run(SPECTRAL, ks=[3], against=LTOCF)["against"][str(LTOCF)]["recall@3"]["difference"] < 0


def test_against_popularity_alone_adds_no_other_metrics() -> None:
    found = evaluate_run(LTOCF, ks=[3], against="popularity")
    assert list(found["against"]) == ["popularity"]
    assert "gini@3" not in found
    assert found["against"]["popularity"]["recall@3"]["other"] == pytest.approx(0.075)


def test_a_comparison_has_the_numbers_of_each_run() -> None:
    found = compare_runs([LTOCF, FAST, SPECTRAL], ks=[10, 3])
    assert found.depths == [3, 10]
    assert [(line.name, line.model) for line in found.lines] == [
        ("run-ltocf", "ltocf"),
        ("run-fast", "ltocf"),
        ("run-spectral", "spectral"),
        ("popularity", "popularity"),
    ]
    for line, run in zip(found.lines, (LTOCF, FAST, SPECTRAL), strict=False):
        alone = evaluate_run(run, ks=[3, 10], beyond=True)
        content = line.measured.as_dict()
        assert {name: alone[name] for name in content} == content
        assert found.lines[-1].measured.as_dict() == alone["popularity"]
        assert line.seconds == RunFolder(run).metrics()["seconds"]
    table = found.table()
    assert table["run"].to_list() == [line.name for line in found.lines]
    assert table["recall@3"].to_list() == [line.measured.means["recall@3"] for line in found.lines]
    assert table["p ndcg@10"].to_list()[0] is None
    assert table["seconds"].to_list()[-1] is None
    assert repr(found).startswith("RunComparison(dataset='log.csv', on='test'")


@pytest.mark.parametrize(("against", "reference"), [(None, LTOCF), (SPECTRAL, SPECTRAL), ("run-spectral", SPECTRAL)])
def test_the_tests_of_a_comparison_are_adjusted_for_its_lines(against: Path | str | None, reference: Path) -> None:
    found = compare_runs([LTOCF, SPECTRAL], ks=[5, 10], against=against)
    assert found.against == reference.name
    values = {line.name: line.measured.per_user.values["ndcg@10"].numpy() for line in found.lines}
    others = [line for line in found.lines if line.name != found.against]
    p_values = [stats.ttest_rel(values[line.name], values[found.against]).pvalue for line in others]
    assert [line.significance["ndcg@10"]["p_holm"] for line in others] == pytest.approx(holm(p_values))
    assert others[-1].significance["ndcg@10"]["difference"] < 0
    assert next(line for line in found.lines if line.name == found.against).significance == {}


def test_a_single_run_is_compared_with_popularity_and_the_best_are_known() -> None:
    found = compare_runs([LTOCF], ks=[3])
    assert found.against == "popularity"
    assert set(found.lines[0].significance) == {"recall@3", "ndcg@3"}
    assert found.best("recall@3") == found.best("gini@3") == {"run-ltocf"}
    assert found.best("novelty@3") == set()
    assert found.best("coverage@3") == {"run-ltocf"}


def test_runs_of_the_same_name_get_different_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("a/run", "b/run", "popularity"):
        shutil.copytree(LTOCF, tmp_path / folder)
    monkeypatch.chdir(tmp_path)
    assert [line.name for line in compare_runs(["a/run", "b/run"], ks=[1]).lines] == ["a/run", "b/run", "popularity"]
    names = [line.name for line in compare_runs(["a/run", "popularity"], ks=[1]).lines]
    assert names == [(tmp_path / name).resolve().as_posix() for name in ("a/run", "popularity")] + ["popularity"]


def test_runs_of_other_splits_are_refused_by_name_and_digest(other_split: Path) -> None:
    digests = [RunFolder(run).read_data().split.digest[:12] for run in (LTOCF, other_split)]
    message = (
        f"{LTOCF} with the digest {digests[0]}, {other_split} with the digest {digests[1]}; train them on the same"
    )
    with pytest.raises(ValueError) as refused:
        compare_runs([LTOCF, other_split])
    assert message in str(refused.value)
    with pytest.raises(ValueError) as refused:
        evaluate_run(LTOCF, against=other_split)
    assert message in str(refused.value)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`runs` must be a list of run folders, at least one, got \[\]"):
        compare_runs([])
    with pytest.raises(ValueError, match=r"`runs` must be a list of run folders, at least one, got 'runs/a'"):
        compare_runs("runs/a")
    with pytest.raises(ValueError, match=r"each run must be given once, got .*run-ltocf twice"):
        compare_runs([LTOCF, FAST, EARLIER / "." / "run-ltocf"])
    with pytest.raises(
        ValueError, match="must be one of the runs or popularity, got 'run-spectral'; there are run-ltocf, run-fast"
    ):
        compare_runs([LTOCF, FAST], against="run-spectral")
    with pytest.raises(FileNotFoundError, match="holds no run"):
        compare_runs([LTOCF, tmp_path])
    with pytest.raises(FileNotFoundError, match="is not finished"):
        compare_runs([EARLIER / "run-interrupted"])
    with pytest.raises(ValueError, match="`on` must be test or validation, got 'train'"):
        compare_runs([LTOCF], on="train")


def test_one_user_has_differences_but_no_significance(tmp_path: Path) -> None:
    run = RunFolder(shutil.copytree(LTOCF, tmp_path / "run"))
    data = run.read_data()
    test = data.split.test.where(data.split.test.users == data.split.test.users[0])
    run.write_data(replace(data, split=replace(data.split, test=test)))
    found = evaluate_run(run.path, ks=[5], beyond=True)["against"]["popularity"]["recall@5"]
    assert found["difference"] == evaluate_run(run.path, ks=[5])["recall@5"] - found["other"]
    assert math.isnan(found["p_value"])
    (line, _) = compare_runs([run.path], ks=[5]).lines
    assert math.isnan(line.significance["recall@5"]["p_holm"])
