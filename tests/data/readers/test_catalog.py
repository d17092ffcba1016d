"""Named datasets are found, downloaded (here from a local server) and verified; `load_dataset` takes every source."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ltocf.data import CATALOG, CatalogEntry, Dataset, find, load_dataset, load_named, read_text_folder

TRAIN, TEST = b"0 0 1\n1 1\n", b"1 0\n"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the files of the class; under `/cut` it announces more bytes than it sends."""

    files: dict[str, bytes]
    requested: list[str]

    def do_GET(self) -> None:
        """Answer one request."""
        self.requested.append(self.path)
        body = self.files.get(self.path.removeprefix("/cut"))
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + 5 * self.path.startswith("/cut")))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Handler.files, Handler.requested = {"/tiny/train.txt": TRAIN, "/tiny/test.txt": TEST}, []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join()


@pytest.fixture
def tiny(server: str, monkeypatch: pytest.MonkeyPatch) -> CatalogEntry:
    """A named dataset whose files are on the local server."""
    files = {
        "train.txt": f"sha256:{hashlib.sha256(TRAIN).hexdigest()}",
        "test.txt": f"md5:{hashlib.md5(TEST).hexdigest()}",
    }
    entry = CatalogEntry(2, 2, 3, 1, url=f"{server}/tiny", files=files)
    monkeypatch.setitem(CATALOG, "tiny", entry)
    return entry


def paths_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.usefixtures("tiny")
def test_a_named_set_is_downloaded_once_and_read(tmp_path: Path) -> None:
    dataset = load_named("tiny", tmp_path)
    assert (len(dataset.interactions), dataset.name) == (3, "tiny")
    assert paths_in(tmp_path) == ["tiny", "tiny/test.txt", "tiny/train.txt"]
    assert (tmp_path / "tiny" / "train.txt").read_bytes() == TRAIN
    assert find("tiny", tmp_path) == tmp_path / "tiny"
    assert Handler.requested == ["/tiny/train.txt", "/tiny/test.txt"]


@pytest.mark.usefixtures("tiny")
def test_the_folder_of_named_sets_is_the_argument_the_environment_or_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTOCF_DATA", str(tmp_path / "environment"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert find("tiny") == tmp_path / "environment" / "tiny"
    assert find("tiny", tmp_path / "argument") == tmp_path / "argument" / "tiny"
    monkeypatch.delenv("LTOCF_DATA")
    assert find("tiny") == tmp_path / "home" / ".cache" / "ltocf" / "tiny"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"url": "{server}/missing"}, "HTTP Error 404"),
        ({"url": "{server}/cut/tiny"}, "got 10 of 15 bytes"),
        ({"files": {"train.txt": "md5:" + "0" * 32}}, f"md5 {'0' * 32}, got {hashlib.md5(TRAIN).hexdigest()}"),
        ({"url": "http://127.0.0.1:9"}, "refused"),
    ],
    ids=["missing", "truncated", "another file", "no server"],
)
def test_a_failed_download_leaves_nothing(
    tmp_path: Path,
    tiny: CatalogEntry,
    server: str,
    change: dict[str, str],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if "url" in change:
        change = {"url": change["url"].format(server=server)}
    entry = replace(tiny, **change)  # type: ignore[arg-type]
    monkeypatch.setitem(CATALOG, "tiny", entry)
    with pytest.raises(ConnectionError, match="could not download") as caught:
        find("tiny", tmp_path)
    assert reason in str(caught.value)
    assert f"{entry.url}/train.txt" in str(caught.value)
    assert f"put that file at {tmp_path / 'tiny' / 'train.txt'} by hand" in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("tiny")
def test_a_local_file_with_a_wrong_checksum_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "tiny" / "train.txt"
    path.parent.mkdir()
    path.write_bytes(b"0 0\n")
    with pytest.raises(
        ValueError, match=r"not the file of 'tiny'.* must have the sha256 .* got .* remove it"
    ) as caught:
        find("tiny", tmp_path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == b"0 0\n"


def test_an_entry_may_have_its_own_reader(tmp_path: Path, tiny: CatalogEntry, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(folder: Path) -> Dataset:
        dataset = read_text_folder(folder)
        return replace(dataset, names=replace(dataset.names, titles=("Ran", "Heat")))

    monkeypatch.setitem(CATALOG, "tiny", replace(tiny, read=read))
    assert load_named("tiny", tmp_path).titles == ("Ran", "Heat")


def test_counts_that_differ_from_the_entry_are_refused(
    tmp_path: Path, tiny: CatalogEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CATALOG, "tiny", replace(tiny, n_test=2))
    with pytest.raises(ValueError, match=r"= \(2, 2, 3, 2\), got \(2, 2, 3, 1\) in"):
        load_named("tiny", tmp_path)


def test_downloads_are_pinned_to_a_commit_and_every_file_has_a_checksum() -> None:
    for entry in CATALOG.values():
        assert entry.url is None or re.fullmatch(r"https://raw\.\S+/[0-9a-f]{40}/data/[\w-]+", entry.url)
        assert entry.files
        for checksum in entry.files.values():
            assert re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", checksum)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be one of gowalla, yelp2018, .*, got 'netflix'"):
        find("netflix")


@pytest.mark.parametrize("name", [name for name, entry in CATALOG.items() if entry.url is not None])
def test_downloaded_sets_have_the_counts_of_their_entries(real_data: Path, name: str) -> None:
    if not (real_data / name).is_dir():
        pytest.skip(f"{name} is not in {real_data}")
    dataset = load_dataset(name, data_dir=real_data)
    assert dataset.test is not None
    assert len(dataset.test) == CATALOG[name].n_test


def test_load_dataset_takes_folders_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gowalla").mkdir()
    (tmp_path / "gowalla" / "train.txt").write_bytes(TRAIN)
    (tmp_path / "a.csv").write_text("who,item\nann,x\n")
    monkeypatch.chdir(tmp_path)
    assert len(load_dataset("./gowalla").interactions) == 3
    assert len(load_dataset(Path("gowalla")).interactions) == 3
    assert load_dataset("a.csv", user_column="who").user_ids.decode([0]) == ["ann"]


def test_a_missing_source_and_columns_of_a_folder_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        load_dataset(str(tmp_path / "gowala"))
    for part in ("gowalla, yelp2018, amazon-book, movielens-small", "train.txt", ".parquet", "gowala'"):
        assert part in str(caught.value)
    with pytest.raises(FileNotFoundError, match="for the set of that name pass the text 'gowalla'"):
        load_dataset(Path("gowalla"))
    for source in ("gowalla", tmp_path):
        with pytest.raises(ValueError, match="user_column: only table files have columns"):
            load_dataset(source, user_column="x")
