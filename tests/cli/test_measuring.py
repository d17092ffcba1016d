"""``ltocf evaluate`` and ``ltocf compare`` print what the Python interface returns."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import ltocf
from ltocf.cli import main
from ltocf.data import Split
from ltocf.evaluation import METRICS
from ltocf.report.comparison import label
from ltocf.report.content import finite
from ltocf.runs.data_file import RunData
from ltocf.runs.folder import RunFolder

EARLIER = Path(__file__).parents[1] / "runs" / "earlier_version"
LTOCF, SPECTRAL = (EARLIER / f"run-{name}" for name in ("ltocf", "spectral"))


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def rows(text: str) -> list[list[str]]:
    """The cells of all printed tables, row by row."""
    return [[cell.strip() for cell in line.strip("│┃").split("│")] for line in text.splitlines() if line[:1] == "│"]


def test_evaluate_prints_one_table_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "evaluate", LTOCF, "--k", "3,10")
    assert [row[0] for row in rows(text)] == [*METRICS, "coverage"]
    assert set(json.loads(printed(capsys, "evaluate", LTOCF, "--k", "3", "--format", "json"))) == {
        f"{name}@3" for name in (*METRICS, "coverage")
    }


def test_beyond_accuracy_is_a_second_table_with_popularity_beside_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    expected = ltocf.evaluate_run(LTOCF, ks=[3, 10], beyond=True)
    found = rows(printed(capsys, "evaluate", LTOCF, "--k", "3,10", "--beyond"))[len(METRICS) + 1 :]
    cells = {row[0]: row[1:] for row in found}
    assert cells["Gini"] == [f"{values['gini@10']:.4f}" for values in (expected, expected["popularity"])]
    assert cells["popularity lift"] == [
        f"{values['popularity_lift@10']:.2f}" for values in (expected, expected["popularity"])
    ]
    shortest, head = expected["by_activity"][0], expected["by_popularity"][0]
    group = f"{shortest['n_users']} users with 6 items"
    assert cells[f"recall, {group}"][0] == f"{shortest['recall@10']:.4f}"
    assert cells[f"share of the lists, head: {head['n_items']} items"][0] == f"{head['share@10']:.4f}"
    assert len(found) == 7 + 2 * len(expected["by_activity"]) + 2 * len(expected["by_popularity"])


def test_differences_are_a_table_with_p_values(capsys: pytest.CaptureFixture[str]) -> None:
    expected = ltocf.evaluate_run(LTOCF, ks=[3, 10], against=SPECTRAL)["against"][str(SPECTRAL)]
    found = rows(printed(capsys, "evaluate", LTOCF, "--k", "3,10", "--against", SPECTRAL))[len(METRICS) + 1 :]
    assert [row[0] for row in found] == [label(f"{name}@10") for name in METRICS]
    assert found[0][2:] == [
        f"{expected['recall@10']['other']:.4f}",
        f"{expected['recall@10']['difference']:+.4f}",
        f"{expected['recall@10']['p_holm']:.3f}",
    ]


def test_json_has_every_requested_measurement(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "evaluate", LTOCF, "--k", "3", "--beyond", "--against", SPECTRAL, "--format", "json")
    expected = finite(ltocf.evaluate_run(str(LTOCF), ks=[3], beyond=True, against=str(SPECTRAL)))
    assert json.loads(text) == expected
    assert list(expected["against"]) == ["popularity", str(SPECTRAL)]
    text = printed(capsys, "compare", LTOCF, SPECTRAL, "--k", "3,5", "--against", "popularity", "--format", "json")
    assert json.loads(text) == finite(ltocf.compare([LTOCF, SPECTRAL], ks=[3, 5], against="popularity").as_dict())


def test_compare_prints_a_column_for_each_run_and_writes_the_report(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = printed(capsys, "compare", LTOCF, SPECTRAL, "--k", "3", "--out", tmp_path / "report.html")
    cells = {row[0]: row[1:] for row in rows(text)}
    expected = ltocf.compare([LTOCF, SPECTRAL], ks=[3]).table()
    assert cells["model"] == expected["model"].to_list()
    assert [cell.removesuffix(" ★") for cell in cells["recall@3"]] == [f"{x:.4f}" for x in expected["recall@3"]]
    assert cells["seconds"][-1] == "–"
    assert f"wrote {tmp_path / 'report.html'}" in text
    assert (tmp_path / "report.html").stat().st_size > 500_000


@pytest.mark.parametrize(("width", "n_tables"), [(160, 1), (60, 2), (10, 3)])
def test_runs_beyond_the_width_of_the_terminal_get_another_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int, n_tables: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert printed(capsys, "compare", LTOCF, SPECTRAL, "--k", "3").count("┏") == n_tables


def test_comparing_runs_of_different_splits_is_an_error_of_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    run = RunFolder(shutil.copytree(LTOCF, tmp_path / "swapped"))
    data = run.read_data()
    assert data.split.validation is not None
    split = Split(data.split.train, data.split.validation, data.split.test)
    run.write_data(RunData(data.name, split, data.names))
    for arguments in (["compare", LTOCF, run.path], ["evaluate", LTOCF, "--against", run.path]):
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        assert stopped.value.code == 2
        message = capsys.readouterr().err
        assert "runs must have one split to be compared" in message
        assert split.digest[:12] in message
        assert message.count("\n") == 1
