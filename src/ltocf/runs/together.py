"""Several processes in one run: the first one does the work, the others take part in its training."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ltocf.data import Interactions
from ltocf.evaluation.ranks import Ranks
from ltocf.graph import BipartiteGraph
from ltocf.models import MODELS, GradientRecommender, build_model
from ltocf.runs.config import AUTO, Config
from ltocf.runs.folder import RunFolder
from ltocf.runs.protocol import Experiment
from ltocf.runs.time_budget import TimeBudget
from ltocf.scale.launch import LostProcessError, connected, processes
from ltocf.scale.torchrun import NODE_BLOCKS, node_blocks, place


def together(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what ``work`` returns: the first process does it, the others train with it when it announces a run.

    All of them must see the run folder: the others read data and checkpoint there.

    Raises:
        LostProcessError: another process ended in the middle of a training.
        SystemExit: in the others, when the first one ended before it announced a run; the first one reports why.
    """
    if connected():  # a nested call in the first process
        return work()
    with processes() as ranks:
        if ranks.rank:
            return _follow(ranks)
        result = work()
        ranks.first((None, result))
    return result


def announce(run: RunFolder) -> Ranks:
    """Announce a run, whose folder has configuration and data, to the other processes; returns all processes."""
    with processes() as ranks:
        ranks.first((str(run.path.resolve()), None))
        return ranks


def refuse_if_not_shareable(config: Config) -> None:
    """Refuse a training that the processes cannot share.

    Raises:
        ValueError: a model whose columns are mixed, fewer columns than processes, one GPU for all, or steps recorded as
            CUDA graphs.
    """
    world = place().world
    if world == 1:
        return
    alone = "train it in one process, without torchrun"
    able = ", ".join(name for name in MODELS if name != AUTO and _widths(name, {}))
    if config.model == AUTO:
        raise ValueError(f"auto tries several models, in one process; name a `model` for {world} processes: {able}")
    widths = _widths(config.model, config.options)
    if not widths:
        raise ValueError(
            f"{config.model} with these options mixes the columns of its embeddings, or has none: processes cannot "
            f"share them; {alone}, or take one of {able}"
        )
    if min(widths.values()) < (shares := world // node_blocks(world)):
        what = "the number of processes" if shares == world else f"the number of processes over `{NODE_BLOCKS}`"
        raise ValueError(f"`dim` must be at least {what}, {shares}, got {min(widths.values())}")
    if ":" in config.run.device:
        raise ValueError(
            f"`device` must be auto, cpu or cuda: each process has a GPU of its own, got {config.run.device!r}"
        )
    if config.training.cuda_graphs:
        raise ValueError(f"`cuda_graphs` cannot record what {world} processes exchange; leave it false")


def _widths(name: str, options: Any) -> dict[str, int]:
    smallest = BipartiteGraph.from_interactions(Interactions.from_pairs([0], [0]))
    if not issubclass(MODELS.get(name, GradientRecommender), GradientRecommender):
        return {}
    model = build_model(name, smallest, options)
    return model.columns() if isinstance(model, GradientRecommender) else {}


def _follow(ranks: Ranks) -> dict[str, Any]:
    """Take part in every announced run without output; returns the result of the first process."""
    no_result: dict[str, Any] | None = None
    placeholder = ("", no_result)
    while True:
        try:
            folder, result = ranks.first(placeholder)
        except (RuntimeError, LostProcessError):
            sys.exit(2)
        if result is not None:
            return result
        run = RunFolder(folder)
        config = run.config()
        budget = TimeBudget.of_minutes(config.training.max_minutes)
        with config.runtime().active() as device:
            Experiment(run, config, run.read_data(), device, show_progress=False, budget=budget, ranks=ranks).run()
