"""Configurations: one TOML file, every setting by one name, errors that list the right ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltocf.models import MODELS
from ltocf.runs.config import Config, DataSettings, RunSettings, model_options
from ltocf.runs.presets import PRESETS
from ltocf.training import TrainingSettings

PLAIN = Config(DataSettings("gowalla"))


@given(
    st.sampled_from(sorted(MODELS)),
    st.floats(1e-6, 1, allow_subnormal=False),
    st.integers(0, 2**31),
    st.text(max_size=20).filter(lambda text: "\x00" not in text),
    st.none() | st.floats(-5, 5),
)
def test_survives_the_way_through_toml(
    model: str, learning_rate: float, seed: int, column: str, min_rating: float | None
) -> None:
    data = DataSettings("log.csv", user_column=column, min_rating=min_rating)
    config = Config(data, model, {}, TrainingSettings(learning_rate=learning_rate), RunSettings(seed=seed))
    assert Config.from_toml(config.to_toml()) == config


def test_no_two_sections_share_a_name() -> None:
    for model in MODELS:
        names = [*model_options(model)]
        for section in (PLAIN.data, PLAIN.training, PLAIN.run):
            names += list(section.__dataclass_fields__)
        assert len(names) == len(set(names))


def test_a_file_holds_every_default() -> None:
    text = PLAIN.to_toml()
    for name in (*model_options("ltocf"), "learning_rate", "patience", "seed", "split"):
        assert f"\n{name} = " in text


def test_changing_the_model_takes_its_own_defaults() -> None:
    changed = PLAIN.with_values({"horizon": 2}).with_values({"model": "lightgcn", "n_layers": 2})
    recipe = {name: value for name, value in PRESETS["fast"]["lightgcn"].items() if name in changed.options}
    assert changed.options == model_options("lightgcn") | recipe | {"n_layers": 2}
    assert PLAIN.with_values({"horizon": 2}).options["horizon"] == 2.0


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("model", MODELS)
def test_a_preset_fills_what_is_not_said(preset: str, model: str) -> None:
    config = Config(DataSettings("gowalla"), model, run=RunSettings(preset=preset))
    expected = model_options(model) | vars(TrainingSettings()) | PRESETS[preset].get(model, {})
    assert dict(config.options) | vars(config.training) == expected
    assert PLAIN.with_values({"model": model, "preset": preset}) == config


def test_the_preset_is_fast_unless_said_otherwise_and_paper_is_the_models_own_defaults() -> None:
    assert PLAIN.run.preset == "fast"
    paper = PLAIN.with_values({"preset": "paper"})
    assert paper.training == TrainingSettings()
    assert paper.options == model_options("ltocf")


def test_what_is_said_comes_before_the_preset_whoever_says_it() -> None:
    text = '[run]\npreset = "paper"\n[training]\nlearning_rate = 0.5\n[model]\nhorizon = 7.0'
    config = Config.from_toml(text, "gowalla", {"preset": "fast", "epochs": 3})
    assert (config.training.learning_rate, config.options["horizon"], config.training.epochs) == (0.5, 7.0, 3)
    assert config.training.schedule == "cosine"
    other = Config.from_toml(text, "gowalla", {"model": "mf"})
    assert (other.training.learning_rate, other.options, other.run.preset) == (0.5, model_options("mf"), "paper")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "best"}, "`preset` must be one of fast, paper, got 'best'"),
        ({"speed": 9}, "no setting `speed`; there are model, dim, horizon"),
        ({"dim": "big"}, "`dim` must be of type int, got 'big'"),
        ({"dim": True}, "`dim` must be of type int, got True"),
        ({"learning_rate": "fast"}, "`learning_rate` must be of type float, got 'fast'"),
        ({"model": "mfx"}, f"`model` must be one of {', '.join(MODELS)}, got 'mfx'"),
        ({"model": "mf", "n_layers": 2}, "no setting `n_layers`"),
        ({"validation_fraction": 1.0}, r"`validation_fraction` must be in \(0, 1\), got 1.0"),
        ({"init_epochs": 0}, "`init_epochs` must be >= 1, got 0"),
        ({"init_l2": -1.0}, "`init_l2` must be >= 0, got -1.0"),
        ({"select_by": "accuracy@20"}, "`select_by` must be one of recall, precision"),
        ({"select_by": "recall"}, "`select_by` must be one of recall, precision"),
    ],
)
def test_rejects_with_the_rule_and_the_value(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PLAIN.with_values(values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dim = ", "not valid TOML"),
        ("[modell]\nname = 'mf'", r"no table \[modell\]"),
        ("[training]\nspeed = 1", "no setting `speed`"),
        ("[model]\nname = 'mf'\nhorizon = 1.0", "mf has no option `horizon`; it has dim"),
        ("", "names no data"),
    ],
)
def test_a_wrong_file_is_a_clear_error(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config.from_toml(text, None if text == "" else "gowalla")
