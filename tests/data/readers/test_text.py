"""The text format: what is accepted, what is refused, and the counts of four real datasets."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltocf.data import Interactions, read_table, read_text_folder


def write(folder: Path, train: str | bytes, test: str | bytes | None = None) -> Path:
    for name, content in (("train.txt", train), ("test.txt", test)):
        if content is not None:
            (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def pairs(interactions: Interactions) -> list[tuple[int, int]]:
    return list(zip(interactions.users.tolist(), interactions.items.tolist(), strict=True))


def test_train_and_test_file_are_read(tmp_path: Path) -> None:
    dataset = read_text_folder(write(tmp_path, "0 3 1\n1 0\n", "0 0\n2 4 2\n"))
    assert pairs(dataset.interactions) == [(0, 1), (0, 3), (1, 0)]
    assert dataset.test is not None
    assert pairs(dataset.test) == [(0, 0), (2, 2), (2, 4)]
    assert (dataset.interactions.n_users, dataset.interactions.n_items) == (3, 5)
    assert dataset.user_ids.decode([2]) == [2]
    assert dataset.name == tmp_path.name


def test_the_test_file_is_optional(tmp_path: Path) -> None:
    assert read_text_folder(write(tmp_path, "0 0\n")).test is None


@pytest.mark.parametrize(
    "text",
    [
        "0 1 2\n1 0",
        "0 1 2\r\n1 0\r\n",
        "0 1 2\r1 0\r",
        "0\t1  2 \n\n 1 0\n\n",
        "\ufeff0 1 2\n1 0\n",
        "1 0\n0 2\n0 1 1\n",
    ],
    ids=["no last newline", "crlf", "cr", "blanks", "byte order mark", "two lines, any order, twice"],
)
def test_variants_of_newlines_blanks_and_order_give_the_same_pairs(tmp_path: Path, text: str) -> None:
    assert pairs(read_text_folder(write(tmp_path, text)).interactions) == [(0, 1), (0, 2), (1, 0)]


def test_a_line_without_items_is_a_user_without_interactions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    dataset = read_text_folder(write(tmp_path, "0\n1 0\n2\n"))
    assert (dataset.interactions.n_users, pairs(dataset.interactions)) == (3, [(1, 0)])
    assert "2 lines have a user and no items" in caplog.text


def test_pairs_in_both_files_are_removed_from_the_test_set(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
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
def test_a_token_that_is_no_id_is_refused_with_its_line(
    tmp_path: Path, content: str | bytes, line: int, token: str
) -> None:
    with pytest.raises(ValueError, match=r"ids must be whole numbers from 0") as caught:
        read_text_folder(write(tmp_path, "0 0\n", content))
    assert f"test.txt, line {line}:" in str(caught.value)
    assert str(caught.value).endswith(f"got {token}")


@pytest.mark.parametrize("content", ["", "\n\n", "0\n1\n"])
def test_a_file_without_pairs_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ValueError, match=r"train.txt must hold at least one `user item` pair"):
        read_text_folder(write(tmp_path, content))


def test_a_test_set_of_training_pairs_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"test.txt must hold a pair that is not in train.txt, got 1"):
        read_text_folder(write(tmp_path, "0 0\n", "0 0\n"))


def test_missing_files_are_errors(tmp_path: Path) -> None:
    (tmp_path / "training.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"must hold train.txt .* got \['training.txt'\]"):
        read_text_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read_text_folder(tmp_path / "nowhere")


@given(st.dictionaries(st.integers(0, 30), st.lists(st.integers(0, 1000), min_size=1), min_size=1))
def test_written_pairs_are_read(tmp_path_factory: pytest.TempPathFactory, histories: dict[int, list[int]]) -> None:
    text = "".join(f"{user} {' '.join(map(str, items))}\n" for user, items in histories.items())
    dataset = read_text_folder(write(tmp_path_factory.mktemp("text"), text))
    log, expected = dataset.interactions, {(user, item) for user, items in histories.items() for item in items}
    found = zip(dataset.user_ids.decode(log.users), dataset.item_ids.decode(log.items), strict=True)
    assert list(found) == sorted(expected)
    assert dataset.names.sizes == (len(histories), len({item for _, item in expected}))


@pytest.mark.parametrize(
    ("train", "test", "warnings"),
    [
        ("5 7 9\n6 8\n", "5 8\n", ["5 ids of users up to 6 occur nowhere, the first is 0", "7 ids of items up to 9"]),
        ("0 0 1\n1 1\n", "1 4\n", ["2 ids of items up to 4 occur nowhere, the first is 2"]),
        ("0 0 1\n1 1\n", "3 0\n", ["1 ids of users up to 3 occur nowhere, the first is 2"]),
        ("1 1 2\n2 3\n", None, ["1 ids of users up to 2", "1 ids of items up to 3 occur nowhere, the first is 0"]),
        ("0 0 1\n1 2\n", "1 3\n", []),
    ],
    ids=["both files", "items of test", "users of test", "from one", "none"],
)
def test_ids_that_occur_nowhere_are_unknown(
    tmp_path: Path, train: str, test: str | None, warnings: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    dataset = read_text_folder(write(tmp_path, train, test))
    lines = [list(map(int, line.split())) for line in (train + (test or "")).splitlines()]
    assert dataset.user_ids.ids.to_list() == sorted({line[0] for line in lines})
    assert dataset.item_ids.ids.to_list() == sorted({item for line in lines for item in line[1:]})
    assert len(caplog.messages) == len(warnings)
    assert all(part in message for part, message in zip(warnings, caplog.messages, strict=True))


def test_gaps_in_the_ids_are_allowed_but_not_ids_far_beyond_the_others(tmp_path: Path) -> None:
    train = "".join(f"{500 + user} {300 + user % 7} {310 + user % 5}\n" for user in range(100))
    dataset = read_text_folder(write(tmp_path, train, "500 330\n"))
    assert dataset.user_ids.encode([3, 499, 500, 599]).tolist() == [-1, -1, 0, 99]
    assert dataset.names.sizes == (100, 13)
    with pytest.raises(ValueError, match=r"train\.txt, line 101: ids of items must be below 1,000 times .* 99999999"):
        read_text_folder(write(tmp_path, f"{train}500 99999999\n", "500 330\n"))
    with pytest.raises(
        ValueError, match=r"test\.txt, line 2: ids of users .* got 99999999 among 101 users; .*table file"
    ):
        read_text_folder(write(tmp_path, train, "500 330\n99999999 330\n"))


TRIPLES = [(user, item, 1 + (user + item) % 5) for user in range(10) for item in range(user, 40, 3)]


@pytest.mark.parametrize(
    "form",
    ["{0} {1} {2}", "{0} {1} {2}.5", "{0}\t{1}\t1", "{0} {1} {2} 97830{0}{1:03}", "{0} {1} {2}e-1", "{0} {1} -1"],
)
def test_a_table_is_not_taken_for_lists_of_items(tmp_path: Path, form: str) -> None:
    text = "".join(form.format(*triple) + "\n" for triple in TRIPLES)
    with pytest.raises(
        ValueError, match=r"train\.txt must have the items of one user on each line.*load_dataset\("
    ) as caught:
        read_text_folder(write(tmp_path, text, text))
    names = ["user", "item", "rating", "timestamp"][: len(form.split())]
    assert f"columns={names}" in str(caught.value)
    assert len(read_table(tmp_path / "train.txt", columns=names).interactions) == len(TRIPLES)


def test_lists_of_two_items_are_not_taken_for_a_table(tmp_path: Path) -> None:
    text = "".join(f"{user} {user % 3} {3 + user % 2}\n" for user in range(50))
    assert len(read_text_folder(write(tmp_path, text)).interactions) == 100
    assert len(read_text_folder(write(tmp_path, f"{text}7 0 2\n")).interactions) == 102


@pytest.mark.parametrize(
    ("name", "n_users", "n_items", "n_train", "n_test"),
    [
        ("gowalla", 29_858, 40_981, 810_128, 217_242),
        ("yelp2018", 31_668, 38_048, 1_237_259, 324_147),
        ("amazon-beauty", 7_068, 3_570, 60_818, 18_688),
        ("irb-amazon2014-health", 1_974, 1_200, 37_784, 10_405),
    ],
)
def test_real_datasets_have_their_published_counts(
    real_data: Path, name: str, n_users: int, n_items: int, n_train: int, n_test: int
) -> None:
    dataset = read_text_folder(real_data / name)
    assert dataset.test is not None
    found = (dataset.interactions.n_users, dataset.interactions.n_items)
    assert (*found, len(dataset.interactions), len(dataset.test)) == (n_users, n_items, n_train, n_test)
