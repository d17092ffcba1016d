"""``ltocf bench``: the quick measurements as a command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from rich.console import Console

from ltocf.bench.quick import quick_bench, tables
from ltocf.cli.output import draw, print_json, say
from ltocf.cli.reading import Reading
from ltocf.files import write_text
from ltocf.installation import how_to_install
from ltocf.training import Runtime
from ltocf.training.runtime import keep_freed_memory

DEFAULT_SOURCE = "movielens-small"


def bench(
    source: str | None = None,
    /,
    *,
    out: Path | None = None,
    data_dir: Path | None = None,
    device: str = "auto",
    threads: int = 0,
    dim: int = 64,
    batch_size: int = 2048,
    repeats: int = 3,
    reading: Reading | None = None,
    format: Literal["table", "json"] = "table",
) -> None:
    """Time a training step and an evaluation, here and in other programs; those not installed are named and skipped.

    Parameters
    ----------
    source
        A catalog name, a folder with train.txt and test.txt, or a table file; by default movielens-small.
    out
        A JSON file for everything measured.
    data_dir
        Folder of the data sets that have a name; default: LTOCF_DATA.
    device
        auto, cpu or cuda.
    threads
        CPU threads; 0: PyTorch's choice.
    dim
        Length of an embedding.
    batch_size
        Number of triples in the batch of a step.
    repeats
        How many steps and evaluations are timed.
    format
        table, or json for programs.
    """
    reading = reading or Reading()
    keep_freed_memory()
    result = quick_bench(
        reading.source(source) or DEFAULT_SOURCE,
        data_dir=data_dir,
        dim=dim,
        batch_size=batch_size,
        repeats=repeats,
        runtime=Runtime(device, threads),
        say=Console(stderr=True, highlight=False, soft_wrap=True).print,
        options=reading.options(),
    )
    if format == "json":
        print_json(result)
    else:
        draw(*tables(result))
        reasons = (*result["step"]["skipped"].values(), *result["ranking"]["skipped"].values())
        if any("installed" in reason for reason in reasons):
            say(f"programs that are not installed are in the `bench` extra: {how_to_install('bench')}")
    if out is not None:
        write_text(out, json.dumps(result, indent=2) + "\n")
