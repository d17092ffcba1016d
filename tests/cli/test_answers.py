"""Commands that query a model file print what the Python interface returns."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ltocf.cli import app, main
from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.serving import Snapshot, TrainedModel
from samples import random_interactions

N_USERS = 40


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = random_interactions(N_USERS, 20)
    log = Interactions(log.users, log.items, N_USERS + 1, 20, log.items * 86_400)
    films = pl.DataFrame({"price": range(20)})
    names = Names(IdMap(range(100, 101 + N_USERS)), IdMap([f"f{item}" for item in range(20)]), None, films)
    model = build_model("lightgcn", BipartiteGraph.from_interactions(log), {"dim": 4})
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    TrainedModel("lightgcn", {"dim": 4}, model, log, names).save(file)
    return file


@pytest.fixture
def snapshot(path: Path) -> Snapshot:
    return Snapshot.open(path)


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> pl.DataFrame:
    main([*map(str, arguments), "--format", "json"])
    return pl.DataFrame(json.loads(capsys.readouterr().out))


def assert_same(found: pl.DataFrame, expected: pl.DataFrame) -> None:
    assert found.columns == expected.columns
    for column in expected.columns:
        if expected.schema[column].is_float():
            assert found[column].to_list() == pytest.approx(expected[column].to_list(), rel=1e-6)
        else:
            assert found[column].to_list() == expected[column].to_list()


@pytest.mark.parametrize(
    ("flags", "arguments"),
    [
        ((), {}),
        (("--include-seen",), {"exclude_seen": False}),
        (("--only", "f1,f2,f3,zz"), {"only": ["f1", "f2", "f3"]}),
        (("--exclude", "f1,f2"), {"exclude": ["f1", "f2"]}),
        (("--where", "price < 9"), {"where": "price < 9"}),
        (("--unknown", "popular"), {"unknown": "popular"}),
    ],
    ids=str,
)
def test_recommend_prints_the_lists_of_python(
    flags: tuple[str, ...],
    arguments: dict[str, Any],
    path: Path,
    snapshot: Snapshot,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = snapshot.recommend([101, 105], k=4, **arguments)
    assert_same(printed(capsys, "recommend", path, "--user", 101, "--user", 105, "--k", 4, *flags), expected)


def test_ids_have_the_type_of_the_data_in_every_format(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for format in ("json", "jsonl", "csv"):
        main(["recommend", str(path), "--user", "101", "--user", "105", "--k", "2", "--format", format])
        text = capsys.readouterr().out
        if format == "csv":
            found = pl.read_csv(io.StringIO(text))
        else:
            found = pl.DataFrame(json.loads(text) if format == "json" else list(map(json.loads, text.splitlines())))
        assert found["user"].to_list() == [101, 101, 105, 105]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("users_from", ["all", "file", "standard input"])
def test_lists_of_many_users_are_written_to_a_file(
    ending: str, users_from: str, path: Path, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, users = tmp_path / f"lists.{ending}", list(range(103, 109))
    (tmp_path / "users.csv").write_text("n,user_id\n" + "".join(f"1,{user}\n" for user in users))
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(map(str, users))))
    flags = {"all": ["--all"], "file": ["--users", str(tmp_path / "users.csv")], "standard input": ["--users", "-"]}
    main(["recommend", str(path), *flags[users_from], "--k", "3", "--out", str(out)])
    read: dict[str, Any] = {"csv": pl.read_csv, "jsonl": pl.read_ndjson, "parquet": pl.read_parquet}
    expected = pl.concat(snapshot.recommend_all(3)) if users_from == "all" else snapshot.recommend(users, 3)
    assert_same(read[ending](out), expected)


def test_recommend_with_a_history_is_fold_in(
    path: Path, snapshot: Snapshot, capsys: pytest.CaptureFixture[str]
) -> None:
    found = printed(capsys, "recommend", path, "--history", "f1,f2,zz", "--k", 3)
    assert_same(found, snapshot.fold_in(["f1", "f2"], 3))


def test_similar_and_popular_print_the_answers_of_python(
    path: Path, snapshot: Snapshot, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_same(printed(capsys, "similar", path, "--item", "f3", "--k", 2), snapshot.similar_items("f3", 2))
    by_history = printed(capsys, "similar", path, "--user", 101, "--k", 2, "--by", "history")
    assert_same(by_history, snapshot.similar_users(101, 2, by="history"))
    assert_same(printed(capsys, "popular", path, "--k", 3), snapshot.popular(3))
    window = ("--since", "1970-01-05", "--until", "1970-01-11", "--where", "price > 4", "--exclude", "f9")
    expected = snapshot.popular(3, since="1970-01-05", until="1970-01-11", where="price > 4", exclude=["f9"])
    assert_same(printed(capsys, "popular", path, "--k", 3, *window), expected)
    assert_same(printed(capsys, "popular", path, "--k", 3, "--days", 2), snapshot.popular(3, days=2))


def test_explain_prints_and_draws_the_reasons(
    path: Path, snapshot: Snapshot, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    explanation = snapshot.explain(101, "f3")
    assert_same(printed(capsys, "explain", path, "--user", 101, "--item", "f3", "--n", 2), explanation.history.head(2))
    main(["explain", str(path), "--user", "101", "--item", "f3", "--draw", str(tmp_path / "why.svg")])
    output = capsys.readouterr().out
    assert explanation.sentence() in output
    assert f"score {explanation.score:.3f} = history" in output
    assert (tmp_path / "why.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("recommend",), "give one of --user, --users, --all, --history, got none"),
        (("recommend", "--user", "101", "--steps", "1"), "`--steps` are for a new user: give `--history` too, got 1"),
        (("recommend", "--history", "f1", "--steps", "1"), '`--steps` need `ranking = "cosine"`'),
        (("recommend", "--user", "101", "--all"), "got --user and --all"),
        (("recommend", "--user", "nobody"), "1 of 1 users were not in training: 'nobody'"),
        (("recommend", "--user", str(100 + N_USERS)), f"1 of 1 users have no history in training: '{100 + N_USERS}'"),
        (("recommend", "--all", "--out", "lists.xlsx"), "a file of lists must end in .csv, .jsonl, .parquet"),
        (("recommend", "--users", "missing.txt"), "missing.txt"),
        (("recommend", "--all", "--where", "prize < 3"), 'unable to find column "prize"'),
        (("similar",), "give one of --item, --user, got none"),
        (("similar", "--item", "f1", "--user", "101"), "give one of --item, --user, got both"),
        (("explain", "--user", "101", "--item", "zz"), "1 of 1 items were not in training: 'zz'"),
    ],
    ids=str,
)
def test_errors_are_one_line(
    arguments: tuple[str, ...], message: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *options = arguments
    with pytest.raises(SystemExit) as stopped:
        main([command, str(path), *options])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_repeated_flags_reach_the_parser_as_one(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser gets as many arguments for 2,000 users as for two, so its work does not grow with them."""
    n_arguments = []
    run = type(app).__call__

    def count_arguments(self: Any, arguments: list[str], **options: Any) -> Any:
        n_arguments.append(len(arguments))
        return run(self, arguments, **options)

    monkeypatch.setattr(type(app), "__call__", count_arguments)
    for n in (2, 2000):
        flags = [part for number in range(n) for part in ("--user", str(100 + number % N_USERS))]
        main(["recommend", str(path), *flags, "--k", "1", "--format", "csv"])
        assert capsys.readouterr().out.count("\n") == n + 1
    assert n_arguments == [7, 7]
