"""The settings of a run besides those of its model and its training: of the data, and of the run as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ltocf.data.readers.options import ReadOptions
from ltocf.data.splitting import SPLITS, VALIDATION_SPLITS
from ltocf.evaluation import Metric
from ltocf.models import STARTS
from ltocf.models.core import LARGEST_CORE
from ltocf.runs.presets import PRESETS

SELECT_ON = ("validation", "test")


@dataclass(frozen=True)
class DataSettings(ReadOptions):
    """Where the interactions come from and how they are split; the `ReadOptions` say how a table is read.

    Args:
        source: what `load_dataset` takes as text: a name in the catalog, a folder with train.txt and test.txt, a table
            file, a pattern of such files, or the address of a database; ``<memory>`` for data handed over in Python.
        data_dir: folder of the data sets that have a name; empty: that of the environment variable LTOCF_DATA.
        split: ``auto`` (the given test set, else random), ``given``, ``random``, ``leave-last-out``, ``time``, or
            ``none``: nothing is held back for a test.
        test_fraction: share of test pairs, if the split is made here.
        validation_fraction: share of each user's training pairs that chooses the epoch.
        validation_split: ``random``; ``last``: the latest share of each user's pairs; or ``auto``: made as the test set
            is. If that is known to be the end of histories: as many latest items, or as large a share of them. If
            nothing is held back for a test and histories have an order: ``last``. Else ``random``.
        validation_core: take the validation set from the pairs whose user and item have this many of these pairs, for
            a source that was filtered in this way before its test set was made; 0: all pairs. For models that read no
            order: the other pairs stay in the histories, even if they are later.
        core: the least number of pairs that each item had before the test set was taken out, of a source that was
            filtered in this way; 0: not filtered, or not known. Models of the sampled softmax then expect rare items
            more often in the test set, see `ltocf.models.core`.
        split_seed: seed of the test and validation sets; apart from ``seed``, so that runs with other seeds share one
            split.
    """

    source: str
    data_dir: str = ""
    split: str = "auto"
    test_fraction: float = 0.2
    validation_fraction: float = 0.1
    validation_split: str = "auto"
    validation_core: int = 0
    core: int = 0
    split_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("test_fraction", "validation_fraction"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be in (0, 1), got {getattr(self, name)}")
        if self.validation_core < 0:
            raise ValueError(f"`validation_core` must be >= 0, got {self.validation_core}")
        if not 0 <= self.core <= LARGEST_CORE:
            raise ValueError(f"`core` must be in 0..{LARGEST_CORE}, got {self.core}")
        if self.core and self.validation_core:
            raise ValueError(
                f"`core` and `validation_core` exclude each other, got {self.core} and {self.validation_core}: numbers "
                "that are chosen on pairs of a core have rare items in them already; set one of them to 0"
            )
        for name, known in (("split", SPLITS), ("validation_split", ("auto", *VALIDATION_SPLITS))):
            if getattr(self, name) not in known:
                raise ValueError(f"`{name}` must be one of {', '.join(known)}, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class RunSettings:
    """The settings of the run as a whole.

    Args:
        seed: seed of initialisation and sampling.
        init: initial embeddings: ``random``, ``spectral`` from the truncated SVD of the graph, or ``mf`` from a
            factorisation that is trained first; left out: as the preset has it for the model.
        init_epochs: number of epochs of this factorisation.
        init_l2: L2 weight of this factorisation; left out: that of the run.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: number of CPU threads; 0: PyTorch's choice.
        select_on: ``validation`` chooses the epoch, then training starts again on the whole training set; ``test``
            reports the best epoch on the test set, as the papers do, and the run is marked as such.
        select_by: the metric that chooses the epoch.
        test_users: rank so many random test users in place of all, 0: all. The metrics are then estimates, and say so.
        tensorboard: write the history for TensorBoard too; needs the extra `tracking`.
        preset: the settings to start from: ``fast``, the best found here, or ``paper``, the paper's.
    """

    seed: int = 0
    init: str | None = None
    init_epochs: int = 20
    init_l2: float | None = None
    device: str = "auto"
    threads: int = 0
    select_on: Literal["validation", "test"] = "validation"
    select_by: str = "recall@20"
    test_users: int = 0
    preset: str = "fast"
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name, known in (("select_on", SELECT_ON), ("init", STARTS), ("preset", PRESETS)):
            if getattr(self, name) not in known and (name, self.init) != ("init", None):
                raise ValueError(f"`{name}` must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"`seed` must be in [0, 2^63), got {self.seed}")
        if self.init_epochs < 1:
            raise ValueError(f"`init_epochs` must be >= 1, got {self.init_epochs}")
        if self.test_users < 0:
            raise ValueError(f"`test_users` must be >= 0, got {self.test_users}")
        if self.init_l2 is not None and self.init_l2 < 0:
            raise ValueError(f"`init_l2` must be >= 0, got {self.init_l2}")
        try:
            Metric.parse(self.select_by)
        except ValueError as error:
            raise ValueError(f"`select_by`{str(error).removeprefix('a metric')}") from error
