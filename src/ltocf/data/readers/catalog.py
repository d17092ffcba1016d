"""The datasets known by name, with the counts and checksums that make a name mean one thing."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import polars as pl

from ltocf.data.dataset import Dataset
from ltocf.data.readers.download import download, verify_checksum
from ltocf.data.readers.frame import dataset_from_frame
from ltocf.data.readers.text import read_text_folder
from ltocf.spelling import not_one_of

_SHIPPED = Path(__file__).parents[1] / "shipped"
_LIGHTGCN_COMMIT = "947ca2b3b1d2d3545b114145710cb06c4e57b3d2"
"""The commit of LightGCN-PyTorch whose files have the checksums below, whatever becomes of its branch."""
_LIGHTGCN_DATA = f"https://raw.githubusercontent.com/gusye1234/LightGCN-PyTorch/{_LIGHTGCN_COMMIT}/data"


def read_films(folder: Path, *, name: str, min_rating: float) -> Dataset:
    """The ratings of at least ``min_rating`` in ``name.parquet`` as interactions, and titles with their year."""
    year = pl.format("({})", "year")
    has_year = pl.col("title").str.contains(year, literal=True)
    title = pl.when(year.is_null() | has_year).then("title").otherwise(pl.format("{} {}", "title", year))
    frame = pl.read_parquet(folder / f"{name}.parquet").with_columns(title=title)
    return dataset_from_frame(frame, name, title_column="title", min_rating=min_rating)


@dataclass(frozen=True)
class CatalogEntry:
    """A named dataset.

    Args:
        n_users: number of users.
        n_items: number of items.
        n_train: number of training pairs, or of all pairs if there is no test set.
        n_test: number of test pairs.
        url: the folder the files are downloaded from; None if they come with the package.
        files: checksum of each file as ``algorithm:digest``.
        read: makes a `Dataset` from the folder.
        lines_in_time: whether the items of a line are in order of time, and those of the test set after them.
    """

    n_users: int
    n_items: int
    n_train: int
    n_test: int = 0
    url: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    read: Callable[[Path], Dataset] = read_text_folder
    lines_in_time: bool = False


CATALOG = {
    "gowalla": CatalogEntry(
        n_users=29_858,
        n_items=40_981,
        n_train=810_128,
        n_test=217_242,
        url=f"{_LIGHTGCN_DATA}/gowalla",
        files={
            "train.txt": "sha256:7244696fdeb23911319cf7b689f2e15a3c4c92549c873a5677b44e3f13cc3e62",
            "test.txt": "sha256:099a2a73924e4b754dc6efd730d764f492321b53c38eb93298850c83acf57be3",
        },
        lines_in_time=True,
    ),
    "yelp2018": CatalogEntry(
        n_users=31_668,
        n_items=38_048,
        n_train=1_237_259,
        n_test=324_147,
        url=f"{_LIGHTGCN_DATA}/yelp2018",
        files={
            "train.txt": "sha256:1e9568725a9e833d0ac3bae01c94cd95367f73b3bb6104fd26b5f65ea5054093",
            "test.txt": "sha256:9cd9b37926cd1447a06625ffa7914527573fb097c10cb0bbdb1d1b8ded3742fe",
        },
        lines_in_time=True,
    ),
    "amazon-book": CatalogEntry(
        n_users=52_643,
        n_items=91_599,
        n_train=2_380_730,
        n_test=603_378,
        url=f"{_LIGHTGCN_DATA}/amazon-book",
        # RecZoo's and DHG's lists of data sets both have these; RecZoo's checksums of Gowalla match the files above.
        files={
            "train.txt": "md5:c916ecac04ca72300a016228258b41ed",
            "test.txt": "md5:30f8ccfea18d25007ba9fb9aba4e174d",
        },
        lines_in_time=True,
    ),
    "movielens-small": CatalogEntry(
        n_users=671,
        n_items=6_993,
        n_train=62_106,
        files={"movielens-small.parquet": "sha256:cbb88dfa0280810ed301267340043c217c0b6abd98d25df3d54afc7ac915e92e"},
        read=partial(read_films, name="movielens-small", min_rating=3.5),
    ),
}
"""The data sets that `load_dataset` and `train` know by name, with the sizes that they must have."""


def find(name: str, data_dir: str | Path | None = None) -> Path:
    """The folder of a named dataset; missing files are downloaded, and all are verified by checksum.

    Sets are subfolders of ``data_dir``, else of ``$LTOCF_DATA``, else of ``~/.cache/ltocf``; those that come with the
    package are found in it.

    Raises:
        ValueError: a name that is not in `CATALOG`, or a file that is not the one expected.
        ConnectionError: a file is missing and could not be downloaded.

    Example:
        >>> [path.suffix for path in find("movielens-small").glob("movielens-*")]
        ['.parquet']
    """
    if name not in CATALOG:
        raise ValueError(not_one_of("the name of a dataset", name, CATALOG, "`ltocf data list` lists them"))
    entry = CATALOG[name]
    root = Path(data_dir or os.environ.get("LTOCF_DATA") or "~/.cache/ltocf").expanduser()
    folder = _SHIPPED if entry.url is None else root / name
    for file_name, checksum in entry.files.items():
        path = folder / file_name
        if not path.exists() and entry.url is not None:
            download(f"{entry.url}/{file_name}", path, checksum)
        else:
            try:
                verify_checksum(path, checksum)
            except ValueError as error:
                remedy = "reinstall the package" if entry.url is None else "remove it to download it again"
                raise ValueError(f"not the file of {name!r}: {error}; {remedy}") from error
    return folder


def with_known_order(dataset: Dataset, folder: Path) -> Dataset:
    """The dataset with ``lines_in_time`` if the folder's train.txt is that of a named set in order."""
    for entry in CATALOG.values():
        checksum = entry.files.get("train.txt") if entry.lines_in_time else None
        if checksum is not None:
            try:
                verify_checksum(folder / "train.txt", checksum)
            except ValueError:
                continue
            return replace(dataset, lines_in_time=True)
    return dataset


def load_named(name: str, data_dir: str | Path | None = None) -> Dataset:
    """Read a named dataset and check its counts.

    ``movielens-small`` has the ratings of at least 3.5 stars as interactions, and titles with their year.

    Raises:
        ValueError, ConnectionError: as `find`, or counts other than the published ones.

    Example:
        >>> dataset = load_named("movielens-small")
        >>> dataset.titles[dataset.item_ids.encode([1])[0]]
        'Toy Story (1995)'
    """
    folder, entry = find(name, data_dir), CATALOG[name]
    dataset = entry.read(folder)
    n_test = 0 if dataset.test is None else len(dataset.test)
    found = (dataset.interactions.n_users, dataset.interactions.n_items, len(dataset.interactions), n_test)
    expected = (entry.n_users, entry.n_items, entry.n_train, entry.n_test)
    if found != expected:
        raise ValueError(f"{name} must have (users, items, train, test) = {expected}, got {found} in {folder}")
    return replace(dataset, lines_in_time=entry.lines_in_time)
