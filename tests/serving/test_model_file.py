"""A model file is used only after it was checked: whatever is wrong with it is an error of one clear line."""

from __future__ import annotations

import io
import json
import random
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from ltocf.data.ids import IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS, NeuMF, SpectralLTOCF, build_model
from ltocf.serving import Snapshot, TrainedModel, model_file
from ltocf.serving.model_file import FORMAT, METADATA, WITHOUT_CHECKSUM
from model_samples import parts_of, sealed
from samples import ordered_interactions, random_interactions

EARLIER = Path(__file__).resolve().parents[1] / "runs" / "earlier_version"
MODEL_OPTIONS: dict[str, dict[str, Any]] = {
    "ltocf": {"dim": 3, "n_times": 2},
    "spectral": {"rank": 3},
    "pinsage": {"dim": 3, "n_walks": 3, "n_neighbours": 2},
}


def small_model(name: str) -> TrainedModel:
    log = random_interactions(6, 8)
    model = MODELS[name](BipartiteGraph.from_interactions(log), **MODEL_OPTIONS[name])
    if isinstance(model, SpectralLTOCF):
        model.decompose()
    names = Names(IdMap([f"u{u}" for u in range(6)]), IdMap(range(10, 18)), tuple(f"Film {i}" for i in range(8)))
    return TrainedModel(name, MODEL_OPTIONS[name], model, log, names, {"dataset": "tiny", "seed": "0"})


def complete_model() -> TrainedModel:
    """A model with everything that a file may hold."""
    plain = small_model("ltocf")
    log = plain.seen
    seen = Interactions(log.users, log.items, 6, 8, np.arange(len(log)), np.linspace(1, 2, len(log), dtype=np.float32))
    films = pl.DataFrame({"price": [1.5, None, *range(6)], "genre": ["Drama", None, *"abcdef"]})
    also_seen = Interactions.from_pairs([0, 5], [1, 7], 6, 8)
    return replace(plain, seen=seen, names=replace(plain.names, attributes=films), also_seen=also_seen)


def rewrite(
    path: Path,
    change: Callable[[dict[str, np.ndarray]], Any] = lambda _: None,
    metadata: Callable[[dict[str, Any]], Any] = lambda _: None,
) -> Path:
    """The file in the format without a checksum, its arrays and metadata changed."""
    arrays, content = load_file(path), content_of(path)
    change(arrays)
    texts = {"format": WITHOUT_CHECKSUM, "model": content["model"]}
    texts |= {key: json.dumps(content[key]) for key in ("options", "notes")}
    metadata(texts)
    save_file(arrays, path, texts)
    return path


def content_of(path: Path) -> dict[str, Any]:
    with safe_open(path, "np") as file:
        content: dict[str, Any] = json.loads(file.metadata()[METADATA])
    return content


@pytest.fixture
def path(tmp_path: Path) -> Path:
    small_model("ltocf").save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("name", MODEL_OPTIONS)
def test_the_same_model_gives_the_same_bytes_and_comes_back_whole(name: str, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    small_model(name).save(first)
    small_model(name).save(second)
    assert first.read_bytes() == second.read_bytes()
    TrainedModel.load(first).save(second)
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("run", ["run-fast", "run-ltocf", "run-spectral"])
def test_files_of_an_earlier_version_are_read(run: str, tmp_path: Path) -> None:
    trained = TrainedModel.load(EARLIER / run / "model.safetensors")
    trained.save(tmp_path / "model.safetensors")
    users = trained.user_ids.decode([0, 1])
    assert TrainedModel.load(tmp_path / "model.safetensors").recommend(users, 3).equals(trained.recommend(users, 3))


def test_a_file_without_a_checksum_is_read(path: Path) -> None:
    expected = TrainedModel.load(path).recommend(["u1"], 3)
    assert TrainedModel.load(rewrite(path)).recommend(["u1"], 3).equals(expected)


@pytest.mark.parametrize("old", [False, True], ids=[FORMAT, WITHOUT_CHECKSUM])
@pytest.mark.parametrize("name", MODEL_OPTIONS)
def test_damage_raises_nothing_but_a_value_error(name: str, old: bool, tmp_path: Path) -> None:
    """Flipped bits and cut ends: a ValueError with the file's name, or, without a checksum, a model."""
    path = tmp_path / "model.safetensors"
    small_model(name).save(path)
    if old:
        rewrite(path)
    assert_damage_is_refused(path, at_least=100 if old else 240)


@pytest.mark.parametrize("old", [False, True], ids=[FORMAT, WITHOUT_CHECKSUM])
def test_damage_of_a_complete_file_raises_nothing_but_a_value_error(old: bool, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    complete_model().save(path)
    if old:
        rewrite(path)
    assert_damage_is_refused(path, at_least=100 if old else 240)


def assert_damage_is_refused(path: Path, at_least: int) -> None:
    content, generator, refused = path.read_bytes(), random.Random(0), list[str]()
    header = int.from_bytes(content[:8], "little") + 8
    for case in range(250):
        damaged = bytearray(content)
        for _ in range(generator.choice([1, 1, 1, 4])):
            place = generator.randrange(header if case % 2 else len(content))
            damaged[place] ^= 1 << generator.randrange(8)
        if case % 10 == 0:
            damaged = damaged[: generator.randrange(len(damaged))]
        path.write_bytes(damaged)
        try:
            TrainedModel.load(path)
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > at_least
    assert all(str(path) in message and "\n" not in message for message in refused)


def test_a_single_bit_of_the_weights_is_noticed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="its content is not what was written: the checksum differs"):
        TrainedModel.load(path)


def test_a_file_with_everything_comes_back_whole(tmp_path: Path) -> None:
    first, second, trained = tmp_path / "first", tmp_path / "second", complete_model()
    trained.save(first)
    complete_model().save(second)
    assert first.read_bytes() == second.read_bytes()
    loaded = TrainedModel.load(first)
    loaded.save(second)
    assert first.read_bytes() == second.read_bytes()
    assert loaded.also_seen is not None
    assert loaded.also_seen.keys.tolist() == [1, 47]
    assert loaded.names.attributes is not None
    assert loaded.names.attributes.equals(trained.names.attributes)
    assert loaded.recommend("u1", 3, where="price >= 1").equals(trained.recommend("u1", 3, where="price >= 1"))
    assert loaded.snapshot.popular(3, since=4).equals(trained.snapshot.popular(3, since=4))
    np.testing.assert_array_equal(loaded.seen.weights, trained.seen.weights)


def parquet(frame: pl.DataFrame) -> np.ndarray:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return np.frombuffer(buffer.getvalue(), np.uint8)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "seen.timestamps",
            np.zeros(3, np.int64),
            "a number for each of the 20 pairs, got 3",
        ),
        ("seen.timestamps", np.zeros(3, np.float64), "'seen.timestamps' must be a row of int64, got float64"),
        ("seen.weights", np.zeros(3, np.float64), "'seen.weights' must be a row of float32, got float64"),
        ("seen.weights", np.full(20, np.nan, np.float32), "weights must be positive numbers, got nan"),
        ("also_seen.users", None, "it has no array 'also_seen.users'"),
        ("also_seen.size", np.array([6]), r"'also_seen.size' must be two numbers >= 0, got \[6\]"),
        ("also_seen.size", np.array([6, 9]), r"'also_seen.size' must be 'seen.size', got \[6, 9\] and \[6, 8\]"),
        ("also_seen.items", np.array([1, 8], np.int32), r"item indices must be in \[0, 8\), got 8"),
        ("also_seen.items", np.array([1, 7]), "'also_seen.items' must be a row of int32, got int64"),
        ("also_seen.weights", np.array([1, -1], np.float32), "weights must be positive numbers, got -1.0"),
        ("attributes.parquet", np.zeros(8, np.int8), "'attributes.parquet' must be a row of uint8, got int8"),
        ("attributes.parquet", np.zeros(80, np.uint8), "its attributes of items cannot be read"),
        ("attributes.parquet", np.zeros(0, np.uint8), "its attributes of items cannot be read"),
        ("attributes.parquet", parquet(pl.DataFrame({"a": [1] * 9})), "a row of attributes for each item, got 9 for 8"),
    ],
    ids=[f"array-{number}" for number in range(14)],
)
def test_wrong_optional_arrays_are_refused(name: str, value: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    complete_model().save(path)
    change = (lambda arrays: arrays.pop(name)) if value is None else set_item(name, value)
    with pytest.raises(ValueError, match=message) as caught:
        TrainedModel.load(rewrite(path, change))
    assert str(caught.value).startswith(f"{path} cannot be used as a model file: ")


def test_swapped_or_reshaped_arrays_are_noticed(path: Path) -> None:
    arrays, content = load_file(path), content_of(path)
    arrays["seen.users"], arrays["seen.items"] = arrays["seen.items"], arrays["seen.users"]
    reshaped = load_file(path)
    reshaped["weights.initial_embeddings"] = reshaped["weights.initial_embeddings"].reshape(3, 14)
    for changed in (arrays, reshaped):
        save_file(changed, path, {METADATA: json.dumps(content)})
        with pytest.raises(ValueError, match="the checksum differs"):
            TrainedModel.load(path)


def set_item(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda values: values.__setitem__(name, value)


def options(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return set_item("options", json.dumps(MODEL_OPTIONS["ltocf"] | changes))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("weights.times.values"), r"it lacks weights\.times\.values, and has besides nothing"),
        (
            lambda a: a.update({"weights.b": np.zeros(1), "weights.a": np.zeros(1)}),
            r"it lacks nothing, and has besides weights\.a, weights\.b$",
        ),
        (lambda a: a.pop("seen.users"), "it has no array 'seen.users'"),
        (lambda a: a.pop("user_ids.ends"), "it has no array 'user_ids.ends'"),
        (lambda a: a.pop("titles.bytes"), "it has no array 'titles.bytes'"),
        (set_item("weights.more", np.zeros(1)), r"it lacks nothing, and has besides weights\.more"),
        (set_item("weights.times.values", np.zeros(3, np.float32)), r"must have the shape \(2,\), got \(3,\)"),
        (set_item("weights.times.values", np.zeros(2, np.int32)), r"must be of type torch\.float32, got int32"),
        (set_item("weights.times.values", np.array([1, np.nan], np.float32)), "must be finite, got NaN or infinity"),
        (set_item("weights.times.values", np.array([np.inf, 1], np.float32)), "must be finite, got NaN or infinity"),
        (set_item("seen.size", np.array([2**40, 8])), "got 6 and 8 for 1099511627776 and 8"),
        (set_item("seen.size", np.array([-1, 8])), r"'seen.size' must be two numbers >= 0, got \[-1, 8\]"),
        (set_item("seen.size", np.array([6.0, 8.0])), r"'seen.size' must be a row of int64, got float64"),
        (set_item("seen.items", np.zeros((2, 2), np.int32)), r"a row of int32, got int32 of shape \(2, 2\)"),
        (lambda a: a["seen.items"].__setitem__(0, 8), r"item indices must be in \[0, 8\), got 8"),
        (lambda a: a["seen.items"].__setitem__(0, a["seen.items"][1]), "pairs must be sorted and unique"),
        (set_item("item_ids.integers", np.arange(7)), "got 6 and 7 for 6 and 8|8 items|7 items"),
        (lambda a: a["item_ids.integers"].__setitem__(0, 11), "each id must appear once, got 11 more than once"),
        (lambda a: a["user_ids.ends"].__setitem__(-1, 99), "'user_ids.ends' must ascend to the 12 bytes"),
        (lambda a: a["titles.ends"].__setitem__(0, 40), "'titles.ends' must ascend to the 48 bytes"),
        (lambda a: a["user_ids.ends"].__setitem__(0, -1), "'user_ids.ends' must ascend"),
        (set_item("titles.ends", np.array([48])), "one title, got 8 items and 1 titles"),
        (lambda a: a["titles.bytes"].__setitem__(0, 255), "utf-8"),
        (
            lambda a: a.update({"titles.integers": np.arange(8), "titles.bytes": np.zeros(48, np.int8)}),
            "'titles.bytes' must be a row of uint8, got int8",
        ),
    ],
)
def test_wrong_arrays_are_refused(change: Callable[[dict[str, Any]], Any], message: str, path: Path) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        TrainedModel.load(rewrite(path, change))
    assert str(caught.value).startswith(f"{path} cannot be used as a model file: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_item("format", "pt"), f"does not have the format {FORMAT} or {WITHOUT_CHECKSUM}"),
        (set_item("model", "appnp"), "`model` must be one of ltocf, spectral, ease"),
        (lambda texts: texts.pop("model"), "must have 'model' as a str, got None"),
        (set_item("options", "{"), "its metadata is not JSON"),
        (set_item("options", "[" * 100_000), "its metadata is not JSON"),
        (set_item("options", "[1]"), r"must have 'options' as a dict, got \[1\]"),
        (options(depth=3), r"cannot be made with its options .*no option `depth`"),
        (options(dim="x"), "cannot be made with its options"),
        (options(solver="heun"), "cannot be made with its options"),
        (options(dim=4), r"'weights.initial_embeddings' must have the shape \(14, 4\), got \(14, 3\)"),
        (options(dim=900_000), r"'weights.initial_embeddings' must have the shape \(14, 900000\), got \(14, 3\)"),
        (options(n_times=9_000, dim=1), "'weights.(times.values|initial_embeddings)' must have the shape"),
        (options(dim=2**62), "its option 'dim' is beyond reason"),
        (options(n_times=True), "must have the shape"),
    ],
)
def test_wrong_metadata_are_refused(change: Callable[[dict[str, Any]], Any], message: str, path: Path) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        TrainedModel.load(rewrite(path, metadata=change))
    assert str(caught.value).startswith(f"{path} cannot be used as a model file: ")


def test_many_small_tensors_are_counted_together(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    log = random_interactions(6, 8)
    model = MODELS["cmn"](BipartiteGraph.from_interactions(log), dim=200)
    TrainedModel("cmn", {"dim": 200, "n_hops": 1_000}, model, log, Names.identity(6, 8)).save(path)
    with pytest.raises(ValueError, match="they ask for far more numbers than the file holds"):
        TrainedModel.load(path)


def test_types_that_numpy_does_not_have_are_refused(path: Path) -> None:
    arrays = {"a": torch.zeros(2, dtype=torch.bfloat16)}
    from safetensors.torch import save_file as save_tensors

    save_tensors(arrays, path)
    with pytest.raises(ValueError, match="is not a safetensors file, or a damaged one"):
        TrainedModel.load(path)


def test_a_full_disk_is_an_error_of_the_disk(path: Path) -> None:
    trained, before = TrainedModel.load(path), path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match=path.name):
            trained.save(path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_snapshot_has_the_version_of_the_file_it_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another file takes the name while this one is read: model and version are both of the newer one."""
    newer = path.with_name("newer")
    other = small_model("ltocf")
    with torch.no_grad():
        other.model.initial_embeddings.add_(1)
    other.save(newer)
    read = model_file.read_model

    def read_and_replace(path: Path) -> model_file.ModelParts:
        parts = read(path)
        if newer.exists():
            newer.rename(path)
        return parts

    monkeypatch.setattr(model_file, "read_model", read_and_replace)
    replaced = Snapshot.open(path)
    monkeypatch.undo()
    expected = Snapshot.open(path)
    assert replaced.version == expected.version
    assert replaced.recommend("u1", 3).equals(expected.recommend("u1", 3))


def without(path: Path, change: Callable[[dict[str, np.ndarray]], Any]) -> Path:
    """The file as an earlier version wrote it, its arrays changed."""
    arrays, metadata = parts_of(path.read_bytes())
    change(arrays)
    path.write_bytes(sealed(arrays, metadata))
    return path


def before_trends(arrays: dict[str, np.ndarray]) -> None:
    """Remove the exponent of the trend: the last of the numbers, or an array of its own."""
    for name in [*arrays]:
        if name.endswith("ranking_numbers.trend"):
            del arrays[name]
        elif name.endswith(".numbers"):
            arrays[name] = arrays[name][:-1]


@pytest.mark.parametrize("name", ["spectral", "lightgcn", "blend"])
def test_a_model_from_before_trends_has_none(name: str, tmp_path: Path) -> None:
    log, in_order = ordered_interactions(), {"recency": "auto"}
    members = [{"model": "spectral", **in_order}, {"model": "lightgcn", "dim": 4, **in_order}]
    options: dict[str, Any] = {"blend": {"members": members}, "lightgcn": {"dim": 4, **in_order}}.get(name, in_order)
    model = build_model(name, BipartiteGraph.from_interactions(log), options)
    model.prepare()
    names = Names.identity(log.n_users, log.n_items)
    TrainedModel(name, options, model, log, names).save(tmp_path / "model")
    users = torch.arange(5)
    expected, earlier = model.scores(users), without(tmp_path / "model", before_trends)
    assert TrainedModel.load(earlier).model.scores(users).equal(expected)


def test_a_weight_added_later_has_its_initial_value(tmp_path: Path) -> None:
    """A file of NeuMF from before its output had a bias."""
    log = random_interactions()
    model = NeuMF(BipartiteGraph.from_interactions(log), dim=8)
    with torch.no_grad():
        model.output_bias.fill_(3.0)
    before = model.scores(torch.tensor([0])) - 3
    TrainedModel("neumf", {"dim": 8}, model, log, Names.identity(log.n_users, log.n_items)).save(tmp_path / "now")
    earlier = without(tmp_path / "now", lambda arrays: arrays.pop("weights.output_bias"))
    torch.testing.assert_close(TrainedModel.load(earlier).model.scores(torch.tensor([0])), before)
