"""The plan is said before it is done, with what it should cost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ltocf.reproduce.cells import Cell, Places, make_cells
from ltocf.reproduce.cost import Plan, expected_minutes
from reproduce_fixtures import plant


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)


def measured(places: Places, name: str, model: str, minutes: float, device: str = "cpu", **more: Any) -> None:
    path = places.results / "log" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    seconds = {"seconds": minutes * 60, "seconds_of_this_process": minutes * 60} | more
    path.write_text(json.dumps({"model": model, "environment": {"device": device}, **seconds}))


def cell(source: str, places: Places, name: str, **values: Any) -> Cell:
    return replace(make_cells(source, [name], [0], places, values)[0], split={"digest": "one"})


def test_minutes_are_those_of_the_same_configuration(source: str, places: Places) -> None:
    assert expected_minutes(cell(source, places, "mf")) is None
    measured(places, "other-seed0", "mf", 100.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(100)
    measured(places, "mf-seed1", "mf", 2.0)
    measured(places, "mf-seed2", "mf", 4.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(3)
    assert expected_minutes(cell(source, places, "ltocf")) is None
    measured(places, "solver/rk4-seed2", "ltocf", 7.0)
    assert expected_minutes(cell(source, places, "ltocf")) == pytest.approx(7)
    # "-seed" in the name of a configuration is no seed, and a result beside another is of the same configuration.
    measured(places, "mf-seedless-seed1", "mf", 9.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(3)
    measured(places, "mf-seed1-0123abcd", "mf", 6.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(4)


def test_a_run_in_pieces_took_as_long_as_its_training_and_a_slow_ranking_counts(source: str, places: Places) -> None:
    measured(places, "mf-seed1", "mf", 2.0, seconds_of_this_process=1.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(2)
    measured(places, "mf-seed1", "mf", 2.0, seconds_of_this_process=3600.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(60)


def test_a_gpu_says_nothing_about_a_processor(source: str, places: Places) -> None:
    measured(places, "mf-seed1", "mf", 2.0, device="NVIDIA H200")
    assert expected_minutes(cell(source, places, "mf")) is None
    measured(places, "mf-seed2", "mf", 4.0)
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(4)


def test_a_processor_says_nothing_about_a_gpu(source: str, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    measured(places, "mf-seed1", "mf", 2.0)
    assert expected_minutes(cell(source, places, "mf")) is None
    measured(places, "mf-seed2", "mf", 4.0, device="NVIDIA H200")
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(4)


def test_a_limit_bounds_what_is_expected(source: str, places: Places) -> None:
    assert expected_minutes(cell(source, places, "mf", max_minutes=3.0)) == 3
    measured(places, "mf-seed1", "mf", 2.0)
    assert expected_minutes(cell(source, places, "mf", max_minutes=3.0)) == pytest.approx(2)
    assert expected_minutes(cell(source, places, "mf", max_minutes=1.0)) == 1


def plan(source: str, minutes: list[float | None], processes: int = 1) -> Plan:
    names = ["mf", "ltocf", "lightgcn"]
    cells = [cell(source, Places(), name) for name in names]
    return Plan([], list(zip(cells, minutes, strict=False)), processes)


@pytest.mark.parametrize(
    ("minutes", "processes", "cost", "is_long"),
    [
        ([14.2, 18.3], 1, "about 32 min", True),
        ([14.2, 18.3], 4, "about 16 min", True),
        ([2.0, 3.0], 1, "about 5 min", False),
        ([2.0, 3.1], 1, "about 5 min", True),
        ([2.0, 3.1], 2, "about 3 min", False),
        ([0.1, 0.1], 1, "about 1 min", False),
        ([None, 2.0], 1, "about 2 min and 1 of unknown time", True),
        ([None, None], 1, "time unknown", True),
    ],
)
def test_a_plan_says_what_it_costs(
    minutes: list[float | None], processes: int, cost: str, is_long: bool, source: str
) -> None:
    made = plan(source, minutes, processes)
    assert list(made.lines()) == [f"log: 0 done, 2 to run: mf, ltocf; {cost}"]
    assert made.is_long is is_long


def test_a_plan_has_all_cells_with_their_minutes(source: str, places: Places) -> None:
    measured(places, "mf-seed1", "mf", 2.0)
    done = plant(cell(source, places, "lightgcn"), [0.5])
    waiting = [cell(source, places, name) for name in ("mf", "ltocf")]
    made = Plan.of([waiting[0], done, waiting[1]], 3)
    assert made == Plan([done], [(waiting[0], 2.0), (waiting[1], None)], 3)
    assert Plan.of([done]) == Plan([done], [], 1)


def test_seeds_are_named_where_there_are_several_and_data_sets_apart(source: str, places: Places) -> None:
    other = replace(make_cells("other.csv", ["mf"], [0], places)[0], split={"digest": "one"})
    cells = [replace(each, split={"digest": "one"}) for each in make_cells(source, ["mf", "ltocf"], [0, 3], places)]
    made = Plan([cells[0], other], [(each, 2.0) for each in cells[1:]])
    assert list(made.lines()) == [
        "log: 1 done, 3 to run: mf-seed3, ltocf-seed0, ltocf-seed3; about 6 min",
        "other: 1 done, 0 to run",
    ]


def test_what_is_no_result_of_a_run_says_nothing(source: str, places: Places) -> None:
    measured(places, "search/other-seed0", "mf", 2.0)
    folder = places.results / "log"
    keys = ["model", "seconds", "seconds_of_this_process", "environment"]
    result = {"model": "mf", "seconds": 9.0, "seconds_of_this_process": 9.0, "environment": {"device": "cpu"}}
    for name in keys:
        rest = {key: value for key, value in result.items() if key != name}
        (folder / f"without-{name}.json").write_text(json.dumps(rest))
    (folder / "list.json").write_text(json.dumps(keys))
    (folder / "mf-seed7.jsonl").write_text("{")
    assert expected_minutes(cell(source, places, "mf")) == pytest.approx(2)


def test_a_plan_names_what_is_done(source: str, places: Places) -> None:
    made = Plan([cell(source, places, "mf")], [])
    assert list(made.lines()) == ["log: 1 done, 0 to run"]
    assert not made.is_long


def test_a_plan_tells_of_a_result_that_is_in_the_way(source: str, places: Places) -> None:
    measured(places, "mf-seed0", "mf", 2.0)
    waiting = cell(source, places, "mf")
    made = Plan.of([waiting])
    assert list(made.lines()) == [
        "log: 0 done, 1 to run: mf; about 2 min",
        f"{places.results / 'log/mf-seed0.json'} is not used: it does not state its configuration and split; "
        f"the new result will be mf-seed0-{waiting.key[:8]}.json",
    ]
