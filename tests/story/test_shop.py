"""A shop, from its log to lists and to the next day's events: the shell and Python give the same lists."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ltocf
from ltocf.cli import main
from ltocf.runs.folder import RunFolder
from story.shop import N_EVENTS, N_ITEMS, N_ONLY_IN_TABLE, N_USERS, Shop, open_shop

WEIGHTS = {"view": 0.2, "cart": 0.5, "purchase": 1}
READING = ["--event-weights", "event_type=view:0.2,cart:0.5,purchase:1", "--drop", "event_type=return"]
TRAINING = ["--model", "lightgcn", "--epochs", "2", "--set", "dim=16", "--set", "n_negatives=256"]
IN_STOCK = "in_stock AND price > 0"
K = 10


@dataclass(frozen=True)
class Outcome:
    """What the commands or the calls of Python produced.

    Args:
        folder: has the runs ``measured``, ``shop`` and ``tomorrow``, and the exported ``vectors``.
        accuracy: the metrics of the measured run, and those of popularity if it is compared.
        tables: the lists ``all``, ``customer`` and ``tomorrow``.
        before: a digest of each file of ``shop`` before the update.
    """

    folder: Path
    accuracy: dict[str, Any]
    tables: dict[str, pl.DataFrame]
    before: Mapping[str, str]


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return open_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="session")
def by_shell(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("shell")
    measured, run, tomorrow, lists = (str(folder / name) for name in ("measured", "shop", "tomorrow", "all.parquet"))
    reading = [*READING, "--items", str(shop.items)]
    stocked = ["--where", IN_STOCK]
    main(["train", str(shop.events), "--out", measured, *reading, "--set", "split=time", *TRAINING])
    main(["fit", "--like", measured, "--out", run])
    main(["recommend", run, "--all", *stocked, "--out", lists])
    main(["recommend", run, "--history", ",".join(basket(shop)), *stocked, "--out", str(folder / "customer.parquet")])
    before = digests(folder / "shop")
    main(["update", run, str(shop.tomorrow), "--out", tomorrow, "--items", str(shop.later)])
    main(["recommend", tomorrow, "--all", *stocked, "--out", str(folder / "tomorrow.parquet")])
    main(["export", tomorrow, "--to", "parquet", "--out", str(folder / "vectors")])
    names = ("all", "customer", "tomorrow")
    tables = {name: pl.read_parquet(folder / f"{name}.parquet") for name in names}
    return Outcome(folder, RunFolder(folder / "measured").metrics(), tables, before)


@pytest.fixture(scope="session")
def by_python(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("python")
    reading = {"event_weights": {"event_type": WEIGHTS}, "drop": {"event_type": "return"}, "items": shop.items}
    training: dict[str, Any] = {"model": "lightgcn", "epochs": 2, "dim": 16, "n_negatives": 256}
    quiet: dict[str, Any] = {"show_progress": False}
    ltocf.train(shop.events, folder / "measured", split="time", **reading, **training, **quiet)
    accuracy = ltocf.evaluate_run(folder / "measured", ks=[K], against="popularity")
    answers = ltocf.fit(like=folder / "measured", out=folder / "shop", **quiet).snapshot
    customer = answers.fold_in(basket(shop), K, where=IN_STOCK)
    before = digests(folder / "shop")
    newer = ltocf.update(folder / "shop", shop.tomorrow, folder / "tomorrow", items=shop.later, **quiet)
    newer.export(folder / "vectors", "parquet")
    tables = {
        "all": pl.concat(answers.recommend_all(K, where=IN_STOCK)),
        "customer": customer,
        "tomorrow": pl.concat(newer.snapshot.recommend_all(K, where=IN_STOCK)),
    }
    return Outcome(folder, accuracy, tables, before)


def basket(shop: Shop) -> list[str]:
    """The history of a new customer: three books."""
    return shop.catalogue.filter(category="books")["sku"].head(3).to_list()


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def described(shop: Shop, lists: pl.DataFrame) -> pl.DataFrame:
    """The lists with the attributes of their items."""
    return lists.join(shop.catalogue, left_on="item", right_on="sku", how="left", maintain_order="left")


def test_inspect_reports_what_was_planted(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    main(["inspect", str(shop.events), *READING, "--items", str(shop.items), "--format", "json"])
    found = json.loads(capsys.readouterr().out)
    report, positives = found["report"], shop.positives
    returns, nameless = shop.truth.filter(kind="return"), shop.truth.filter(pl.col("kind") != "return", nameless=True)
    assert {row["reason"]: (row["n_rows"], row["first"]) for row in report["dropped"]} == {
        "repeats the header": (1, f"line {N_EVENTS // 2 + 2}"),
        "`drop` event_type = return": (len(returns), f"line {returns['line'][0]}"),
        "no user id": (len(nameless), f"line {nameless['line'][0]}"),
    }
    n_pairs, n_blank = len(positives.unique(["user", "sku"])), int(positives["blank"].sum())
    assert (report["n_rows"], report["n_pairs"]) == (N_EVENTS + 1, n_pairs)
    assert report["n_merged"] == len(positives) - n_pairs
    assert found["time_range"] == [f"{pl.from_epoch(positives['second'])[end].isoformat()}+00:00" for end in (0, -1)]
    figures = found["figures"]
    assert (figures["users"], figures["items"], figures["train_pairs"]) == (N_USERS, N_ITEMS, n_pairs)
    notes = "; ".join(report["notes"])
    assert notes.count(f"blanks around the id removed in {n_blank} rows") == 2  # of users and of items
    assert f"attributes of {N_ITEMS} items" in notes
    assert f"{N_ONLY_IN_TABLE} rows of items without interactions" in notes


def test_training_holds_back_the_latest_events_and_weights_them_by_kind(shop: Shop, by_shell: Outcome) -> None:
    data = RunFolder(by_shell.folder / "measured").read_data()
    train = data.split.train.union(data.split.validation)  # type: ignore[arg-type]
    assert train.timestamps.max() < data.split.test.timestamps.min()  # type: ignore[union-attr]
    assert len(train) + len(data.split.test) == len(shop.positives.unique(["user", "sku"]))
    seen = ltocf.load(by_shell.folder / "shop").seen
    names = data.names
    weights = shop.positives.group_by("user", "sku").agg(pl.col("kind").replace_strict(WEIGHTS).sum().alias("weight"))
    expected = np.zeros(names.sizes)
    expected[names.user_ids.encode(weights["user"]), names.item_ids.encode(weights["sku"])] = weights["weight"]
    assert seen.weights is not None
    assert np.allclose(expected[seen.users, seen.items], seen.weights, rtol=1e-6)
    assert len(seen) == len(weights)


def test_the_lists_beat_popularity_threefold(by_python: Outcome) -> None:
    popularity = by_python.accuracy["against"]["popularity"][f"recall@{K}"]
    assert by_python.accuracy[f"recall@{K}"] > 3 * popularity["other"]


def test_everybody_gets_new_items_of_their_taste_that_are_in_stock(shop: Shop, by_shell: Outcome) -> None:
    lists = by_shell.tables["all"]
    assert lists.group_by("user").len().sort("user")["len"].to_list() == [K] * N_USERS
    shown = described(shop, lists)
    assert shown["in_stock"].all()
    assert lists.join(shop.positives, left_on=["user", "item"], right_on=["user", "sku"], how="semi").is_empty()
    assert shown["title"].to_list() == shown["name"].to_list()
    liked = shown.join(shop.taste, on="user", suffix="_liked")
    assert (liked["category"] == liked["category_liked"]).mean() > 0.95


def test_a_returned_item_may_be_recommended(shop: Shop, by_shell: Outcome) -> None:
    only_returned = shop.truth.filter(kind="return", nameless=False).join(
        shop.positives, on=["user", "sku"], how="anti"
    )
    lists = by_shell.tables["all"]
    assert len(lists.join(only_returned, left_on=["user", "item"], right_on=["user", "sku"], how="semi"))


def test_a_new_customer_with_three_books_gets_books(shop: Shop, by_shell: Outcome) -> None:
    shown = described(shop, by_shell.tables["customer"])
    assert shown["category"].to_list() == ["books"] * K
    assert shown["in_stock"].all()
    assert not set(shown["item"]) & set(basket(shop))


def test_reasons_add_up_to_the_score(shop: Shop, by_shell: Outcome, capsys: pytest.CaptureFixture[str]) -> None:
    user, item, score = by_shell.tables["all"].select("user", "item", "score").row(0)
    run = by_shell.folder / "shop"
    why = ltocf.load(run).snapshot.explain(user, item)
    assert why.own + why.popularity + why.history["contribution"].sum() == pytest.approx(why.score, abs=1e-6)
    assert why.score == pytest.approx(score, abs=1e-4)
    touched = shop.positives.filter(user=user)["sku"].unique().to_list()
    assert sorted(why.history["item"]) == sorted(touched)
    main(["explain", str(run), "--user", user, "--item", item, "--n", str(len(touched)), "--format", "json"])
    shown = json.loads(capsys.readouterr().out)
    assert [row["item"] for row in shown] == why.history["item"].to_list()
    assert sum(row["contribution"] for row in shown) == pytest.approx(why.history["contribution"].sum(), abs=1e-5)


def test_an_update_leaves_the_old_run_unchanged(by_shell: Outcome, by_python: Outcome) -> None:
    for outcome in (by_shell, by_python):
        assert digests(outcome.folder / "shop") == outcome.before


def test_an_update_serves_new_customers_new_items_and_the_new_stock(shop: Shop, by_shell: Outcome) -> None:
    lists, bought = by_shell.tables["tomorrow"], shop.tomorrows_pairs
    assert set(lists["user"]) == {*shop.taste["user"], *bought["user"]}
    assert lists.join(bought, left_on=["user", "item"], right_on=["user", "sku"], how="semi").is_empty()
    shown = described(shop, lists)
    assert shown["in_stock"].all()
    assert set(shop.sold_out) & set(by_shell.tables["all"]["item"])
    assert not set(shop.sold_out) & set(lists["item"])
    assert shown.filter(user="new-tea")["category"].to_list() == ["tea"] * K
    assert set(shown["by"]) == {"model"}
    newer = ltocf.load(by_shell.folder / "tomorrow")
    (fresh, *_) = sorted(set(bought["sku"]) - set(shop.positives["sku"]))
    near = newer.snapshot.similar_items(fresh, k=5, by="cosine")
    assert described(shop, near)["category"].to_list() == ["tea"] * 5


def test_exported_vectors_rank_as_the_lists_do(shop: Shop, by_shell: Outcome) -> None:
    users, items = (pl.read_parquet(by_shell.folder / "vectors" / f"{side}.parquet") for side in ("users", "items"))
    n_new_items = len(set(shop.tomorrows_pairs["sku"]) - set(shop.positives["sku"]))
    assert (len(users), len(items)) == (N_USERS + 2, N_ITEMS + n_new_items)
    answers = ltocf.load(by_shell.folder / "tomorrow")
    for user in ("new-tea", "c-00007"):
        scores = items["vector"].to_numpy() @ users.filter(id=user)["vector"].to_numpy()[0]
        best = items["id"].gather(np.argsort(-scores)[:K]).to_list()
        assert best == answers.recommend(user, K, exclude_seen=False)["item"].to_list()


def test_the_shell_and_python_give_the_same_lists(by_shell: Outcome, by_python: Outcome) -> None:
    for name, table in by_shell.tables.items():
        assert table.drop("user", "score").equals(by_python.tables[name].drop("user", "score")), name
        assert np.allclose(table["score"], by_python.tables[name]["score"], rtol=1e-6), name
    assert by_shell.tables["all"].equals(by_python.tables["all"])
    assert by_shell.accuracy[f"recall@{K}"] == by_python.accuracy[f"recall@{K}"]
    for side in ("users", "items"):
        shell, python = (
            pl.read_parquet(outcome.folder / "vectors" / f"{side}.parquet") for outcome in (by_shell, by_python)
        )
        assert shell.equals(python)
