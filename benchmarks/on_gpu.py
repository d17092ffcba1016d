"""Everything that is measured on a GPU, in one call: tests, steps, an epoch, ranking, and whole runs on Gowalla.

    python benchmarks/on_gpu.py --data data --out gpu

Each part is a process of its own and writes its file into the folder; `summary.json` has their seconds and exit codes,
and is written after each, so that a call that is cut short keeps what it has. ``--only`` repeats some parts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import torch

from ltocf.files import write_text
from ltocf.training import environment

HERE = Path(__file__).resolve().parent
TESTS = [f"tests/{folder}" for folder in ("contracts", "training", "serving", "graph", "ode")]
LARGE = "--contenders=filter,lightgcn"


def commands(data: Path, out: Path, device: str, dataset: str, n_large: int) -> dict[str, list[str]]:
    """The arguments of each part, the quick ones first."""
    on_device = [f"--dataset={dataset}", f"--device={device}"]
    run = ["-m", "ltocf", "train", dataset, f"--data-dir={data}", "--replace", "--set", f"device={device}"]
    fast = ["--set", f"cuda_graphs={str(device == 'cuda').lower()}", "--set", "dim=64"]
    step = str(HERE / "step.py")
    return {
        "tests": ["-m", "pytest", "-q", *TESTS, "-k", "gpu or cuda or recorded or replayed"],
        "step": [step, *on_device, "--details", f"--out={out / 'step.json'}"],
        "ranking": [str(HERE / "ranking.py"), *on_device, f"--out={out / 'ranking.json'}"],
        "ltocf": [*run, *fast, "--model", "ltocf", "--out", str(out / "ltocf")],
        "spectral": [*run, "--model", "spectral", "--out", str(out / "spectral")],
        "recorded steps": [str(HERE / "cuda_graphs.py"), f"--out={out / 'cuda-graphs.json'}"],
        "large step": [
            *(step, f"--synthetic={n_large}", f"--device={device}", LARGE, "--details", "--no-comparison", "--quick"),
            f"--out={out / 'step-large.json'}",
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds Gowalla")
    parser.add_argument("--out", type=Path, required=True, help="a folder")
    parser.add_argument("--only", nargs="+", default=[], help="some parts")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dataset", default="gowalla")
    parser.add_argument("--large", type=int, default=50_000_000, help="pairs of the large log")
    arguments = parser.parse_args()
    data, out = arguments.data.resolve(), arguments.out.resolve()
    parts = commands(data, out, arguments.device, arguments.dataset, arguments.large)
    if unknown := set(arguments.only) - set(parts):
        parser.error(f"{', '.join(unknown)} is not among {', '.join(parts)}")
    out.mkdir(parents=True, exist_ok=True)
    file = out / "summary.json"
    summary = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"parts": {}}
    for name in arguments.only or parts:
        started = perf_counter()
        print(f"== {name}", flush=True)
        ended = subprocess.run([sys.executable, *parts[name]], cwd=HERE.parent, check=False)
        summary["parts"][name] = {"seconds": perf_counter() - started, "exit_code": ended.returncode}
        print(f"== {name}: {summary['parts'][name]}", flush=True)
        summary["environment"] = environment(torch.device(arguments.device))
        write_text(file, json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    main()
