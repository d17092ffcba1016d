"""Files, frames and pairs become `Interactions`, then splits."""

from importlib import import_module
from typing import Any

from ltocf.data.dataset import Dataset
from ltocf.data.histories import Histories
from ltocf.data.ids import UNKNOWN, IdMap
from ltocf.data.interactions import Interactions
from ltocf.data.names import Names
from ltocf.data.readers.catalog import CATALOG, CatalogEntry, find, load_named
from ltocf.data.readers.frame import dataset_from_frame, dataset_from_table
from ltocf.data.readers.objects import to_dataset
from ltocf.data.readers.options import ReadOptions
from ltocf.data.readers.raw import RawTable
from ltocf.data.readers.source import load_dataset
from ltocf.data.readers.tables import TABLE_READERS, read_table
from ltocf.data.readers.text import read_text_folder
from ltocf.data.report import ReadingReport
from ltocf.data.split import Split
from ltocf.data.splitting import (
    SPLITS,
    carve_validation,
    given_split,
    leave_last_out,
    no_split,
    random_split,
    split_dataset,
    time_split,
)
from ltocf.data.statistics import statistics, time_range

__all__ = [
    "CATALOG",
    "SPLITS",
    "TABLE_READERS",
    "UNKNOWN",
    "CatalogEntry",
    "Dataset",
    "Histories",
    "IdMap",
    "Interactions",
    "Names",
    "RawTable",
    "ReadOptions",
    "ReadingReport",
    "Split",
    "carve_validation",
    "dataset_from_frame",
    "dataset_from_table",
    "find",
    "given_split",
    "leave_last_out",
    "load_dataset",
    "load_named",
    "no_split",
    "random_split",
    "read_table",
    "read_text_folder",
    "split_dataset",
    "statistics",
    "time_range",
    "time_split",
    "to_dataset",
]


_IN_SAMPLING = ("Batch", "Batches", "PairwiseBatches", "SharedNegativeBatches")


def __getattr__(name: str) -> Any:
    """Serve the samplers, which were here before they had a package of their own."""
    if name not in _IN_SAMPLING:
        raise AttributeError(f"module 'ltocf.data' has no attribute {name!r}")
    return getattr(import_module("ltocf.sampling"), name)
