"""The text format: what is read, what is refused, and four real datasets."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltocf.data import Interactions, read_text_folder


def write(folder: Path, train: str | bytes, test: str | bytes | None = None) -> Path:
    for name, content in (("train.txt", train), ("test.txt", test)):
        if content is not None:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def pairs(interactions: Interactions) -> list[tuple[int, int]]:
    return list(zip(interactions.users.tolist(), interactions.items.tolist(), strict=True))


def test_two_files(tmp_path: Path) -> None:
    dataset = read_text_folder(write(tmp_path, "0 3 1\n1 0\n", "0 0\n2 4\n"))
    assert pairs(dataset.interactions) == [(0, 1), (0, 3), (1, 0)]
    assert dataset.test is not None
    assert pairs(dataset.test) == [(0, 0), (2, 4)]
    assert (dataset.interactions.n_users, dataset.interactions.n_items) == (3, 5)
    assert dataset.user_ids.decode([2]) == [2]
    assert dataset.name == tmp_path.name


def test_without_test_file(tmp_path: Path) -> None:
    assert read_text_folder(write(tmp_path, "0 0\n")).test is None


@pytest.mark.parametrize(
    "text",
    ["0 1 2\n1 0", "0 1 2\r\n1 0\r\n", "0\t1  2 \n\n 1 0\n\n", "\ufeff0 1 2\n1 0\n", "1 0\n0 2\n0 1 1\n"],
    ids=["no last newline", "crlf", "blanks", "byte order mark", "two lines, any order, twice"],
)
def test_harmless_variants(tmp_path: Path, text: str) -> None:
    assert pairs(read_text_folder(write(tmp_path, text)).interactions) == [(0, 1), (0, 2), (1, 0)]


def test_users_without_items_are_users(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    dataset = read_text_folder(write(tmp_path, "0\n1 0\n5\n"))
    assert (dataset.interactions.n_users, pairs(dataset.interactions)) == (6, [(1, 0)])
    assert "2 lines have a user and no items" in caplog.text


def test_pairs_in_both_files_leave_the_test_part(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = read_text_folder(write(tmp_path, "0 0 1\n", "0 1 2\n"))
    assert dataset.test is not None
    assert pairs(dataset.test) == [(0, 2)]
    assert "1 of 2 pairs are also in train.txt" in caplog.text


@pytest.mark.parametrize(
    ("content", "line", "token"),
    [
        ("0 1\n1 -2\n", 2, "'-2'"),
        ("0 1\n1 2.0 3\n", 2, "'2.0'"),
        ("user item\n0 1\n", 1, "'user'"),
        ("0 1 2a3 4\n", 1, "'2a3'"),
        ("0 1\n\n2,3\n", 3, "'2,3'"),
        ("0 123456789\n", 1, "'123456789'"),
        (b"0 1\n1 2\xff3\n", 2, r"'2\\xff3'"),
        ("0 1 ½\n", 1, "'½'"),
    ],
)
def test_a_token_that_is_no_id(tmp_path: Path, content: str | bytes, line: int, token: str) -> None:
    with pytest.raises(ValueError, match=r"ids must be whole numbers from 0") as caught:
        read_text_folder(write(tmp_path, "0 0\n", content))
    assert f"test.txt, line {line}:" in str(caught.value)
    assert str(caught.value).endswith(f"got {token}")


@pytest.mark.parametrize("content", ["", "\n\n", "0\n1\n"])
def test_a_file_without_pairs(tmp_path: Path, content: str) -> None:
    with pytest.raises(ValueError, match=r"train.txt must hold at least one `user item` pair"):
        read_text_folder(write(tmp_path, content))


def test_a_test_part_that_was_all_seen(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"test.txt must hold a pair that is not in train.txt, got 1"):
        read_text_folder(write(tmp_path, "0 0\n", "0 0\n"))


def test_missing_files(tmp_path: Path) -> None:
    (tmp_path / "training.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"must hold train.txt .* got \['training.txt'\]"):
        read_text_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read_text_folder(tmp_path / "nowhere")


@given(st.dictionaries(st.integers(0, 30), st.lists(st.integers(0, 1000), min_size=1), min_size=1))
def test_written_pairs_are_read(tmp_path_factory: pytest.TempPathFactory, histories: dict[int, list[int]]) -> None:
    text = "".join(f"{user} {' '.join(map(str, items))}\n" for user, items in histories.items())
    log = read_text_folder(write(tmp_path_factory.mktemp("text"), text)).interactions
    expected = {(user, item) for user, items in histories.items() for item in items}
    assert pairs(log) == sorted(expected)
    assert (log.n_users, log.n_items) == (max(histories) + 1, max(item for _, item in expected) + 1)


@pytest.mark.parametrize(
    ("name", "n_users", "n_items", "n_train", "n_test"),
    [
        ("gowalla", 29_858, 40_981, 810_128, 217_242),
        ("yelp2018", 31_668, 38_048, 1_237_259, 324_147),
        ("amazon-beauty", 7_068, 3_570, 60_818, 18_688),
        ("irb-amazon2014-health", 1_974, 1_200, 37_784, 10_405),
    ],
)
def test_real_counts(real_data: Path, name: str, n_users: int, n_items: int, n_train: int, n_test: int) -> None:
    dataset = read_text_folder(real_data / name)
    assert dataset.test is not None
    found = (dataset.interactions.n_users, dataset.interactions.n_items)
    assert (*found, len(dataset.interactions), len(dataset.test)) == (n_users, n_items, n_train, n_test)
