"""``ltocf plan``: what training takes on many GPUs, by named constants."""

from __future__ import annotations

from typing import Literal

from ltocf.cli.output import draw, print_json, say, table


def plan(
    *,
    users: int,
    items: int,
    pairs: int,
    dim: int = 64,
    gpus: int = 512,
    gpu: Literal["h200", "h100"] = "h200",
    loss: Literal["softmax", "bpr", "cross-entropy"] = "softmax",
    negatives: int = 8192,
    batch_size: int = 0,
    degree: int = 6,
    n_times: int = 1,
    format: Literal["table", "json"] = "table",
) -> None:
    """Say what training LT-OCF takes on 1, 2, 4, ... GPUs: memory, bytes sent, seconds, and where it stops scaling.

    Parameters
    ----------
    users
        Number of users.
    items
        Number of items.
    pairs
        Number of training pairs.
    dim
        Length of an embedding.
    gpus
        The largest number of GPUs, at most 512; 0: two cores of a CPU instead.
    gpu
        Kind of GPU.
    loss
        Loss of the training.
    negatives
        Number of sampled items that a batch of the softmax shares.
    batch_size
        Pairs per step; 0: the number that training chooses for this many pairs.
    degree
        Degree of the filter: products of the graph forward, and as many backward. The preset fast has 6, the paper's
        settings 10.
    n_times
        Number of learned times.
    format
        table, or json for programs.
    """
    from ltocf.scale.machines import MACHINES
    from ltocf.scale.plan import Work, where_it_stops
    from ltocf.scale.plan import plan as planned

    work = Work(users, items, pairs, dim, loss, negatives, batch_size, degree, n_times)
    machine = MACHINES[gpu if gpus else "cpu"]
    size, pieces = work.batch
    rows = planned(work, machine, gpus or 1)
    stops = where_it_stops(rows)
    constants = machine.constants()
    if format == "json":
        record = {
            "work": work._asdict() | {"batch_size": size, "pieces": pieces},
            "rows": [row.record() for row in rows],
            "stops": stops,
            "constants": [constant._asdict() for constant in constants],
        }
        print_json(record)
        return
    columns = ("devices", "columns x blocks", "GB of each", "GB sent a step", "a step", "an epoch", "most time goes to")
    draw(table(columns, (row.cells() for row in rows), f"{machine.name}, {size:,} pairs a step"))
    if gpus:
        say(stops)
    constant_rows = [(c.meaning, f"{c.value:,.3g} {c.unit}".strip(), c.kind, c.source) for c in constants]
    draw(table(("constant", "value", "", "source"), constant_rows))
