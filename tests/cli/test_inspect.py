"""``ltocf inspect``, and the reading options as they are typed in a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ltocf.cli import main
from ltocf.cli.reading import Reading
from ltocf.data import ReadOptions
from ltocf.training.memory import resident_bytes


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    rows = ["when,event,product_id,user_id", "2019-10-01 00:00:00 UTC,view,1.0,ann", "2019-10-02,purchase,2,ann"]
    path.write_text("\n".join([*rows, "2019-10-03,purchase,1,bob", "2019-10-04,purchase,1,NA", "NA,view,2,bob"]) + "\n")
    return path


def test_inspect_prints_the_report_figures_first_rows_and_costs(
    log_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["inspect", str(log_file)])
    output = capsys.readouterr()
    for part in (
        "user: 'user_id' (usual name)",
        "timestamp: 'when' (usual name)",
        "columns not used: 'event'",
        "1 row dropped: no user id",
        "1 row dropped: no timestamp",
        "written as decimals",
        "users_with_one_item",
        "from 2019-10-01T00:00:00+00:00 to 2019-10-03T00:00:00+00:00",
        "2019-10-01 00:00:00 UTC",
        "several models compete for 1 min (`--max-minutes`); `--model ltocf`: less than a minute on two CPU cores, ",
    ):
        assert part in output.out
    assert "no user id" not in output.err


def test_inspect_prints_json_on_request(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--only", "event=purchase", "--event-weights", "event=purchase:2", "--since", "2019-10-02"]
    main(["inspect", str(log_file), "--format", "json", *options])
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"report", "figures", "time_range", "preview", "estimate"}
    assert found["estimate"]["contest_minutes"] == 1.0
    assert found["estimate"]["minutes"] < 1
    assert found["estimate"]["bytes"] > resident_bytes() / 2  # the memory that the process holds already is counted
    assert found["figures"]["train_pairs"] == 2
    assert found["report"]["dropped"][0]["n_rows"] == 2
    assert found["time_range"] == ["2019-10-02T00:00:00+00:00", "2019-10-03T00:00:00+00:00"]
    assert len(found["preview"]) == 5
    assert found["preview"][0]["user_id"] == "ann"


def test_a_named_set_has_no_preview(capsys: pytest.CaptureFixture[str]) -> None:
    main(["inspect", "movielens-small", "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["figures"]["users"], found["preview"]) == (671, [])


def test_statistics_are_of_the_rows_that_the_options_keep(log_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["data", "stats", str(log_file), "--drop", "event=view", "--timestamp-column", ""])
    assert "train_pairs           │ 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "event"], "`--only` takes column=value, got 'event'"),
        (["--event-weights", "event=view:much"], "got no number for 'view'"),
        (["--event-weights", "event=view"], "takes column=value:weight,value:weight, got no number for"),
        (["--sql", "select 1"], "`--sql` needs `--uri`"),
        (["--sql", "select 1", "--uri", "sqlite:///a.db"], "`--uri` is the source: leave out"),
        (["--item-column", "nothing"], "`--item-column` must be one of the columns"),
    ],
    ids=range(6),
)
def test_wrong_options_are_errors(
    log_file: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["inspect", str(log_file), *options])
    assert message in capsys.readouterr().err


def test_inspect_without_a_source_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["inspect"])
    assert "give a source" in capsys.readouterr().err


def test_every_option_of_a_reader_has_a_flag() -> None:
    reading = Reading(
        **{f"{name}_column": name for name in ("user", "item", "timestamp", "rating", "weight", "title", "item_id")},
        min_rating=4.0,
        only=["a=b"],
        drop=["c=d, e", "c=f"],
        event_weights=["g=h:1"],
        partial=True,
        timestamp_format="%Y",
        since="2024-01-01",
        until="2025-01-01",
        min_user_interactions=2,
        min_item_interactions=3,
        separator=";",
        encoding="latin-1",
        header=False,
        columns="x, y",
        sql="select 1",
        uri="sqlite:///a.db",
        items=Path("items.csv"),
        lines_in_time=True,
    )
    options = ReadOptions(**reading.options())
    assert set(options.given()) == set(ReadOptions.__dataclass_fields__)
    assert (options.drop, options.columns, options.query) == ({"c": ["d", "e", "f"]}, ["x", "y"], "select 1")
    assert reading.source(None) == "sqlite:///a.db"
    assert Reading().options() == {}
