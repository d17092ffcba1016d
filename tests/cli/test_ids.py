"""Ids from a shell: repeated flags, files of every format, standard input."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

from ltocf.cli.ids import JOINT, ids_in, ids_of, joined, split


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["recommend", "out"], ["recommend", "out"]),
        (["recommend", "out", "--user", "a"], ["recommend", "out", "--user=a"]),
        (
            ["recommend", "--user", "-3", "out", "--user=4", "--k", "2"],
            ["recommend", "out", "--k", "2", "--user=-3\0004"],
        ),
        (["recommend", "--user=a", "--", "--user", "b"], ["recommend", "--user=a", "--", "--user", "b"]),
        (["recommend", "out", "--user"], ["recommend", "out", "--user"]),
        (["recommend", "out", "--user", ""], ["recommend", "out", "--user="]),
        (["recommend", "out", "--users", "f"], ["recommend", "out", "--users", "f"]),
    ],
    ids=str,
)
def test_repeated_flags_become_one(arguments: list[str], expected: list[str]) -> None:
    assert joined(arguments, "--user") == expected


def test_joined_ids_are_split_again() -> None:
    ids = [f"u {number}, x" for number in range(50)]
    (flag,) = joined([part for id in ids for part in ("--user", id)], "--user")
    assert split([flag.removeprefix("--user=")]) == ids
    assert JOINT == "\0"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("users.txt", "a\n b\r\n\n007\na\n", ["a", "b", "007"]),
        ("users.txt", "\ufeffa\nb", ["a", "b"]),
        ("users", "user_id\na\nb\n", ["a", "b"]),
        ("users.csv", "when,User ID\n1,a\n2,b\n3,a\n4,\n", ["a", "b"]),
        ("users.csv", 'User;n\n"a;b";1\n', ["a;b"]),
        ("users.tsv", "uid\tn\nx y\t1\n", ["x y"]),
        ("one.csv", "u0\nu1\n", ["u0", "u1"]),
    ],
    ids=str,
)
def test_ids_are_read_from_text_files_and_tables(name: str, content: str, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert ids_in(str(tmp_path / name), "user") == expected


def test_parquet_keeps_the_type_of_the_ids(tmp_path: Path) -> None:
    path = tmp_path / "users.parquet"
    pl.DataFrame({"item": [1, 2, 3], "user_id": [7, 7, None]}).write_parquet(path)
    assert ids_in(str(path), "user") == [7]
    assert ids_in(str(path), "item") == [1, 2, 3]
    pl.DataFrame({"whatever": ["a"]}).write_parquet(path)
    assert ids_in(str(path), "item") == ["a"]


def test_ids_come_from_commas_a_file_or_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ids_of("a,b,,-3", "item") == ["a", "b", "-3"]
    (tmp_path / "stock").write_text("x\ny\n")
    assert ids_of(str(tmp_path / "stock"), "item") == ["x", "y"]
    monkeypatch.setattr("sys.stdin", io.StringIO("u1\nu2\n"))
    assert ids_of("-", "user") == ["u1", "u2"]


def test_files_without_ids_are_refused(tmp_path: Path) -> None:
    table, empty = tmp_path / "table.csv", tmp_path / "empty"
    table.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"table\.csv must have a column of user ids such as `user_id`, got a, b"):
        ids_in(str(table), "user")
    empty.write_text("\n\n")
    with pytest.raises(ValueError, match=r"empty must hold item ids, got none"):
        ids_in(str(empty), "item")
    with pytest.raises(FileNotFoundError, match="missing"):
        ids_in(str(tmp_path / "missing"), "user")
