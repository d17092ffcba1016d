"""Configurations: one TOML file, every setting by one name, errors that list the right ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltocf.models import MODELS
from ltocf.runs.config import Config, model_options
from ltocf.runs.presets import PRESETS
from ltocf.runs.settings import DataSettings, RunSettings
from ltocf.training import Runtime, TrainingSettings

PLAIN = Config(DataSettings("gowalla"))


@given(
    st.sampled_from(sorted(MODELS)),
    st.floats(1e-6, 1, allow_subnormal=False),
    st.integers(0, 2**31),
    st.text(max_size=20).filter(lambda text: "\x00" not in text),
    st.none() | st.floats(-5, 5),
)
def test_a_configuration_survives_the_way_through_toml(
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
def test_a_preset_fills_the_settings_that_are_not_given(preset: str, model: str) -> None:
    config = Config(DataSettings("gowalla"), model, run=RunSettings(preset=preset))
    defaults = model_options(model) | vars(TrainingSettings()) | {"init": "random"}
    expected = defaults | PRESETS[preset].get(model, {})
    assert dict(config.options) | vars(config.training) | {"init": config.run.init} == expected
    assert PLAIN.with_values({"model": model, "preset": preset}) == config


def test_the_default_preset_is_fast_and_paper_is_the_models_own_defaults() -> None:
    assert PLAIN.run.preset == "fast"
    paper = PLAIN.with_values({"preset": "paper"})
    assert paper.training == TrainingSettings()
    assert paper.options == model_options("ltocf")


def test_a_given_setting_comes_before_the_preset_wherever_it_is_given() -> None:
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
        ({"speed": 9}, "no setting `speed`; did you mean `seed`"),
        ({"dim": "big"}, "`dim` must be of type int, got 'big'"),
        ({"dim": True}, "`dim` must be of type int, got True"),
        ({"learning_rate": "fast"}, "`learning_rate` must be of type float, got 'fast'"),
        ({"model": "mfx"}, f"`model` must be one of {len(MODELS)} names, got 'mfx'; did you mean `mf`"),
        ({"model": "mf", "n_layers": 2}, "no setting `n_layers` of mf; it is one of lightgcn, lr-gccf, ngcf, neumf"),
        ({"validation_fraction": 1.0}, r"`validation_fraction` must be in \(0, 1\), got 1.0"),
        ({"validation_fraction": 0.0}, r"`validation_fraction` must be in \(0, 1\), got 0.0"),
        ({"test_fraction": 1.0}, r"`test_fraction` must be in \(0, 1\), got 1.0"),
        ({"test_fraction": 0.0}, r"`test_fraction` must be in \(0, 1\), got 0.0"),
        ({"validation_core": -1}, "`validation_core` must be >= 0, got -1"),
        ({"validation_split": "first"}, "`validation_split` must be one of auto, random, last, got 'first'"),
        ({"init": "zero"}, "`init` must be one of random, spectral, mf, got 'zero'"),
        ({"seed": 2**63}, r"`seed` must be in \[0, 2\^63\), got 9223372036854775808"),
        ({"seed": -1}, r"`seed` must be in \[0, 2\^63\), got -1"),
        ({"seed": None}, "`seed` must be of type int, got None"),
        ({"tensorboard": 1}, "`tensorboard` must be of type bool, got 1"),
        ({"learning_rate": True}, "`learning_rate` must be of type float, got True"),
        ({"min_rating": "4"}, "`min_rating` must be of type float, got '4'"),
        ({"user_column": 3}, "`user_column` must be of type str, got 3"),
        (
            {"init": "mf", "model": "mult-vae"},
            "mult-vae has no `init` 'mf'; it has random. Models that have it: ltocf, ",
        ),
        ({"init_epochs": 0}, "`init_epochs` must be >= 1, got 0"),
        ({"init_l2": -1.0}, "`init_l2` must be >= 0, got -1.0"),
        ({"select_by": "accuracy@20"}, "`select_by` must be one of recall, precision"),
        ({"select_by": "recall"}, "`select_by` must be one of recall, precision"),
    ],
)
def test_invalid_values_are_rejected_with_the_rule_and_the_value(values: dict[str, Any], message: str) -> None:
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


@pytest.mark.parametrize(
    "values",
    [
        {"init_epochs": 1},
        {"init_l2": 0.0},
        {"init_l2": None},
        {"seed": 2**63 - 1},
        {"validation_core": 0},
        {"min_rating": None},
        {"user_column": "who"},
        {"tensorboard": True},
    ],
    ids=str,
)
def test_values_at_the_limits_are_accepted(values: dict[str, Any]) -> None:
    ((name, value),) = values.items()
    changed = PLAIN.with_values(values)
    assert getattr(changed.data if hasattr(changed.data, name) else changed.run, name) == value


def test_an_unknown_setting_gets_a_suggestion_or_a_way_to_the_list() -> None:
    for name, hint in {
        "learning_rat": "did you mean `learning_rate`?",
        "smoothnes": "`ltocf settings mf` lists all there are",
        "smoothness": None,
    }.items():
        with pytest.raises(ValueError) as caught:
            PLAIN.with_values({"model": "mf", name: 1})
        expected = (
            f"no setting `{name}`; {hint}" if hint else f"no setting `{name}` of mf; it is one of grmf, grmf-norm"
        )
        assert str(caught.value) == expected
    with pytest.raises(ValueError, match="no setting `speed`; there are learning_rate, time_learning_rate"):
        PLAIN.with_training({"speed": 1})


def test_every_setting_is_changed_by_its_own_name_and_nothing_else_is() -> None:
    start = PLAIN.with_values({"preset": "paper", "seed": 3, "l2": 0.5, "min_rating": 2})
    changed = start.with_values({"source": "log.csv", "learning_rate": 1, "threads": 2, "horizon": 3})
    assert changed == Config(
        replace(start.data, source="log.csv"),
        "ltocf",
        {**start.options, "horizon": 3.0},
        replace(start.training, learning_rate=1.0),
        replace(start.run, threads=2),
    )
    assert [type(value) for value in (changed.training.learning_rate, changed.data.min_rating)] == [float, float]
    assert start.with_training({"epochs": 2}) == replace(start, training=replace(start.training, epochs=2))
    assert changed.runtime() == Runtime("auto", 2)
    assert start.with_values({"device": "cpu"}).runtime() == Runtime("cpu", 0)


def test_another_model_or_preset_keeps_data_and_run_and_starts_from_its_own_recipe() -> None:
    start = PLAIN.with_values({"seed": 3, "min_rating": 2, "epochs": 77, "dim": 5})
    for values, model, preset in (
        ({"model": "mf"}, "mf", "fast"),
        ({"preset": "paper"}, "ltocf", "paper"),
        ({"model": "mf", "preset": "paper"}, "mf", "paper"),
    ):
        expected = Config(start.data, model, run=replace(start.run, preset=preset, init=None))
        assert start.with_values(values) == expected
        assert start.with_values({**values, "dim": 6}) == replace(expected, options={**expected.options, "dim": 6})
    assert start.with_values({"model": "ltocf", "preset": "fast"}) == start


@pytest.mark.parametrize(
    ("values", "init"),
    [
        ({}, "spectral"),
        ({"model": "mf"}, "spectral"),
        ({"model": "mult-vae"}, "random"),
        ({"preset": "paper"}, "random"),
    ],
)
def test_initial_embeddings_come_from_the_preset(values: dict[str, str], init: str) -> None:
    assert PLAIN.with_values(values).run.init == init
    assert Config.from_toml("", "gowalla", values).run.init == init
    written = PLAIN.with_values(values).to_toml()
    assert Config.from_toml(written, complete=True).run.init == init
    assert Config.from_toml(written.replace(f'init = "{init}"\n', ""), complete=True).run.init == "random"


@pytest.mark.parametrize("values", [{}, {"model": "lightgcn"}, {"preset": "paper"}])
def test_initial_embeddings_that_are_given_are_kept(values: dict[str, str]) -> None:
    assert PLAIN.with_values({"init": "mf"}).with_values(values).run.init == "mf"
    assert Config.from_toml('[run]\ninit = "mf"', "gowalla", values).run.init == "mf"


def test_settings_that_may_change_between_two_calls_of_a_run_do_not_matter() -> None:
    elsewhere = {"source": "b", "data_dir": "sets", "max_minutes": 3.0, "device": "cpu", "threads": 4}
    assert PLAIN.with_values({**elsewhere, "tensorboard": True}).that_matters() == PLAIN.that_matters()
    names = {name for table in PLAIN.tables().values() for name in table}
    assert names - {name for table in PLAIN.that_matters().values() for name in table} == {*elsewhere, "tensorboard"}
    assert PLAIN.tables()["model"] == {"name": "ltocf", **PLAIN.options}
    assert "init_l2" not in PLAIN.tables()["run"], "TOML has no null"


def test_given_values_come_before_those_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        '[data]\nsource = "théâtre"\nsplit_seed = 2\n[model]\nname = "mf"\ndim = 5\n[run]\nseed = 3', encoding="utf-8"
    )
    plain = Config.from_file(str(path))
    assert (plain.data, plain.model, plain.options["dim"]) == (DataSettings("théâtre", split_seed=2), "mf", 5)
    assert (plain.run.preset, plain.run.seed) == ("fast", 3)
    changed = Config.from_file(path, "gowalla", {"dim": 7, "seed": 4, "preset": "paper"})
    assert (changed.data, changed.options["dim"]) == (DataSettings("gowalla", split_seed=2), 7)
    assert changed.run == RunSettings(seed=4, preset="paper", init="random")
    assert Config.from_file(path, values={"model": "mf"}).options["dim"] == 5
    assert Config.from_file(path, values={"model": "lightgcn"}).options["dim"] == model_options("lightgcn")["dim"]
    assert Config.from_toml("", "gowalla") == PLAIN
    with pytest.raises(FileNotFoundError, match=r"no configuration file at .*missing\.toml"):
        Config.from_file(tmp_path / "missing.toml")
