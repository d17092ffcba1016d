"""The folder for the Hugging Face Hub: it gives the same lists, and its card says what is known and no more."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

import ltocf
from ltocf.cli import main
from ltocf.data.ids import IdMap
from ltocf.data.names import Names
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.serving import TrainedModel
from ltocf.serving.card import markdown_text, yaml_text
from ltocf.serving.hub import write_hub_folder
from samples import random_interactions

LOG = random_interactions(20, 30)
HOSTILE = 'a: "b"\n---\nlicense: mit\u2028# <script>alert(1)</script> | [x](javascript:alert(1)) ![](http://e.org) \x07'
NAMES = Names(IdMap([f"{HOSTILE}{user}" for user in range(20)]), IdMap(range(30)), (HOSTILE,) * 30)
METRICS = {
    "recall@10": 5e-05,
    "coverage@10": 1,
    "ranking_seconds": 3.0,
    "split": {"digest": "0" * 64, "train": 1200, "validation": 100, "test": 40},
    "protocol": "best epoch on the test set, as in the papers: optimistic",
    "select_on": "test",
    "seed": 3,
    "cold_items": 4,
    "environment": {"ltocf": "0.1.0", "torch": "2.13.0+cpu", "platform": "Linux"},
}


def trained_model(name: str = "lightgcn", dataset: str = "shop", **notes: str) -> TrainedModel:
    options = {} if name == "popularity" else {"dim": 4}
    model = build_model(name, BipartiteGraph.from_interactions(LOG), options)
    return TrainedModel(name, options, model, LOG, NAMES, {"dataset": dataset, "seed": "3", **notes})


def card_of(folder: Path) -> tuple[dict[str, Any], str]:
    """Front matter and text, divided as the Hub divides them: by the first two lines of dashes."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    _, front, body = re.split(r"^---\n", text, maxsplit=2, flags=re.MULTILINE)
    return yaml.safe_load(front), body


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "run"
    visits = [(f"u{user}", f"i{item}") for user in range(20) for item in range(12) if (user + item) % 3]
    ltocf.train(visits, folder, model="ltocf", dim=4, epochs=1, n_negatives=8, seed=5, show_progress=False)
    return folder


def test_a_run_comes_back_with_the_same_lists(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["export", str(run), "--to", "hub", "new/published", "--license", "cc-by-4.0"])
    assert "share it only if you may share these" in capsys.readouterr().out
    folder = tmp_path / "new" / "published"
    assert [path.name for path in folder.parent.iterdir()] == ["published"], "nothing temporary is left"
    before, after = ltocf.load(run), ltocf.load(folder)
    users = before.user_ids.ids.to_list()
    assert after.recommend(users, k=5).equals(before.recommend(users, k=5))
    assert (after.name, after.options, after.notes) == (before.name, before.options, before.notes)
    content = json.loads((folder / "config.json").read_text())
    assert (content["library_name"], content["model_type"], content["options"]["dim"]) == ("ltocf", "ltocf", 4)
    assert (content["n_users"], content["n_items"], content["n_pairs"]) == (20, 12, len(before.seen))
    main(["recommend", str(folder), "--user", "u1", "--k", "2"])
    assert before.recommend("u1", k=1)["item"][0] in capsys.readouterr().out


def test_the_card_has_the_measurements_of_the_run(run: Path, tmp_path: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    front, body = card_of(ltocf.export_to_hub(run, tmp_path / "hub"))
    assert "license" not in front
    assert (front["library_name"], front["tags"][-1]) == ("ltocf", "ltocf")
    [result] = front["model-index"][0]["results"]
    found = {row["type"]: row["value"] for row in result["metrics"]}
    assert found == {name: value for name, value in metrics.items() if "@" in name}
    assert front["metrics"] == list(found)
    assert result["dataset"]["name"] == metrics["dataset"]
    assert f"| recall@10 | {metrics['recall@10']:.4f} |" in body
    for text in ("| seed | 5 |", "then trained on the whole training set, test set read once"):
        assert text in body
    assert f"train {metrics['split']['train']:,}, validation" in body
    assert str(run) not in body


def test_the_card_of_a_run_of_fit_says_that_nothing_was_measured(tmp_path: Path) -> None:
    visits = [(user, item) for user in range(6) for item in range(4) if user % 3 != item]
    ltocf.fit(visits, tmp_path / "run", model="mf", dim=2, epochs=1, n_negatives=4, show_progress=False)
    ltocf.update(tmp_path / "run", [(7, 1), (7, 2)], tmp_path / "newer", show_progress=False)
    for source in ("run", "newer", "run/model.safetensors"):
        front, body = card_of(ltocf.export_to_hub(tmp_path / source, tmp_path / f"hub-{source.replace('/', '-')}"))
        assert not {"metrics", "model-index"} & set(front)
        assert "Nothing was measured" in body
        assert "withheld pairs" not in body
    _, body = card_of(tmp_path / "hub-newer")
    assert "| update | events 2, new pairs 2, new users 1, new items 0 |" in body


def test_limits_are_those_of_the_model_and_the_protocol(tmp_path: Path) -> None:
    _, body = card_of(write_hub_folder(trained_model(), tmp_path / "a", METRICS))
    assert "chosen on this test set, so these numbers are optimistic" in body
    assert "4 items of the data have no pair in training" in body
    assert "a history of known items stands for anybody else" in body
    assert "with the ids of users and items, and titles or attributes of items" in body
    for name, can_fold_in in (("popularity", True), ("cmn", False)):
        _, body = card_of(write_hub_folder(trained_model(name), tmp_path / name))
        assert ("fold_in" in body, "stands for anybody else" in body) == (can_fold_in, can_fold_in)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    front, body = card_of(write_hub_folder(trained_model(dataset=HOSTILE), tmp_path / "hub", METRICS))
    [result] = front["model-index"][0]["results"]
    assert [row["value"] for row in result["metrics"]] == [5e-05, 1]
    assert set(front) == {"library_name", "tags", "metrics", "model-index"}, "the name adds no key"
    assert result["dataset"]["name"] == HOSTILE
    assert result["dataset"]["type"].startswith("a-b-license-mit-script-alert-1-script-x-javascript")
    assert "<script>" not in body
    assert "](" not in body
    assert "http://" not in body
    assert body.count("\n# ") + body.startswith("# ") == 1
    assert all(line.count("|") - line.count("\\|") in (0, 3) for line in body.splitlines())


def test_the_parameters_of_the_training_are_not_published(tmp_path: Path) -> None:
    trained = trained_model(parameters='{"items": "/home/ann/items.csv"}')
    folder = write_hub_folder(trained, tmp_path / "hub")
    assert set(ltocf.load(folder).notes) == {"dataset", "seed"}
    assert not any(b"/home/ann" in file.read_bytes() for file in folder.iterdir())


def test_a_refused_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="there exists already; give a new folder"):
        write_hub_folder(trained_model(), tmp_path / "there")
    with pytest.raises(
        ValueError, match=r"`license` must be an identifier of the Hub such as apache-2\.0, got 'MIT\\n"
    ):
        write_hub_folder(trained_model(), tmp_path / "new", license="MIT\n")
    with pytest.raises(FileNotFoundError, match="holds no run"):
        ltocf.export_to_hub(tmp_path / "there", tmp_path / "new")
    monkeypatch.setattr("ltocf.serving.hub.card", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_hub_folder(trained_model(), tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_a_license_is_only_for_the_hub(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["export", str(run), "--to", "numpy", "--out", str(tmp_path / "v.npz"), "--license", "mit"])
    assert (
        "`--license` is for the card of a folder for the Hub, got 'mit' for numpy; leave it out"
        in capsys.readouterr().err
    )


def test_other_folders_with_a_config_are_not_loaded(tmp_path: Path) -> None:
    for content in ('{"format": "other"}', "[]", "[" * 100_000, "\x00"):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(FileNotFoundError, match="holds no run"):
            ltocf.load(tmp_path)


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_text_is_a_yaml_string(text: str) -> None:
    assert yaml.safe_load(f"key: {yaml_text(text)}") == {"key": text}


@given(st.text())
def test_any_text_stays_on_one_line_of_markdown(text: str) -> None:
    shown = markdown_text(text)
    assert shown.isprintable()
    assert not set("<>") & set(shown)
