"""The settings of the loop: their limits, the rates by formula, the batch size that follows the data."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from ltocf.training import TrainingSettings

SETTINGS = TrainingSettings()


@pytest.mark.parametrize("name", ["learning_rate", "epochs", "validate_every", "patience"])
def test_settings_that_must_be_positive(name: str) -> None:
    smallest: Any = 1e-9 if name == "learning_rate" else 1
    assert getattr(replace(SETTINGS, **{name: smallest}), name) == smallest
    for value in (0, -1):
        with pytest.raises(ValueError, match=f"`{name}` must be > 0, got {value}"):
            replace(SETTINGS, **{name: type(smallest)(value)})


@pytest.mark.parametrize("name", ["batch_size", "time_learning_rate", "l2", "max_minutes", "validation_users"])
def test_settings_that_must_not_be_negative(name: str) -> None:
    kind = type(getattr(SETTINGS, name))
    assert getattr(replace(SETTINGS, **{name: kind(0)}), name) == 0
    with pytest.raises(ValueError, match=f"`{name}` must be >= 0, got -1"):
        replace(SETTINGS, **{name: kind(-1)})


@pytest.mark.parametrize("name", ["learning_rate", "l2", "warm_up"])
def test_settings_that_must_be_a_number(name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must be .*, got nan"):
        replace(SETTINGS, **{name: math.nan})


@pytest.mark.parametrize("warm_up", [-0.1, 1.0, 1.5])
def test_warm_up_is_a_share(warm_up: float) -> None:
    assert replace(SETTINGS, warm_up=0.999).warm_up == 0.999
    with pytest.raises(ValueError, match=rf"`warm_up` must be in \[0, 1\), got {warm_up}"):
        replace(SETTINGS, warm_up=warm_up)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("time_updates", "joint, alternating"),
        ("schedule", "constant, cosine"),
        ("retraining", "compressed, repeated, continued"),
    ],
)
def test_settings_with_a_choice_refuse_other_values(name: str, known: str) -> None:
    for value in known.split(", "):
        assert getattr(replace(SETTINGS, **{name: value}), name) == value
    with pytest.raises((ValueError, TypeError), match=rf"`{name}` must be one of {known}, got 'often'|Type-check"):
        replace(SETTINGS, **{name: "often"})


@pytest.mark.parametrize(
    ("n_pairs", "size"), [(0, 256), (25_600, 256), (25_700, 257), (60_099, 600), (819_200, 8192), (10**7, 8192)]
)
def test_a_batch_is_a_hundredth_of_the_pairs_within_limits(n_pairs: int, size: int) -> None:
    assert replace(SETTINGS, batch_size=0).batch_size_for(n_pairs) == size
    assert replace(SETTINGS, batch_size=7).batch_size_for(n_pairs) == 7


AUTO = replace(SETTINGS, batch_size=0)


@pytest.mark.parametrize(
    ("n_pairs", "steps"),
    [
        (0, (256, 1)),
        (810_128, (8101, 1)),
        (1_237_259, (8192, 1)),
        (1_250_000, (8192, 1)),
        (2_000_000, (15_092, 2)),
        (10_000_000, (122_295, 15)),
        (50_000_000, (990_987, 121)),
        (200_000_000, (6_008_221, 734)),
    ],
)
def test_a_batch_in_pieces_grows_with_the_log(n_pairs: int, steps: tuple[int, int]) -> None:
    assert AUTO.steps_for(n_pairs, 8192) == steps
    assert AUTO.steps_for(n_pairs, None) == (AUTO.batch_size_for(n_pairs), 1)
    assert replace(AUTO, cuda_graphs=True).steps_for(n_pairs, 8192) == (AUTO.batch_size_for(n_pairs), 1)


def test_a_given_batch_size_is_kept_and_cut_into_pieces() -> None:
    given = replace(SETTINGS, batch_size=32_769)
    assert [given.steps_for(10**7, piece) for piece in (8192, 32_768, None)] == [(32_769, 5), (32_769, 2), (32_769, 1)]
    assert replace(given, cuda_graphs=True).steps_for(10**7, 8192) == (32_769, 1)


@pytest.mark.parametrize("n_pairs", [1_250_001, 1_300_000, 10**7, 10**8, 10**9])
def test_beyond_1_25_million_pairs_a_batch_grows_faster_than_the_log(n_pairs: int) -> None:
    size, n_pieces = AUTO.steps_for(n_pairs, 8192)
    assert (n_pieces - 1) * 8192 < size <= n_pieces * 8192
    tenfold, _ = AUTO.steps_for(10 * n_pairs, 8192)
    assert tenfold / size == pytest.approx(10**1.3, rel=1e-3)
    assert n_pairs / size > 20, "steps of a pass"


@pytest.mark.parametrize("warm_up", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("progress", [0.0, 0.1, 0.25, 0.5, 0.7, 0.99])
def test_rates_rise_in_proportion_then_stay_or_fall_along_a_cosine(progress: float, warm_up: float) -> None:
    rising = progress < warm_up
    constant = replace(SETTINGS, warm_up=warm_up).rate(progress)
    assert constant == (progress / warm_up if rising else 1.0)
    cosine = replace(SETTINGS, warm_up=warm_up, schedule="cosine").rate(progress)
    fallen = math.cos(math.pi / 2 * (progress - warm_up) / (1 - warm_up)) ** 2  # (1 + cos 2x) / 2 = cos² x
    assert cosine == pytest.approx(progress / warm_up if rising else fallen, abs=1e-12)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, math.nan])
def test_an_epoch_is_a_share_of_a_pass(share: float) -> None:
    assert replace(SETTINGS, epoch_share=0.01).epoch_share == 0.01
    with pytest.raises(ValueError, match=rf"`epoch_share` must be in \(0, 1\], got {share}"):
        replace(SETTINGS, epoch_share=share)


def test_the_rate_scales_with_the_root_of_the_batch_size_up_to_8192() -> None:
    settings = replace(SETTINGS, learning_rate=0.03, scale_rate=True)
    assert settings.for_batch(8192).learning_rate == 0.03
    assert settings.for_batch(2048).learning_rate == pytest.approx(0.015)
    assert settings.for_batch(32_768).learning_rate == 0.03, "not beyond the rate that was chosen"
    assert settings.for_batch(2048).for_batch(512).learning_rate == pytest.approx(0.015), "scaled once"
    assert SETTINGS.for_batch(512) == SETTINGS
