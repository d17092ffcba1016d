"""The cost of starting: processor time of ``--help`` and of the import, compared with PyTorch's import.

python benchmarks/startup.py
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import torch

from ltocf.training import environment

COMMANDS = {
    "nothing": ["-c", "pass"],
    "import torch": ["-c", "import torch"],
    "import ltocf": ["-c", "import ltocf"],
    "import ltocf; ltocf.train": ["-c", "import ltocf; ltocf.train"],
    "ltocf --help": ["-m", "ltocf", "--help"],
    "ltocf train --help": ["-m", "ltocf", "train", "--help"],
    "ltocf settings": ["-m", "ltocf", "settings"],
}


def processor_seconds(arguments: list[str]) -> float:
    """User and system time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True, timeout=120)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("results/speed/startup.json"))
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(1 + options.repeats):  # in turns, so that a busy moment is shared; the first fills the caches
        for name, arguments in COMMANDS.items():
            seconds[name].append(processor_seconds(arguments))
    medians = {name: statistics.median(times[1:]) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"{name:<28} {median:6.2f} s  {median / medians['import torch']:5.2f} x import torch")
    record = {"median": medians, "seconds": {name: times[1:] for name, times in seconds.items()}}
    record["environment"] = environment(torch.device("cpu"))
    options.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
