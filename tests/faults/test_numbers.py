"""Data and settings at the edge: correct lists, or an error before a folder is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

import ltocf
from damage import bounded
from ltocf.cli import main
from ltocf.data import load_dataset
from ltocf.serving import TrainedModel
from model_samples import OPTIONS

Record = Callable[[str, dict[str, Any]], None]


LEFT = " [and a folder was made]"


def ordinary() -> sp.coo_array:
    users, items = np.nonzero((np.arange(12)[:, None] * 7 + np.arange(15) * 3) % 4)
    return sp.coo_array((np.ones(len(users)), (users, items)), shape=(12, 15))


def isolated() -> sp.coo_array:
    """Users 3 and 12, items 4 and 15 have no pair."""
    pairs = ordinary().tocsr()
    pairs.resize((13, 16))
    keep_users, keep_items = (np.arange(13) != 3).astype(float), (np.arange(16) != 4).astype(float)
    return sp.coo_array(sp.diags_array(keep_users) @ pairs @ sp.diags_array(keep_items))


def with_a_user_of_everything() -> sp.coo_array:
    pairs = ordinary().tolil()
    pairs[0] = 1.0
    return sp.coo_array(pairs)


SHAPES: dict[str, Callable[[], sp.coo_array]] = {
    "one-user": lambda: sp.coo_array(np.ones((1, 9))),
    "one-item": lambda: sp.coo_array(np.ones((9, 1))),
    "one-pair": lambda: sp.coo_array(np.ones((1, 1))),
    "isolated": isolated,
    "everything": with_a_user_of_everything,
    "large-weights": lambda: sp.coo_array(ordinary() * 1e30 + ordinary() * np.arange(15)),
}
SETTINGS: dict[str, dict[str, list[Any]]] = {
    "told": {
        "l2": [float("inf"), -1.0],
        "learning_rate": [float("inf"), 0.0],
        "popularity": [1e300],
        "temperature": [float("inf")],
        "n_negatives": [10**12, 0],
        "dim": [10**12, 0],
        "n_layers": [2**31, -1],
        "horizon": [0.0, float("inf")],
        "n_times": [-1, 10**9],
        "seed": [-1, 2**64],
        "max_gigabytes": [float("nan")],
    },
    "right": {"dim": [1], "horizon": [1e-9, 1e3], "n_times": [0, 50], "learning_rate": [1e6], "popularity": [1e30]},
}
"""Values that are refused before anything is written, and values that train unless training diverges."""


def check_lists(trained: TrainedModel, pairs: sp.coo_array) -> None:
    """Users with a history get all other items, best first, with finite scores; users without one an error."""
    touched = pairs.tocsr().astype(bool)
    n_items = pairs.shape[1]
    for user in range(pairs.shape[0]):
        seen = set(touched[[user]].indices.tolist())
        if not seen:
            with pytest.raises(ValueError, match="no history in training"):
                trained.recommend(user, n_items)
            continue
        found = trained.recommend(user, n_items)
        assert set(found["item"].to_list()) == set(range(n_items)) - seen
        assert np.isfinite(found["score"].to_numpy()).all()
        assert found["score"].is_sorted(descending=True)


def trained_on(pairs: sp.coo_array, folder: Path, name: str, **settings: Any) -> str:
    """Train and check the lists; the message of the error, or an empty text."""
    options = OPTIONS[name] | {"epochs": 1, "show_progress": False, "model": name, **settings}
    try:
        with bounded(1500):
            trained = ltocf.fit(pairs, folder, **options)
    except FloatingPointError as error:
        return "diverged" if "diverged" in str(error) else str(error)
    except (ValueError, MemoryError) as error:
        return f"{error}{LEFT if folder.exists() else ''}"
    check_lists(trained, pairs)
    return ""


@pytest.mark.parametrize("place", range(len(OPTIONS)), ids=list(OPTIONS))
def test_data_at_the_edge_give_correct_lists_or_an_error(
    place: int, full: bool, record: Record, tmp_path: Path
) -> None:
    name, shapes = list(OPTIONS)[place], list(SHAPES)
    tried = shapes if full else [shapes[place % len(shapes)]]
    outcomes = {shape: trained_on(SHAPES[shape](), tmp_path / shape, name) for shape in tried}
    told = {shape: message for shape, message in outcomes.items() if message}
    assert not [shape for shape, message in told.items() if LEFT in message]
    assert set(told) <= {"one-pair", "one-item", "large-weights", "one-user"}, told
    record(f"numbers-{name}", {"shapes": len(tried), "told": len(told), "right": len(tried) - len(told)})


def names_with(option: str) -> list[str]:
    """The models that have this option; LT-OCF for a setting of training or of the run."""
    return [name for name, model in ltocf.MODELS.items() if option in model.options()] or ["ltocf"]


@pytest.mark.parametrize("option", SETTINGS["told"])
def test_an_impossible_setting_is_refused_by_name(option: str, full: bool, tmp_path: Path) -> None:
    for name in names_with(option)[: None if full else 2]:
        for value in SETTINGS["told"][option]:
            said = trained_on(ordinary(), tmp_path / "run", name, **{option: value})
            assert f"`{option}`" in said, (name, value, said)
            assert LEFT not in said


@pytest.mark.parametrize("option", SETTINGS["right"])
def test_settings_at_the_edge_give_correct_lists_or_an_error(
    option: str, full: bool, record: Record, tmp_path: Path
) -> None:
    counts = {"right": 0, "diverged": 0, "told": 0}
    for name in names_with(option)[: None if full else 1]:
        for place, value in enumerate(SETTINGS["right"][option]):
            said = trained_on(ordinary(), tmp_path / f"{name}-{place}", name, **{option: value})
            assert LEFT not in said
            counts["told" if said not in ("", "diverged") else said or "right"] += 1
    assert counts["right"] + counts["diverged"] + counts["told"] > 0
    assert counts["told"] == 0 or option in ("dim", "horizon", "n_times"), "these have limits of their own"
    record(f"numbers-of-{option.replace('_', '-')}", counts)


def test_repeated_rows_count_once(full: bool, tmp_path: Path) -> None:
    """A million copies of a few pairs are read as these pairs."""
    pairs = [(f"u{user}", item) for user in range(12) for item in range(15) if (user * 7 + item * 3) % 4]
    copies = (1_000_000 if full else 20_000) // len(pairs)
    frame = pl.DataFrame(pairs * copies, schema=["user", "item"], orient="row")
    (once, again) = (load_dataset(source) for source in (pairs, frame))
    assert once.interactions.keys.tolist() == again.interactions.keys.tolist()
    assert again.report is not None
    assert again.report.n_merged == len(frame) - len(pairs)


def test_an_empty_test_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("0 1 2 3\n1 1 2\n2 3 0\n")
    for content, said in (("", "at least one"), ("0 1\n", "must hold a pair that is not in train")):
        (tmp_path / "test.txt").write_text(content)
        with pytest.raises(ValueError, match=said):
            ltocf.train(tmp_path, tmp_path / "run", model="mf", dim=2, show_progress=False)
        assert not (tmp_path / "run").exists()


def test_users_who_have_seen_everything_are_counted_in_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ltocf.fit(with_a_user_of_everything(), tmp_path / "run", model="mf", dim=2, epochs=1, show_progress=False)
    main(["recommend", str(tmp_path / "run"), "--user", "0", "--user", "1", "--format", "csv"])
    told = capsys.readouterr()
    assert "1 of 2 users have no list" in told.err
    assert all(line.startswith("1,") for line in told.out.splitlines()[1:])
    main(["recommend", str(tmp_path / "run"), "--user", "1", "--format", "csv"])
    assert "no list" not in capsys.readouterr().err
