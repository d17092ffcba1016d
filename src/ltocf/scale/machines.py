"""The constants of `ltocf.scale.plan`: what was measured, by which file, and what is taken from data sheets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

GB, TB = 1e9, 1e12

Kind = Literal["measured", "assumed"]


class Constant(NamedTuple):
    """A number of the model: what it is, and where it comes from."""

    meaning: str
    value: float
    unit: str
    kind: Kind
    source: str


@dataclass(frozen=True)
class Machine:
    """A device and its connections; each number is a `Constant`.

    Args:
        name: name of the device.
        memory: bytes of one device.
        bandwidth: bytes a second of its memory.
        share: share of the bandwidth that a step's sparse products reach.
        line: bytes that are read at once, however short a row is.
        flops: operations a second of the loss.
        starting: seconds of a step in one piece that do not depend on the graph.
        link: bytes a second between devices of one machine, one way.
        network: bytes a second between machines, for each device.
        message: seconds of a message that do not depend on its length.
        per_machine: number of devices of one machine.
    """

    name: str
    memory: Constant
    bandwidth: Constant
    share: Constant
    line: Constant
    flops: Constant
    starting: Constant
    link: Constant
    network: Constant
    message: Constant
    per_machine: int = 8

    def constants(self) -> list[Constant]:
        """All constants of the device, in order."""
        return [value for value in vars(self).values() if isinstance(value, Constant)]


_SHARE = Constant(
    "share of the bandwidth that the products of a large graph reach",
    0.45,
    "",
    "measured",
    "results/speed/step-synthetic-50m.json over the triad in results/speed/step-gowalla-d64-b2048.json",
)
_CARRIED_OVER = _SHARE._replace(kind="assumed", source=f"as measured on a CPU: {_SHARE.source}")
_NOTHING = Constant("no other device", 1.0, "byte/s", "assumed", "one process")

CPU = Machine(
    "two cores of an AMD EPYC",
    memory=Constant("memory", 32 * GB, "byte", "assumed", "of the machine at hand, see free"),
    bandwidth=Constant(
        "memory bandwidth, triad", 33.1 * GB, "byte/s", "measured", "results/speed/step-gowalla-d64-b2048.json"
    ),
    share=_SHARE,
    line=Constant("bytes of a line of the cache", 64, "byte", "assumed", "x86-64"),
    flops=Constant(
        "operations of the softmax",
        93 * GB,
        "1/s",
        "measured",
        "`SECONDS_PER_SAMPLE` of ltocf.runs.estimate: 45 µs for 8,192 negatives of dim 64",
    ),
    starting=Constant("starting a piece", 0.001, "s", "assumed", "a few hundred calls of operators"),
    link=_NOTHING,
    network=_NOTHING,
    message=_NOTHING._replace(value=0.0, unit="s"),
    per_machine=1,
)

H200 = Machine(
    "H200",
    memory=Constant("memory", 141 * GB, "byte", "assumed", "https://www.nvidia.com/en-us/data-center/h200/"),
    bandwidth=Constant(
        "memory bandwidth", 4.8 * TB, "byte/s", "assumed", "https://www.nvidia.com/en-us/data-center/h200/"
    ),
    share=_CARRIED_OVER,
    line=Constant(
        "bytes of a sector",
        32,
        "byte",
        "assumed",
        "https://docs.nvidia.com/cuda/cuda-c-best-practices-guide/#coalesced-access-to-global-memory",
    ),
    flops=Constant(
        "operations of the softmax, half of the peak of single precision",
        33.5 * TB,
        "1/s",
        "assumed",
        "https://www.nvidia.com/en-us/data-center/h200/",
    ),
    starting=Constant(
        "starting the kernels of a step in one piece",
        0.0104,
        "s",
        "measured",
        "results/speed/cuda-graphs-h200.json, ltocf without recorded steps",
    ),
    link=Constant(
        "NVLink, one way, 0.7 of the peak",
        0.7 * 450 * GB,
        "byte/s",
        "assumed",
        "https://www.nvidia.com/en-us/data-center/h200/ (900 GB/s both ways)",
    ),
    network=Constant(
        "InfiniBand of a GPU, 0.7 of the peak",
        0.7 * 50 * GB,
        "byte/s",
        "assumed",
        "https://docs.nvidia.com/dgx/dgxh100-user-guide/introduction-to-dgxh100.html (400 Gb/s)",
    ),
    message=Constant("a message of any length", 30e-6, "s", "assumed", "a round of NCCL; not measured here"),
)

_H100_SHEET = "https://www.nvidia.com/en-us/data-center/h100/"
H100 = replace(
    H200,
    name="H100",
    memory=H200.memory._replace(value=80 * GB, source=_H100_SHEET),
    bandwidth=H200.bandwidth._replace(value=3.35 * TB, source=_H100_SHEET),
    flops=H200.flops._replace(source=_H100_SHEET),
    link=H200.link._replace(source=f"{_H100_SHEET} (900 GB/s both ways)"),
    starting=H200.starting._replace(kind="assumed", source=f"as on an H200: {H200.starting.source}"),
)

MACHINES = {"h200": H200, "h100": H100, "cpu": CPU}
"""Devices by the name that ``ltocf plan --gpu`` takes."""
