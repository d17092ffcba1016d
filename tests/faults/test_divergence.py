"""A training whose loss is no longer finite stops, keeps the batch, says what to change, and leaves the folder free."""

from __future__ import annotations

import json
import math
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

import ltocf
from ltocf.files import read_arrays
from ltocf.graph import BipartiteGraph
from ltocf.models import build_model
from ltocf.models.embedding import EmbeddingRecommender
from ltocf.runs import leftovers
from ltocf.runs.folder import RunFolder
from ltocf.sampling import Portions
from samples import random_interactions

PAIRS = random_interactions()
LOG = [(int(user), int(item)) for user, item in zip(PAIRS.users, PAIRS.items, strict=True)]
MODELS: dict[str, dict[str, Any]] = {
    "mf": {"dim": 4},
    "lightgcn": {"dim": 4},
    "ltocf": {"dim": 4, "preset": "paper"},
    "ngcf": {"dim": 4},
    "neumf": {"dim": 4},
    "mult-vae": {},
}
SETTINGS: dict[str, Any] = {"epochs": 4, "batch_size": 32, "threads": 1, "show_progress": False}
WILD: dict[str, Any] = {"learning_rate": 1e30}


def diverging(out: Path, model: str, **settings: Any) -> str:
    with pytest.raises(FloatingPointError) as error:
        ltocf.train(LOG, out, model=model, **SETTINGS | MODELS[model] | settings)
    return str(error.value)


def batch_of(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays, metadata = read_arrays(folder / "diverged.safetensors")
    return arrays, json.loads(metadata["diverged"])


def test_weights_that_explode_in_the_last_step_of_an_epoch_are_found_in_that_epoch(tmp_path: Path) -> None:
    """In an epoch of one step the loss belongs to the weights before it; the first step has rate 0."""
    said = diverging(tmp_path / "run", "mf", **WILD | {"batch_size": 10_000})
    assert "weights became as large as 8.7" in said
    assert "in the last step of epoch 2: training diverged; lower `learning_rate`" in said
    assert batch_of(tmp_path / "run")[1]["step"] == 1


def test_seed_and_step_give_the_kept_batch_again(tmp_path: Path) -> None:
    said = diverging(tmp_path / "run", "mf", **WILD)
    arrays, facts = batch_of(tmp_path / "run")
    assert "lower `learning_rate`" in said
    assert said.endswith(f"the batch of step {facts['step']} is in {tmp_path / 'run' / 'diverged.safetensors'}")
    run = RunFolder(tmp_path / "run")
    pairs = run.read_data().split.train
    model = build_model("mf", BipartiteGraph.from_interactions(pairs), run.config().options, seed=facts["seed"])
    assert isinstance(model, EmbeddingRecommender)
    portions = Portions(model.batches(pairs, SETTINGS["batch_size"], facts["seed"]), facts["training"]["epoch_share"])
    (again,) = next(islice(portions.steps(facts["epoch"] - 1), facts["step"] - 1, None))
    for name in ("users", "positives", "negatives"):
        assert arrays[name].tolist() == getattr(again, name).tolist(), name


def test_the_step_is_the_first_whose_loss_is_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loss of the fifth step only is made infinite."""
    forward, steps = EmbeddingRecommender.forward, [0]

    def planted(self: EmbeddingRecommender, *batch: Any) -> Any:
        steps[0] += 1
        terms = forward(self, *batch)
        return terms._replace(ranking=terms.ranking * (math.inf if steps[0] == 5 else 1.0))

    monkeypatch.setattr(EmbeddingRecommender, "forward", planted)
    monkeypatch.setattr(torch.optim.Adam, "step", lambda self: None)
    diverging(tmp_path / "run", "mf", validate_every=9, epoch_share=0.5)
    _, facts = batch_of(tmp_path / "run")
    n_batches = len(range(0, len(RunFolder(tmp_path / "run").read_data().split.train), SETTINGS["batch_size"]))
    assert divmod(4, round(n_batches / 2)) == (facts["epoch"] - 1, facts["step"] - 1)


@pytest.mark.parametrize("model", MODELS)
def test_a_run_that_diverged_does_not_block_its_folder(
    model: str, tmp_path: Path, full: bool, figures: Counter[str]
) -> None:
    """It can be trained in again with the same settings or others, and no file of it is left."""
    if not full and model not in ("mf", "ltocf"):
        pytest.skip("in a full run only")
    out, good = tmp_path / "run", SETTINGS | MODELS[model] | {"learning_rate": 0.01}
    first = diverging(out, model, **WILD)
    with pytest.raises(FloatingPointError):
        ltocf.resume(out)
    assert diverging(out, model, **WILD) == first
    metrics = ltocf.train(LOG, out, model=model, **good)
    expected = tmp_path / "expected"
    ltocf.train(LOG, expected, model=model, **good)
    assert sorted(file.name for file in out.iterdir()) == sorted(file.name for file in expected.iterdir())
    assert (out / "model.safetensors").read_bytes() == (expected / "model.safetensors").read_bytes()
    assert ltocf.resume(out) == metrics
    figures["models"] += 1


def test_a_run_that_diverged_is_not_loaded(tmp_path: Path) -> None:
    diverging(tmp_path / "run", "mf", **WILD)
    assert ltocf.train(LOG, tmp_path / "run", model="mf", exists="load", **SETTINGS | MODELS["mf"])["seed"] == 0


def test_a_diverged_run_that_is_half_removed_does_not_block_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diverging(tmp_path / "run", "mf", **WILD)
    remove, asked = leftovers.remove_inside, []

    def once(*arguments: Any, **keywords: Any) -> None:
        asked.append(arguments)
        if len(asked) == 4:
            raise KeyboardInterrupt
        remove(*arguments, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(leftovers, "remove_inside", once)
        with pytest.raises(KeyboardInterrupt):
            ltocf.train(LOG, tmp_path / "run", model="mf", **SETTINGS | MODELS["mf"])
    assert ltocf.train(LOG, tmp_path / "run", model="mf", **SETTINGS | MODELS["mf"])["seed"] == 0


def test_when_a_replacement_diverges_the_old_run_stays_and_the_batch_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "run"
    before = ltocf.train(LOG, out, model="mf", **SETTINGS | MODELS["mf"])
    said = diverging(out, "mf", exists="replace", **WILD)
    assert RunFolder(out).metrics() == before
    file = Path(said.rpartition(" is in ")[2])
    with safe_open(file, framework="np") as batch:
        assert "users" in batch.keys()  # noqa: SIM118
    assert ltocf.train(LOG, out, model="mf", exists="replace", **SETTINGS | MODELS["mf"])["seed"] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]
