"""The work of each process in the tests of `ltocf.scale`, and how the processes are started.

A fork server imports everything once; a process then starts at once and is as clean as a spawned one.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
from torch.distributed.tensor.debug import CommDebugMode

import ltocf
from ltocf.data import Interactions
from ltocf.evaluation import evaluate
from ltocf.evaluation.ranks import ALONE, Ranks
from ltocf.graph import BipartiteGraph
from ltocf.models import GradientRecommender, build_model
from ltocf.runs import protocol
from ltocf.sampling import Portions
from ltocf.scale.blocks import Blocks
from ltocf.scale.columns import Columns
from ltocf.training import TrainingSettings
from ltocf.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from ltocf.training.step import Stepper
from samples import random_interactions

STEPS, BATCH = 20, 33
SOFTMAX = {"loss": "softmax", "n_negatives": 9}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "mf, BPR": ("mf", {}, {}),
    "mf, BPR, adaptive temperature": ("mf", {"adaptive_temperature": 0.5, "popularity": 0.7}, {}),
    "lightgcn, softmax": ("lightgcn", SOFTMAX | {"ranking": "cosine", "popularity": 1.0}, {}),
    "ltocf, no times": ("ltocf", {"n_times": 0}, {}),
    "ltocf, residual, one time": (
        "ltocf",
        {"n_times": 1, "connection": "residual", "horizon": 2.0, "precision": "bfloat16"},
        {},
    ),
    "ltocf, two times by turns": ("ltocf", {"n_times": 2, "solver": "euler"}, {"time_updates": "alternating"}),
    "ltocf, three times, everything": (
        "ltocf",
        SOFTMAX | {"n_times": 3, "adaptive_temperature": 0.5, "robustness": 0.2, "operator": "laplacian"},
        {},
    ),
    "ltocf, whole catalogue": ("ltocf", SOFTMAX | {"n_negatives": 100, "whole_catalogue": True}, {}),
    "lr-gccf, softmax": ("lr-gccf", SOFTMAX | {"ranking": "cosine"}, {}),
    "grmf-norm": ("grmf-norm", {"smoothness": 0.5}, {}),
    "hop-rec": ("hop-rec", {}, {}),
    "mf, BPR, in pieces": ("mf", {}, {"pieces": 3}),
    "ltocf, softmax, everything, in pieces": (
        "ltocf",
        SOFTMAX | {"n_times": 2, "adaptive_temperature": 0.5, "robustness": 0.2},
        {"pieces": 3, "time_updates": "alternating"},
    ),
    "grmf, in pieces": ("grmf", {"smoothness": 0.5}, {"pieces": 2}),
    "hop-rec, in pieces": ("hop-rec", {}, {"pieces": 3}),
}
"""Model, model options and training settings of each case; ``pieces`` is the number of batches in a step."""


def trained(case: str, ranks: Ranks) -> dict[str, Any]:
    """Losses, penalties and all parameters after each step, and the metrics at the end."""
    name, options, settings = CASES[case]
    log = random_interactions(31, 40)
    model = build_model(name, BipartiteGraph.from_interactions(log), {"dim": 6, **options}, seed=3)
    assert isinstance(model, GradientRecommender)
    arguments = {"l2": 0.1, "learning_rate": 0.01, "time_learning_rate": 0.05} | settings
    portions = Portions(model.batches(log, BATCH, 0), 1, arguments.pop("pieces", 1))
    rates = TrainingSettings(**arguments)
    terms: list[Tensor] = []
    states: list[dict[str, Tensor]] = []
    with ranks.divided(model, log, torch.device("cpu")):
        stepper, epoch = Stepper(model, rates), 0
        steps, widths = stepper.steps(), model.columns()
        while len(states) < STEPS:
            for batch in portions.steps(epoch):
                terms += [torch.stack(step(*batch)) for step in steps]
                states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
            epoch += 1
        ranking, l2 = torch.stack(terms).unbind(1)
        parameters = {name: torch.stack([state[name] for state in states]) for name in states[0]}
        for name, width in widths.items():
            parameters[name] = torch.stack([ranks.all_nodes(state[name])[:, :width] for state in states])
        model.eval()
        metrics = evaluate(model.scorer(), log, seen=None, ks=[5], ranks=ranks)
    return {"losses": ranking, "l2": ranks.everyone().total(l2), "metrics": metrics} | parameters


def compare_with_one(folder: Path, n_blocks: int) -> None:
    """Train every case with all processes together; process 0 writes the results to a file."""
    cases = list(CASES)[:: dist.get_world_size() // 2]  # with four processes, every other case
    results = {case: trained(case, ranks_of(n_blocks)) for case in cases}
    if not dist.get_rank():
        (folder / f"{dist.get_world_size()}-{n_blocks}").write_bytes(pickle.dumps(results))


def ranks_of(n_blocks: int) -> Ranks:
    """All processes, with this number of blocks of nodes."""
    return Columns.of_group() if n_blocks == 1 else Blocks.of_group(n_blocks)


def start(world: int, work: Callable[..., None], *arguments: Any) -> list[int]:
    """Run ``work`` in ``world`` processes with the environment that torchrun gives; returns their exit codes."""
    context = get_context("forkserver")
    # torch._dynamo is imported by Adam's first step, pytest by the main program of every process.
    context.set_forkserver_preload([__name__, "torch._dynamo", "pytest"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [context.Process(target=_run, args=(rank, world, port, work, arguments)) for rank in range(world)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
        process.kill()
        process.join()  # otherwise the exit code of a killed process may not be known yet, and count as 0
    return [process.exitcode or 0 for process in processes]


def in_group(work: Callable[..., None], *arguments: Any) -> None:
    """Do ``work`` in a process group of all started processes."""
    dist.init_process_group("gloo")
    try:
        work(*arguments)
    finally:
        dist.destroy_process_group()


def _run(rank: int, world: int, port: int, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    variables = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in variables.items()} | {"TORCHELASTIC_RUN_ID": "test"}
    work(*arguments)


def train_run(folder: Path, settings: Mapping[str, Any], source: Any) -> None:
    """Call ``ltocf.train``; every process writes the metrics it got to a file."""
    metrics = ltocf.train(source, folder, show_progress=False, **settings)
    (folder.parent / f"metrics-{os.environ['RANK']}").write_bytes(pickle.dumps(metrics))


def in_blocks(n_blocks: int, work: Callable[..., None], *arguments: Any) -> None:
    """Do ``work`` with the number of blocks of nodes set in the environment."""
    os.environ["LTOCF_NODE_BLOCKS"] = str(n_blocks)
    work(*arguments)


def resume_run(folder: Path) -> None:
    """Call ``ltocf.resume``."""
    ltocf.resume(folder, show_progress=False)


def train_and_die(folder: Path, settings: Mapping[str, Any], source: Any, epochs: int) -> None:
    """As `train_run`, but process 1 is killed after this many epochs; the others write their error to a file."""
    loop = import_module("ltocf.training.fit")  # by its path: `ltocf.training.fit` is the function of that name
    save, saved = loop.save_checkpoint, 0

    def save_and_die(*arguments: Any) -> None:
        nonlocal saved
        save(*arguments)
        saved += 1
        if saved == epochs and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)

    loop.save_checkpoint = save_and_die
    protocol.FitContext = partial(protocol.FitContext, seconds_between_checkpoints=0.0)  # type: ignore[misc]
    try:
        train_run(folder, settings, source)
    except ConnectionError as error:
        (folder.parent / f"error-{os.environ['RANK']}").write_text(f"{type(error).__name__}: {error}")


def alone(case: str) -> dict[str, Any]:
    """The results of a case in one process."""
    return trained(case, ALONE)


def count_messages(folder: Path, options: Mapping[str, Any]) -> None:
    """Write the collectives of one step to a file: their names and sizes, and the mean bytes sent per process."""
    counted: list[tuple[str, int, float]] = []
    ranks = ranks_of(options.get("blocks", 1))
    log = random_interactions(31, 40)
    model = build_model(options["model"], BipartiteGraph.from_interactions(log), dict(options["options"]))
    assert isinstance(model, GradientRecommender)
    batch = next(Portions(model.batches(log, BATCH, 0), 1, options["pieces"]).steps(0))
    collectives = {"all_reduce": dist.all_reduce, "all_gather": dist.all_gather, "all_to_all": dist.all_to_all_single}

    def counting(name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            tensor = arguments[0] if name == "all_reduce" else arguments[1]
            group = keywords["group"]
            world = dist.get_world_size(group)
            share = {
                "all_reduce": 2 * (world - 1) / world,
                "all_gather": world - 1.0,
                "all_to_all": (world - 1) / world,
            }
            sent = share[name] * tensor.numel()
            if len(arguments) > 2:  # rows that do not divide evenly: those for the other processes
                sizes = arguments[3]
                sent = tensor.numel() * (1 - sizes[dist.get_rank(group)] / sum(sizes))
            counted.append((name, tensor.numel(), sent))
            return collectives[name](*arguments, **keywords)

        return call

    with ranks.divided(model, log, torch.device("cpu")):
        (step,) = Stepper(model, TrainingSettings()).steps()
        dist.all_reduce, dist.all_gather, dist.all_to_all_single = map(counting, collectives)
        with CommDebugMode() as counted_by_torch:
            step(*batch)
        dist.all_reduce, dist.all_gather, dist.all_to_all_single = collectives.values()
    assert counted_by_torch.get_total_counts() == len(counted), "a collective that was not counted"
    sent = ranks.everyone().total(torch.tensor([sent for _, _, sent in counted]).sum()) / ranks.world
    if not ranks.rank:
        messages = [(name, numbers) for name, numbers, _ in counted]
        (folder / options["label"]).write_bytes(pickle.dumps((messages, 4 * sent.item())))


def count_all(folder: Path, cases: list[Mapping[str, Any]]) -> None:
    """Call `count_messages` for each case."""
    for options in cases:
        count_messages(folder, options)


def write_checkpoints(folder: Path, layouts: Mapping[str, Ranks | int]) -> None:
    """Train with each layout and write a checkpoint; process 0 writes the whole state to a file beside it."""
    for name, layout in layouts.items():
        ranks = ranks_of(layout) if isinstance(layout, int) else layout
        model, log = _model_to_checkpoint(seed=3)
        (batch,) = Portions(model.batches(log, len(log), 0), 1, 1).steps(0)
        with ranks.divided(model, log, torch.device("cpu")):
            stepper = Stepper(model, TrainingSettings(time_learning_rate=0.05))
            (step,) = stepper.steps()
            step(*batch)
            state = TrainingState(2, 1, best_weights={name: t.clone() for name, t in model.state_dict().items()})
            step(*batch)
            save_checkpoint(folder / f"{name}.safetensors", model, stepper.optimizer, state, "", ranks)
            _write_whole(folder / name, model, stepper.optimizer, state, ranks)


def read_checkpoints(folder: Path, names: Sequence[str], layouts: Mapping[str, Ranks | int]) -> None:
    """Read each checkpoint with each layout; process 0 writes the whole state to a file."""
    for name, (reader, layout) in product(names, layouts.items()):
        ranks = ranks_of(layout) if isinstance(layout, int) else layout
        model, log = _model_to_checkpoint(seed=4)
        with ranks.divided(model, log, torch.device("cpu")):
            optimizer = Stepper(model, TrainingSettings(time_learning_rate=0.05)).optimizer
            state = load_checkpoint(folder / f"{name}.safetensors", model, optimizer, "", ranks)
            _write_whole(folder / f"{name} read by {reader}", model, optimizer, state, ranks)


def fail_to_write(folder: Path, error: Exception) -> None:
    """Let process 1 fail to write its part of a checkpoint; every process writes the error that it gets to a file."""

    def fail(*_: Any) -> None:
        raise error

    if dist.get_rank() == 1:
        HuggingFaceStorageWriter.write_data = fail  # type: ignore[assignment]
    try:
        write_checkpoints(folder, {"two": 1})
    except OSError as found:
        (folder / f"error-{dist.get_rank()}").write_text(f"{type(found).__name__}: {found}")


def _model_to_checkpoint(seed: int) -> tuple[GradientRecommender, Interactions]:
    log = random_interactions(31, 40)
    model = build_model("ltocf", BipartiteGraph.from_interactions(log), {"dim": 6, "n_times": 2}, seed=seed)
    assert isinstance(model, GradientRecommender)
    return model, log


def _write_whole(
    path: Path, model: GradientRecommender, optimizer: torch.optim.Optimizer, state: TrainingState, ranks: Ranks
) -> None:
    """Write all columns of all nodes of weights, best weights and moments, and the counters."""
    parts = {"model": model.state_dict(), "best": state.best_weights}
    parts |= {f"optimizer.{index}": entry for index, entry in optimizer.state_dict()["state"].items()}
    share = model.get_parameter("initial_embeddings").shape
    whole = {
        f"{part}.{name}": ranks.all_nodes(tensor)[:, :6] if tensor.shape == share else tensor
        for part, tensors in parts.items()
        for name, tensor in tensors.items()
    }
    if not ranks.rank:
        counters = {name: value for name, value in vars(state).items() if name != "best_weights"}
        path.write_bytes(pickle.dumps((whole, counters)))
