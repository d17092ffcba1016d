"""A checkpoint returns what was saved, to its owner only, or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ltocf.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint

STATE = TrainingState(
    7, 5, 0.25, 2, 12.5, 11.0, 0.75, "patience", {"weight": torch.full((2, 3), 4.0), "bias": torch.ones(2)}
)


def trained_model() -> tuple[torch.nn.Linear, torch.optim.Optimizer]:
    """A model after three steps, and its optimiser with moments."""
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    for _ in range(3):
        model(torch.arange(3.0)).square().sum().backward()
        optimizer.step()
    return model, optimizer


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.safetensors"


def test_everything_comes_back(path: Path) -> None:
    (model, optimizer), (other, other_optimizer) = trained_model(), trained_model()
    with torch.no_grad():
        model.weight.set_(model.weight.T.contiguous().T)  # not contiguous in memory
    save_checkpoint(path, model, optimizer, STATE)
    state = load_checkpoint(path, other, other_optimizer)
    assert vars(state) | {"best_weights": None} == vars(STATE) | {"best_weights": None}
    for found, saved in ((state.best_weights, STATE.best_weights), (other.state_dict(), model.state_dict())):
        assert found.keys() == saved.keys()
        assert all(found[name].equal(saved[name]) for name in saved)
    for index, moments in optimizer.state_dict()["state"].items():
        found = other_optimizer.state_dict()["state"][index]
        assert found.keys() == moments.keys()
        assert all(found[name].equal(moments[name]) for name in moments)


@pytest.mark.parametrize(
    ("owner", "requested", "accepted"),
    [("a", "a", True), ("a", "b", False), ("", "b", True), ("a", "", True), (None, "b", True)],
)
def test_only_the_owner_may_continue(path: Path, owner: str | None, requested: str, accepted: bool) -> None:
    model, optimizer = trained_model()
    if owner is None:  # as an earlier version wrote it
        save_file({"model.weight": model.weight.data, "model.bias": model.bias.data}, path, {"state": '{"epoch": 7}'})
    else:
        save_checkpoint(path, model, optimizer, STATE, owner)
    if accepted:
        assert load_checkpoint(path, model, optimizer, requested).epoch == 7
    else:
        with pytest.raises(ValueError, match=f"{path.name} belongs to a run with other settings or data; remove it"):
            load_checkpoint(path, model, optimizer, requested)


def test_without_an_owner_anybody_may_continue(path: Path) -> None:
    model, optimizer = trained_model()
    save_checkpoint(path, model, optimizer, STATE, "a")
    assert load_checkpoint(path, model, optimizer).epoch == 7
    save_checkpoint(path, model, optimizer, STATE)
    assert load_checkpoint(path, model, optimizer, "b").epoch == 7


def test_another_model_is_refused(path: Path) -> None:
    save_checkpoint(path, *trained_model(), STATE)
    other = torch.nn.Linear(4, 2)
    with pytest.raises(ValueError, match=r"(?s)holds another model than the configured one: .*size mismatch"):
        load_checkpoint(path, other, torch.optim.Adam(other.parameters()))


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        (None, "model.weight"),
        ({"state": "{"}, "model.weight"),
        ({"other": "1"}, "model.weight"),
        ({"state": "{}"}, "x.y"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(path: Path, metadata: dict[str, str] | None, name: str) -> None:
    save_file({name: torch.ones(2, 3)}, path, metadata)
    with pytest.raises(
        ValueError, match=r"checkpoint.safetensors is damaged or no checkpoint \(.*; remove it to train"
    ):
        load_checkpoint(path, *trained_model())


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_a_truncated_file_is_refused_as_damaged(path: Path, share: float) -> None:
    save_checkpoint(path, *trained_model(), STATE)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="is damaged or no checkpoint"):
        load_checkpoint(path, *trained_model())


@pytest.mark.parametrize("best", [True, False])
def test_what_an_earlier_version_did_not_have_keeps_its_value(best: bool, path: Path) -> None:
    model, optimizer = trained_model()
    weights = {"model.weight": model.weight.data} | ({"best.weight": STATE.best_weights["weight"]} if best else {})
    save_file(weights, path, {"state": '{"epoch": 7}'})
    with pytest.raises(ValueError, match=r"(?s)holds another model than the configured one: .*bias"):
        load_checkpoint(path, model, optimizer)
    model.later_weights = ("bias", "ranking_numbers.trend")  # the second is of an option that this model does not use
    bias = model.bias.clone()
    state = load_checkpoint(path, model, optimizer)
    assert model.bias.equal(bias)
    assert state.best_weights.keys() == ({"weight", "bias"} if best else set())
