"""The settings that `train`, `fit` and others take as keywords, with their types, so that editors complete them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from ltocf.losses import LossName
from ltocf.models.blend import Member
from ltocf.models.ltocf import Precision, Propagation
from ltocf.models.objective import RankingName
from ltocf.models.variants import Variant
from ltocf.ode.scalar import Operator
from ltocf.ode.solvers import Connection, SolverName


class ReadingSettings(TypedDict, total=False):
    """How a log is read, the fields of `ReadOptions`; all may be left out."""

    user_column: str | None
    item_column: str | None
    timestamp_column: str | None
    rating_column: str | None
    weight_column: str | None
    title_column: str | None
    min_rating: float | int | None
    only: Mapping[str, Any] | None
    drop: Mapping[str, Any] | None
    event_weights: Mapping[str, Mapping[str, float | int]] | None
    partial: bool | None
    timestamp_format: str | None
    since: str | None
    until: str | None
    min_user_interactions: int | None
    min_item_interactions: int | None
    separator: str | None
    encoding: str | None
    header: bool | None
    columns: Sequence[str] | None
    query: str | None
    items: Any
    item_id_column: str | None
    lines_in_time: bool | None


class Settings(ReadingSettings, total=False):
    """Every setting of a run by its name; all may be left out. ``ltocf settings MODEL`` says what each means.

    Those of models come first; each belongs to some models, and the others refuse it.
    """

    # models
    dim: int
    horizon: float
    n_times: int
    solver: SolverName
    connection: Connection
    learnable_times: bool
    operator: Operator
    steps_per_interval: int
    propagation: Propagation
    adjoint: bool
    tolerance: float
    precision: Precision
    rtol: float
    atol: float
    rank: int
    user_exponent: float
    item_exponent: float
    recency: str
    penalty: float
    max_gigabytes: float
    k: int
    shrinkage: float
    alpha: float
    beta: float
    nearness: float
    history_exponent: float
    window: int
    confidence: float
    iterations: int
    members: Sequence[Member]
    n_layers: int
    message_dropout: float
    node_dropout: float
    variant: Variant
    dropout: float
    n_neighbours: int
    n_walks: int
    walk_length: int
    margin: float
    distinct_users: bool
    n_orders: int
    smoothness: float
    hidden: int
    largest_beta: float
    annealing_steps: int
    n_hops: int
    n_negatives: int
    loss: LossName
    temperature: float | int
    adaptive_temperature: float
    robustness: float
    whole_catalogue: bool
    ranking: RankingName
    popularity: float
    choose_ranking: bool

    # training
    learning_rate: float
    time_learning_rate: float
    scale_rate: bool
    l2: float
    batch_size: int
    epochs: int
    epoch_share: float
    validate_every: int
    validation_users: int
    patience: int
    retraining: Literal["compressed", "repeated", "continued"]
    extrapolate_recency: bool
    time_updates: Literal["joint", "alternating"]
    schedule: Literal["constant", "cosine"]
    warm_up: float
    max_minutes: float
    cuda_graphs: bool

    # run
    seed: int
    init: str | None
    init_epochs: int
    init_l2: float | None
    device: str
    threads: int
    select_on: Literal["validation", "test"]
    select_by: str
    test_users: int
    preset: str
    tensorboard: bool

    # data
    data_dir: str | Path
    split: str
    test_fraction: float
    validation_fraction: float
    validation_split: str
    validation_core: int
    core: int
    split_seed: int
