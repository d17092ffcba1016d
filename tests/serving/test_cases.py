"""Problems with lists in public reports on recommenders, each on a small log of the same kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import ltocf
from ltocf.cli import main
from ltocf.data import Dataset, IdMap, Interactions, Names
from ltocf.runs.config import Config
from ltocf.runs.experiment import train_config
from ltocf.runs.settings import DataSettings

FEW_EPOCHS = {"preset": "paper", "epochs": 2, "threads": 1, "show_progress": False}


def blocks_of_taste(n_users: int, rng: np.random.Generator) -> pl.DataFrame:
    """Three groups of users, each with 14 of the 20 items of its own."""
    rows = [(user, 20 * (user % 3) + item) for user in range(n_users) for item in rng.permutation(20)[:14].tolist()]
    named = [(f"u{user}", f"p{item:02}", user) for user, item in rows]
    return pl.DataFrame(named, schema=["user", "item", "timestamp"], orient="row")


@pytest.mark.parametrize("model", ["spectral", "ltocf", "mf"])
def test_the_newest_users_get_the_popular_list_and_not_noise(model: str, tmp_path: Path) -> None:
    """A time split puts all pairs of the newest users into the test set."""
    old = blocks_of_taste(30, np.random.default_rng(0))
    new = pl.DataFrame({"user": [f"n{row % 10}" for row in range(80)], "item": old["item"][:80], "timestamp": 10_000})
    pl.concat([old, new.cast({"timestamp": pl.Int64})]).unique(maintain_order=True).write_csv(tmp_path / "log.csv")
    settings = FEW_EPOCHS | ({} if model == "spectral" else {"dim": 4})
    ltocf.train(tmp_path / "log.csv", tmp_path / "run", model=model, split="time", **settings)
    trained = ltocf.load(tmp_path / "run")
    counts = trained.seen.item_degrees
    popular = trained.item_ids.decode(np.argsort(-counts, kind="stable")[:3])
    newest = [user for user in trained.user_ids.ids if user.startswith("n") and trained.history(user).is_empty()]
    assert newest
    frame = trained.recommend(["u0", *newest], k=3, unknown="popular")
    for user in newest:
        assert frame.filter(user=user)["item"].to_list() == popular
    assert set(frame.filter(pl.col("user") != "u0")["by"]) == {"popular"}
    everybody = pl.concat(trained.snapshot.recommend_all(k=3))
    assert set(everybody.filter(by="popular")["user"]) >= set(newest)
    with pytest.raises(ValueError, match="have no history in training"):
        trained.recommend(newest, k=3)


def test_pairs_that_are_seen_but_not_liked_are_not_recommended(tmp_path: Path) -> None:
    """Pairs that are not positives, such as rows below ``min_rating``, still count as seen."""
    log = blocks_of_taste(30, np.random.default_rng(1))
    users, items = IdMap.of(log["user"]), IdMap(sorted({*log["item"]}))
    pairs = Interactions.from_pairs(users.encode(log["user"]), items.encode(log["item"]), len(users), len(items))
    liked = np.arange(len(pairs)) % 14 < 9
    shop = Dataset("shop", pairs.where(liked), Names(users, items), also_seen=pairs.where(~liked))
    config = Config(DataSettings("shop")).with_values({"preset": "paper", "epochs": 2, "threads": 1, "dim": 4})
    train_config(config, tmp_path / "run", show_progress=False, dataset=shop)
    trained = ltocf.load(tmp_path / "run")
    found = pl.concat(trained.snapshot.recommend_all(k=5))
    assert len(found) == 5 * 30
    low = pl.DataFrame({"user": users.decode(pairs.users[~liked]), "item": items.decode(pairs.items[~liked])})
    assert found.join(low, on=["user", "item"]).is_empty()
    kept = pl.concat(trained.snapshot.recommend_all(k=5, exclude_seen=False))
    assert not kept.join(low, on=["user", "item"]).is_empty()


def test_rows_below_the_minimum_rating_are_not_recommended(tmp_path: Path) -> None:
    """The same from a file of ratings."""
    log = blocks_of_taste(30, np.random.default_rng(4)).drop("timestamp")
    log = log.with_columns(rating=pl.Series([5 if row % 14 < 9 else 1 for row in range(len(log))]))
    log.write_csv(tmp_path / "ratings.csv")
    ltocf.train(tmp_path / "ratings.csv", tmp_path / "run", min_rating=4, dim=4, **FEW_EPOCHS)
    found = pl.concat(ltocf.load(tmp_path / "run").snapshot.recommend_all(k=5)).join(log, on=["user", "item"])
    assert set(found["rating"]) == {5}, "held out for the test, and nothing that was rated low"


def test_the_command_line_recommends_to_users_given_in_three_ways(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One flag for each user, a file of users, or all: the same lists."""
    log = blocks_of_taste(300, np.random.default_rng(2))
    log.write_csv(tmp_path / "log.csv")
    ltocf.train(tmp_path / "log.csv", tmp_path / "run", dim=4, **FEW_EPOCHS)
    users = sorted({*log["user"]})
    (tmp_path / "users.txt").write_text("\n".join(users))
    capsys.readouterr()
    ways = {
        "flags": [part for user in users for part in ("--user", user)],
        "file": ["--users", str(tmp_path / "users.txt")],
        "all": ["--all", "--unknown", "error"],
    }
    printed = {}
    for way, user_arguments in ways.items():
        main(["recommend", str(tmp_path / "run"), *user_arguments, "--k", "5", "--format", "csv"])
        printed[way] = pl.read_csv(capsys.readouterr().out.encode())
    assert len(printed["flags"]) == 5 * 300
    for way in ("file", "all"):
        assert printed[way].drop("score").equals(printed["flags"].drop("score"))


@pytest.mark.parametrize("n_users", [65, 129, 193, 257])
def test_one_user_more_than_whole_tiles_gets_a_full_list(n_users: int, tmp_path: Path) -> None:
    """Ranking takes 64 users at a time: a single user in the last call has as many candidates as the others."""
    rng = np.random.default_rng(3)
    rows = [(f"u{user:03}", f"p{item:03}") for user in range(n_users) for item in rng.permutation(400)[:10]]
    pl.DataFrame(rows, schema=["user", "item"], orient="row").write_csv(tmp_path / "log.csv")
    settings = FEW_EPOCHS | {"epochs": 1, "dim": 4, "validation_fraction": 0.2, "select_by": "recall@5"}
    ltocf.train(tmp_path / "log.csv", tmp_path / "run", **settings)
    trained = ltocf.load(tmp_path / "run")
    assert len(trained.recommend(trained.user_ids.ids, k=5)) == 5 * n_users
