"""The share of a process as a DTensor, from which any layout of processes can read a checkpoint.

    mesh = columns x nodes;   placements = (Shard(1), Replicate())

A process has all nodes of its columns here, also if it trains a block of them. The processes with the same columns have
the same values, so that `torch.distributed.checkpoint` writes each number once and divides the work among them.

Source: https://docs.pytorch.org/docs/stable/distributed.checkpoint.html
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import pad

COLUMNS, NODES = "columns", "nodes"
"""The dimensions of the mesh."""


def sharded(
    columns: Tensor, n_columns: int, column_group: dist.ProcessGroup | None, node_group: dist.ProcessGroup | None = None
) -> Tensor:
    """A DTensor of shape (nodes, ``n_columns``) on the CPU, of which this process has ``columns``.

    Args:
        columns: the columns of this process for all nodes, and zeros if they do not divide evenly.
        n_columns: how many columns all processes have together, without zeros.
        column_group: the processes with the same nodes, one for each share of the columns; None: all processes.
        node_group: the processes with the same columns, one for each block of nodes; None: there are no blocks.
    """
    # Takes a second, and only a checkpoint of several processes needs it.
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor import DTensor, Replicate, Shard

    group = column_group or dist.group.WORLD
    assert group is not None
    if node_group is None:
        mesh = DeviceMesh.from_group(group, "cpu", mesh_dim_names=(COLUMNS,))
    else:
        ranks = torch.arange(dist.get_world_size()).view(dist.get_world_size(group), -1)
        mesh = DeviceMesh.from_group([group, node_group], "cpu", ranks, mesh_dim_names=(COLUMNS, NODES))
    first = dist.get_rank(group) * columns.shape[1]
    own = columns.detach()[:, : max(0, n_columns - first)].cpu().contiguous()
    placements = [Shard(1), Replicate()][: mesh.ndim]
    shape = (len(columns), n_columns)
    return DTensor.from_local(own, mesh, placements, run_check=False, shape=torch.Size(shape), stride=(n_columns, 1))


def columns_of(shard: Tensor, n_shares: int) -> Tensor:
    """The columns of this process in a DTensor made by `sharded`, with columns of zeros again; on the CPU."""
    from torch.distributed.tensor import DTensor

    assert isinstance(shard, DTensor)
    own = shard.to_local()
    return pad(own, (0, -(-shard.shape[1] // n_shares) - own.shape[1]))
