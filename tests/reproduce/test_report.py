"""Tables and figures of finished cells have the numbers of their files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from scipy import stats

from ltocf.ode import CONNECTIONS, SOLVERS
from ltocf.report.content import Curve
from ltocf.reproduce.cells import VARIANTS, Cell, Places, make_cells, variant_names, with_splits
from ltocf.reproduce.figures import ablation, connections, curves_of_training, seconds
from ltocf.reproduce.plan import datasets, plan
from ltocf.reproduce.table3 import numbers, published, table
from reproduce_fixtures import plant


def by_user(cell: Cell) -> dict[int, float]:
    result = cell.user_result("recall@20")
    return dict(zip(result.users.tolist(), result.values.tolist(), strict=True))


def test_the_order_of_users_in_a_file_does_not_matter(cells: list[Cell]) -> None:
    def comparison() -> list[float]:
        return [numbers(cells)["mf"]["recall@20"][name] for name in ("ltocf_is_better_by", "p_holm")]

    before = comparison()
    for seed, cell in enumerate(cells):
        arrays = load_file(cell.file(".safetensors"))
        order = np.random.default_rng(seed).permutation(len(arrays["users"]))
        save_file({name: values[order] for name, values in arrays.items()}, cell.file(".safetensors"))
    assert comparison() == pytest.approx(before, rel=1e-5)


def test_a_row_of_another_split_is_not_compared(cells: list[Cell], source: str, places: Places) -> None:
    toml = places.configs / "log" / "grmf.toml"
    toml.write_text((places.configs / "log" / "mf.toml").read_text() + "\n[data]\nsplit_seed = 5\n")
    other = with_splits(make_cells(source, ["grmf"], [0], places))
    plant(other[0], [0.5] * 8)
    found = numbers([*cells, *other])
    assert "p_holm" not in found["grmf"]["recall@20"]
    assert found["mf"]["recall@20"] == numbers(cells)["mf"]["recall@20"]
    sentence = "A row without p has another validation set than LT-OCF's."
    assert sentence in table([*cells, *other]).caption
    assert sentence not in table(cells).caption


def test_a_row_is_the_mean_of_its_seeds(cells: list[Cell]) -> None:
    found = numbers(cells)
    assert list(found) == ["mf", "ltocf"]
    recalls = [cell.metrics()["recall@20"] for cell in cells if cell.name == "mf"]
    assert found["mf"]["recall@20"]["mean"] == pytest.approx(np.mean(recalls))
    assert found["mf"]["recall@20"]["standard_deviation"] == pytest.approx(np.std(recalls, ddof=1))
    of_ltocf, of_mf = ([by_user(cell) for cell in cells if cell.name == name] for name in ("ltocf", "mf"))
    users = sorted(of_ltocf[0])
    pairs = [[np.mean([seed[user] for seed in seeds]) for user in users] for seeds in (of_ltocf, of_mf)]
    assert found["mf"]["recall@20"]["ltocf_is_better_by"] == pytest.approx(np.mean(pairs[0]) - np.mean(pairs[1]))
    assert found["mf"]["recall@20"]["p_holm"] == pytest.approx(stats.ttest_rel(*pairs).pvalue, rel=1e-5)
    assert "p_holm" not in found["ltocf"]["recall@20"]
    rows = table(cells).rows
    assert [row[0] for row in rows] == ["MF", "LT-OCF"]
    assert all(len(row) == len(table(cells).columns) for row in rows)


def test_a_row_selected_on_test_is_compared_with_ltocf_selected_on_test(
    cells: list[Cell], source: str, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ltocf.reproduce.table3.published", lambda _: {"mf": {"recall@20": 0.5}})
    for name in ("mf", "ltocf"):
        text = (places.configs / "log" / f"{name}.toml").read_text()
        (places.configs / "log" / f"{name}-test.toml").write_text(text.replace("[run]", '[run]\nselect_on = "test"'))
    on_test = with_splits(make_cells(source, ["mf-test", "ltocf-test"], [0], places))
    for cell, values in zip(on_test, ([0.0, 0.25, 0.5], [0.5, 0.5, 1.0]), strict=True):
        plant(cell, values)
    found = numbers([*cells, *on_test])
    of_ltocf, of_mf = (np.mean(list(by_user(cell).values())) for cell in reversed(on_test))
    assert found["mf-test"]["recall@20"]["ltocf_is_better_by"] == pytest.approx(of_ltocf - of_mf)
    assert "p_holm" not in found["ltocf-test"]["recall@20"]
    assert found["mf-test"]["recall@20"]["published"] == 0.5
    rows = table([*cells, *on_test]).rows
    assert [(row[0], row[-1]) for row in rows] == [
        ("MF", "validation"),
        ("LT-OCF", "validation"),
        ("MF, best on test", "test"),
        ("LT-OCF, best on test", "test"),
    ]


def test_published_numbers_are_shown_with_the_difference(cells: list[Cell], monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"source": "a paper", "mf": {"recall@20": 0.5, "ndcg@20": 0.25}}
    monkeypatch.setattr("ltocf.reproduce.table3.published", lambda _: known)
    row = table(cells).rows[0]
    measured = numbers(cells)["mf"]["recall@20"]["mean"]
    assert row[2:4] == ["0.5000", f"{100 * (measured / 0.5 - 1):+.1f} %"]
    assert "Published: a paper." in table(cells).caption


def test_the_papers_table_is_complete() -> None:
    for dataset in ("gowalla", "yelp2018", "amazon-book"):
        assert len(published(dataset)) == 14
    assert published("gowalla")["ltocf"] == {"recall@20": 0.1875, "ndcg@20": 0.1574}
    assert published("amazon-book")["ngcf"] == {"recall@20": 0.0344, "ndcg@20": 0.0263}
    assert published("nothing") == {}


def test_curves_of_training_are_those_of_the_history(cells: list[Cell]) -> None:
    figure = curves_of_training("figure7", cells)
    (metrics, times) = figure.panels
    assert [curve.label for curve in metrics.curves] == ["MF", "LT-OCF"]
    # The second epoch was not validated.
    assert metrics.curves[1] == Curve("LT-OCF", [1.0, 3.0], [0.25, 0.75])
    assert times.curves == [
        Curve("t₁", [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
        Curve("t₂", [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]),
        Curve("t₃", [1.0, 2.0, 3.0], [3.0, 4.0, 5.0]),
    ]
    assert [(panel.title, panel.x_label, panel.y_label, panel.kind) for panel in figure.panels] == [
        ("", "epoch", "recall@20 on the validation set", "line"),
        ("", "epoch", "learned times", "line"),
    ]
    assert figure.caption == "log, seed 0. The phase that selects the epoch on the validation set."
    assert (figure.name, figure.title) == ("figure7-log", "Recall of LightGCN and LT-OCF while training: log")


def test_the_loss_has_a_point_for_each_epoch_and_a_model_without_times_one_panel(cells: list[Cell]) -> None:
    figure = curves_of_training("figure6", cells[2:])
    (losses,) = figure.panels
    assert losses.curves == [Curve("MF", [1.0, 2.0, 3.0], [1.0, 0.5, 1 / 3])]
    assert losses.y_label == "BPR loss"
    assert (figure.name, figure.title) == ("figure6-log", "Training loss of LightGCN and LT-OCF: log")


def test_curves_state_that_the_epoch_was_selected_on_test(cells: list[Cell]) -> None:
    on_test = with_splits([replace(cells[2], config=cells[2].config.with_values({"select_on": "test"}), split=None)])
    figure = curves_of_training("figure8", [plant(on_test[0], [0.5])])
    assert figure.panels[0].y_label == "NDCG@20 on the test set"
    assert figure.caption == "log, seed 0. The phase that selects the epoch on the test set."


def test_an_ablation_has_a_point_for_each_variant(source: str, places: Places) -> None:
    names = variant_names("figure10", source, places)
    cells = with_splits(make_cells(source, [name for name in names.values() if "2" not in name], [0], places))
    for number, cell in enumerate(cells):
        plant(cell, [0.1 * number])
    figure, rows, values = ablation("figure10", names, cells)
    curves = {curve.label: curve for curve in figure.panels[0].curves}
    assert (curves["fixed times"].x, curves["learned times"].x) == ([1.0, 3.0], [1.0, 3.0])
    learned = next(cell for cell in cells if cell.name == "ltocf")
    assert curves["learned times"].y[1] == learned.metrics()["recall@20"]
    assert [row[0] for row in rows.rows] == ["fixed, T = 1", "fixed, T = 3", "learned, T = 1", "learned, T = 3"]
    assert len(values["ndcg@20"]) == 4


def test_seconds_per_epoch_are_over_all_epochs_of_all_seeds(cells: list[Cell]) -> None:
    figure, rows = seconds(cells)
    assert [panel.y_label for panel in figure.panels] == [
        "seconds per epoch",
        "seconds of training",
        "seconds of ranking",
    ]
    fits = [fit for cell in cells if cell.name == "mf" for fit in cell.metrics()["fits"].values()]
    expected = sum(fit["seconds"] for fit in fits) / sum(fit["epochs"] for fit in fits)
    assert rows["MF"]["seconds per epoch"] == pytest.approx(expected)


def test_connections_are_the_polynomials_of_the_solvers() -> None:
    figure, table_of_solvers, values = connections()
    assert [panel.title for panel in figure.panels] == [
        f"{connection} connection: {what}" for connection in CONNECTIONS for what in ("exact", "distance to exact")
    ]
    assert len(values) == len(SOLVERS) * len(CONNECTIONS)
    polynomials = {row[0]: row[2] for row in table_of_solvers.rows}
    assert polynomials["euler"] == "1 + λ"
    assert polynomials["rk4"] == "1 + λ + 0.5λ^2 + 0.167λ^3 + 0.0417λ^4"
    assert polynomials["exact"].startswith("1 + λ + 0.5λ^2 + 0.167λ^3 + 0.0417λ^4 + 0.00833λ^5")
    eigenvalues = torch.linspace(-1, 1, 101, dtype=torch.float64)
    euler = torch.tensor(values["euler, residual"], dtype=torch.float64)
    torch.testing.assert_close(euler, sum((1 + eigenvalues) ** k for k in range(5)) / 5)


def test_a_curve_has_a_value_for_each_point() -> None:
    with pytest.raises(ValueError, match="`y` must have one value per x, got 1 for 2"):
        Curve("a", [1.0, 2.0], [1.0])


def test_plans_have_the_cells_of_their_table_or_figure(source: str, places: Places) -> None:
    extra = places.configs / "log" / "ltocf-custom.toml"
    extra.write_text((places.configs / "log" / "ltocf.toml").read_text())
    names = [cell.name for cell in plan("table3", source, [], [0], places, {})]
    assert len(names) == 14
    assert names[-1] == "ltocf-custom"
    assert [cell.name for cell in plan("figure6", source, [], [0], places, {})] == ["lightgcn", "ltocf"]
    assert {cell.name for cell in plan("figure9", source, [], [0], places, {})} == {
        *(set(VARIANTS["figure9"]) - {"solver/rk4"}),
        "ltocf",
    }
    for name in ("svd", "../../evil"):
        with pytest.raises(ValueError, match="is not a model and has no configuration"):
            plan("table3", source, [name], [0], places, {})
    with pytest.raises(ValueError, match="there is no 'figure5'; there are table1, table3"):
        plan("figure5", source, [], [0], places, {})


def test_data_sets_without_data_are_refused(source: str, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTOCF_DATA", str(Path(source).parent / "nowhere"))
    assert datasets([source], places) == [source]
    with pytest.raises(FileNotFoundError, match="no data found for log"):
        datasets([], places)
    with pytest.raises(FileNotFoundError, match="no data found for gowala"):
        datasets(["gowala"], places)
