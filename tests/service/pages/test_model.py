"""The pages about models show what was learned and measured."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

import ltocf
from ltocf.evaluation.significance import UserResult, compare_results, difference_interval
from ltocf.files import read_arrays
from ltocf.service.pages.charts import LEFT, RIGHT, WIDTH, Series, line_chart
from ltocf.service.pages.comparison import columns_of, comparison_view
from ltocf.service.pages.home import home_view
from ltocf.service.pages.model import model_view, run_numbers
from ltocf.service.pages.query import PageQuery
from ltocf.serving import Snapshot


def points_of(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in (point.split(",") for point in path.removeprefix("M").split("L"))]


def test_the_curve_is_the_learned_response(runs: dict[str, Path]) -> None:
    snapshot = Snapshot.open(runs["films"])
    chart = model_view(snapshot, run_numbers(runs["films"])).response
    assert chart is not None
    drawn = points_of(chart.lines[0].path)
    x = torch.tensor([2 * (x - LEFT) / (WIDTH - LEFT - RIGHT) - 1 for x, _ in drawn], dtype=torch.float64)
    expected = snapshot.model.response(x).detach()
    # The axis is linear: heights on the page are the values up to a scale and a shift.
    fit = stats.linregress(expected, [-y for _, y in drawn])
    assert fit.rvalue > 0.9999  # coordinates are rounded
    assert [line.label for line in chart.lines[1:]] == list(snapshot.model.response_parts(x))


def test_learned_times_are_marked_between_start_and_end(runs: dict[str, Path]) -> None:
    snapshot = Snapshot.open(runs["films"])
    marks = model_view(snapshot, run_numbers(runs["films"])).times
    learned = snapshot.model.learned()
    assert [mark.name for mark in marks] == ["start", "t₁", "t₂", "end"]
    assert [mark.place for mark in marks] == pytest.approx([0, 25 * learned["t_1"], 25 * learned["t_2"], 100])
    assert [mark.learned for mark in marks] == [False, True, True, False]


def test_metrics_are_shown_beside_those_of_the_most_popular_items(runs: dict[str, Path]) -> None:
    view = model_view(Snapshot.open(runs["films"]), run_numbers(runs["films"]))
    compared = ltocf.compare([runs["films"]], ks=[view.depth])
    of_run, popular = (line.measured.means for line in compared.lines)
    shown = {row.name: (row.value, row.popular) for row in view.metrics}
    for name, title in (("recall", "recall"), ("ndcg", "NDCG"), ("map", "MAP")):
        at = f"{name}@{view.depth}"
        assert shown[f"{title}@{view.depth}"] == (f"{of_run[at]:.4f}", f"{popular[at]:.4f}")
    assert view.coverage is not None
    assert view.coverage.value == f"{of_run[f'coverage@{view.depth}']:.4f}"
    assert view.n_covered == round(of_run[f"coverage@{view.depth}"] * 24)


def test_a_model_file_alone_has_no_numbers(runs: dict[str, Path]) -> None:
    view = model_view(Snapshot.open(runs["ids"]), run_numbers(runs["ids"]))
    assert (view.depth, view.metrics, view.curves) == (0, (), ())
    assert view.response is not None


def test_a_model_without_a_response_says_so(runs: dict[str, Path]) -> None:
    view = model_view(Snapshot.open(runs["neumf"]), run_numbers(runs["neumf"]))
    assert (view.response, view.times) == (None, ())
    assert view.metrics


def test_two_runs_are_compared_by_the_differences_of_their_users(runs: dict[str, Path]) -> None:
    paths = [runs["films"], runs["again"]]
    view = comparison_view(("films", "again"), paths, [run_numbers(path) for path in paths])
    first, second = (read_arrays(path / "test-users.safetensors")[0] for path in paths)
    name = view.metrics[0].name
    difference = first[name].astype(np.float64) - second[name].astype(np.float64)
    low, high = stats.t.interval(0.95, len(difference) - 1, difference.mean(), stats.sem(difference))
    assert view.metrics[0].interval.replace("−", "-") == f"{low:+.4f} to {high:+.4f}"
    assert view.metrics[0].difference.replace("−", "-") == f"{difference.mean():+.4f}"


def test_runs_on_two_splits_are_not_compared(runs: dict[str, Path], tmp_path: Path) -> None:
    other = Path(shutil.copytree(runs["films"], tmp_path / "other"))
    metrics = json.loads((other / "metrics.json").read_text())
    metrics["split"]["digest"] = "another"
    (other / "metrics.json").write_text(json.dumps(metrics))
    paths = [runs["films"], other]
    view = comparison_view(("films", "other"), paths, [run_numbers(path) for path in paths])
    assert (view.metrics, view.note[:46]) == ((), "The runs were not measured on the same split, ")


def test_two_compared_lists_name_their_shared_items(runs: dict[str, Path]) -> None:
    views = [home_view(Snapshot.open(runs[name]), PageQuery(user="3", k=5)) for name in ("films", "again")]
    columns = columns_of(("films", "again"), views)
    lists = [{card.item.id for card in column.cards} for column in columns]
    assert columns[0].shared == columns[1].shared == lists[0] & lists[1]


def test_an_interval_excludes_zero_exactly_if_the_test_is_significant() -> None:
    generator = np.random.default_rng(0)
    for shift in np.linspace(-0.1, 0.1, 21):
        first, second = generator.random(40), generator.random(40) + shift
        users = np.arange(40)
        results = UserResult(users, first, "a"), UserResult(users, second, "a")
        low, middle, high = difference_interval(*results)
        test = compare_results(*results)
        assert middle == pytest.approx(test.difference)
        assert (not low <= 0 <= high) == (test.p_value < 0.05)


@pytest.mark.parametrize(
    ("values", "confidence", "rule"),
    [([0.5], 0.95, "at least two users, got 1"), ([0.5, 0.6], 1.0, r"`confidence` must be in \(0, 1\), got 1.0")],
    ids=["one user", "certainty"],
)
def test_an_interval_needs_two_users_and_a_confidence_below_1(
    values: list[float], confidence: float, rule: str
) -> None:
    result = UserResult(np.arange(len(values)), np.array(values), "a")
    with pytest.raises(ValueError, match=rule):
        difference_interval(result, result, confidence)


def test_a_line_leaves_out_missing_values() -> None:
    chart = line_chart("a", "A", ("x", "y"), [Series("a", [1.0, 2.0, 3.0], [0.5, float("nan"), 0.5], "line-0")])
    assert len(points_of(chart.lines[0].path)) == 2
    assert "nan" not in str(chart)


@pytest.mark.parametrize("y", [[-0.3, 16.5], [0.21, 0.2452], [5.0, 5.0], [-3e6, -2e6]], ids=str)
def test_ticks_are_inside_the_drawing_and_enclose_the_values(y: list[float]) -> None:
    chart = line_chart("a", "A", ("x", "y"), [Series("a", [2.0, 33.0], y, "line-0")])
    assert all(chart.top <= tick.place <= chart.bottom for tick in chart.y_ticks)
    assert all(chart.left <= tick.place <= chart.right for tick in chart.x_ticks)
    assert len(chart.y_ticks) >= 3
    heights = [height for _, height in points_of(chart.lines[0].path)]
    assert chart.y_ticks[-1].place <= min(heights)
    assert max(heights) <= chart.y_ticks[0].place
