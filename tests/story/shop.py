"""A shop generated from a fixed seed: its exported events, its item table, and what was planted in both."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

N_EVENTS, N_USERS, N_ITEMS, N_CATEGORIES = 200_000, 4_000, 600, 6
N_ONLY_IN_TABLE, N_WITHOUT_USER, N_BLANKS = 20, 137, 400
KINDS = {"view": 0.7, "cart": 0.15, "purchase": 0.1, "return": 0.05}
FAITHFUL = 0.85
"""Share of a user's events with items of the category that they like; the others are with any item."""
START, DAYS = datetime(2024, 5, 1, tzinfo=UTC), 60
HEADER = "event_time,event_type,user_id,sku,session"
ITEM_COLUMNS = "sku,name,category,price,in_stock"


@dataclass(frozen=True)
class Shop:
    """The files of a shop, and what is true of them.

    Args:
        events: the file of the log, two exports one after the other.
        items: the file of the item table.
        tomorrow: the file of the next day's events, with new users and items.
        truth: a row for each event: user, sku, kind, second, line in the file, and its planted errors: nameless, blank.
        catalogue: the item table.
        later: the file of the next day's item table.
        sold_out: the items that are out of stock in the next day's table only.
        taste: the category that each user likes.
    """

    events: Path
    items: Path
    tomorrow: Path
    truth: pl.DataFrame
    catalogue: pl.DataFrame
    later: Path
    sold_out: list[str]
    taste: pl.DataFrame

    @property
    def positives(self) -> pl.DataFrame:
        """The events by which a user likes an item."""
        return self.truth.filter(pl.col("kind") != "return", ~pl.col("nameless"))

    @property
    def tomorrows_pairs(self) -> pl.DataFrame:
        """Columns user and sku of tomorrow's events."""
        return pl.read_csv(self.tomorrow, infer_schema=False).select(user="user_id", sku="sku")


def open_shop(folder: Path) -> Shop:
    """Write the files of the shop into a folder."""
    random = np.random.default_rng(18)
    catalogue = _catalogue(random)
    taste = random.integers(0, N_CATEGORIES, N_USERS)
    events = _events(random, taste, catalogue)
    lines = _lines(random, events)
    shop = Shop(
        folder / "events.csv",
        folder / "items.csv",
        folder / "tomorrow.csv",
        events,
        catalogue,
        folder / "items-tomorrow.csv",
        catalogue.filter("in_stock")["sku"].to_list()[:60:2],
        pl.DataFrame({"user": [_user(u) for u in range(N_USERS)], "category": [_category(c) for c in taste]}),
    )
    half, known = N_EVENTS // 2, _user(int(np.flatnonzero(taste == 0)[0]))
    exports = [HEADER, *lines[:half], HEADER, *lines[half:], ""]
    shop.events.write_text("\n".join(exports), encoding="utf-8")
    catalogue.write_csv(shop.items)
    stock = pl.col("in_stock") & ~pl.col("sku").is_in(shop.sold_out)
    catalogue.with_columns(in_stock=stock).write_csv(shop.later)
    shop.tomorrow.write_text("\n".join([HEADER, *_tomorrow(catalogue, known), ""]), encoding="utf-8")
    return shop


def _user(number: int) -> str:
    return f"c-{number:05d}"


def _category(number: int) -> str:
    return ("tea", "cups", "books", "lamps", "plants", "games")[number]


def _catalogue(random: np.random.Generator) -> pl.DataFrame:
    """The items, the last of them without events; about every fifth is out of stock."""
    n_items = N_ITEMS + N_ONLY_IN_TABLE
    categories = [_category(item % N_CATEGORIES) for item in range(n_items)]
    return pl.DataFrame(
        {
            "sku": [f"{item:06d}" for item in range(n_items)],
            "name": [f"{category} no. {item}" for item, category in enumerate(categories)],
            "category": categories,
            "price": np.round(random.uniform(2, 90, n_items), 2),
            "in_stock": random.random(n_items) < 0.8,
        }
    )


def _events(random: np.random.Generator, taste: np.ndarray, catalogue: pl.DataFrame) -> pl.DataFrame:
    """Who did what with which item and when, in order of time, and which rows get errors."""
    users = np.concatenate([np.arange(N_USERS), random.integers(0, N_USERS, N_EVENTS - N_USERS)])
    random.shuffle(users)
    popularity = 1 / (np.arange(N_ITEMS // N_CATEGORIES) + 5)
    places = random.choice(len(popularity), N_EVENTS, p=popularity / popularity.sum())
    faithful = random.random(N_EVENTS) < FAITHFUL
    categories = np.where(faithful, taste[users], random.integers(0, N_CATEGORIES, N_EVENTS))
    seconds = np.sort(random.integers(0, DAYS * 86_400, N_EVENTS)) + int(START.timestamp())
    number, erroneous = np.arange(N_EVENTS), random.choice(N_EVENTS, N_WITHOUT_USER + N_BLANKS, replace=False)
    return pl.DataFrame(
        {
            "user": [_user(user) for user in users],
            "sku": catalogue["sku"].gather(places * N_CATEGORIES + categories),
            "kind": random.choice(list(KINDS), N_EVENTS, p=list(KINDS.values())),
            "second": seconds,
            # The header is line 1, and repeated before the second half.
            "line": number + 2 + (number >= N_EVENTS // 2),
            "nameless": np.isin(number, erroneous[:N_WITHOUT_USER]),
            "blank": np.isin(number, erroneous[N_WITHOUT_USER:]),
        }
    )


def _lines(random: np.random.Generator, events: pl.DataFrame) -> list[str]:
    """The events as text: times in three formats, some ids between blanks, some users missing."""
    moment = pl.from_epoch("second")
    time_format = pl.Series("time_format", random.integers(0, 3, N_EVENTS))
    times = (
        pl.when(time_format == 0)
        .then(moment.dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        .when(time_format == 1)
        .then((moment + pl.duration(hours=2)).dt.strftime("%Y-%m-%dT%H:%M:%S+02:00"))
        .otherwise(moment.dt.strftime("%Y-%m-%d %H:%M:%S UTC"))
    )
    named = pl.when("blank").then(pl.format(" {} ", "user")).otherwise("user")
    user = pl.when("nameless").then(pl.lit("")).otherwise(named)
    sku = pl.when("blank").then(pl.format("{} ", "sku")).otherwise("sku")
    session = pl.Series("session", np.arange(N_EVENTS) % 977)
    return events.select(pl.format("{},{},{},{},s{}", times, "kind", user, sku, session)).to_series().to_list()


def _tomorrow(catalogue: pl.DataFrame, known: str) -> list[str]:
    """The next day: a known tea drinker, two new users, and items that only the table had so far."""
    names = catalogue.filter(category="tea")["sku"].to_list()
    sold, fresh = names[:6], [sku for sku in names if int(sku) >= N_ITEMS]
    bought = [("new-tea", sku) for sku in (*sold, fresh[0])] + [(known, fresh[0]), (known, fresh[1])]
    bought += [("new-too", fresh[1]), ("new-too", sold[0])]
    return [f"2024-07-01T0{n % 10}:00:00Z,purchase,{user},{sku},s0" for n, (user, sku) in enumerate(bought)]
