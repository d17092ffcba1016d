"""Write every file of results/speed/, one process after the other: about a quarter of an hour on two quiet cores.

    python benchmarks/speed.py                                # all of them
    python benchmarks/speed.py step-yelp2018 ranking-gowalla  # some, by the names of their files
    python benchmarks/speed.py --rehearse --out /tmp/speed    # the small ones once, to see that they work

Needs LTOCF_DATA with gowalla and yelp2018, and `pip install -e '.[bench]'`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from time import perf_counter

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "results" / "speed"
BOTH = "--contenders=filter,lightgcn"
THREE = "--contenders=filter,lightgcn,lightgcn_torch_geometric"
ALL = "--contenders=filter,filter_8_steps,filter_bfloat16,solver_coo,lightgcn_coo,lightgcn_torch_geometric,lightgcn"

# The slowest contender is repeated less where it is not the point; a file holds the seconds of every step.
RUNS: dict[str, list[str]] = {
    "step-gowalla-d64-b2048": ["step.py", ALL, "--details", "--repeats=10", "--warm-ups=1"],
    "step-gowalla-d128-b2048": ["step.py", "--dim=128", "--repeats=5", "--slow-repeats=2", "--warm-ups=1"],
    "step-gowalla-d256-b2048": ["step.py", "--dim=256", "--repeats=3", "--slow-repeats=1", "--warm-ups=1"],
    "step-gowalla-d64-b16384": ["step.py", "--batch-size=16384", "--repeats=5", "--slow-repeats=2", "--warm-ups=1"],
    "step-yelp2018-d64-b2048": ["step.py", "--dataset=yelp2018", "--repeats=5", "--slow-repeats=3", "--warm-ups=1"],
    "step-synthetic-1m": ["step.py", "--synthetic=1000000", "--repeats=5", "--slow-repeats=2", "--warm-ups=1"],
    "step-synthetic-10m": ["step.py", "--synthetic=10000000", THREE, "--repeats=3", "--warm-ups=1", "--no-comparison"],
    "step-synthetic-50m": ["step.py", "--synthetic=50000000", BOTH, "--repeats=2", "--warm-ups=1", "--no-comparison"],
    "ranking-gowalla": ["ranking.py", "--repeats=5", "--loop-repeats=2"],
    "freed-memory-gowalla": ["freed_memory.py", "--repeats=5"],
    "huge-pages-synthetic": ["huge_pages.py", "--millions", "1", "10", "50"],
    "recommend-synthetic": ["recommend.py", "--repeats=101", "--threads=1"],
}
REHEARSED = {
    "step-gowalla-d64-b2048": ["step.py", "--dataset=movielens-small", ALL, "--details", "--quick"],
    "step-synthetic-1m": ["step.py", "--synthetic=100000", "--quick"],
    "ranking-gowalla": ["ranking.py", "--dataset=movielens-small", "--repeats=1", "--loop-repeats=1"],
    "freed-memory-gowalla": ["freed_memory.py", "--dataset=movielens-small", "--models=mf,ltocf", "--repeats=1"],
    "huge-pages-synthetic": ["huge_pages.py", "--millions", "0.1", "--repeats=1"],
    "recommend-synthetic": ["recommend.py", "--sizes=50000,100000", "--repeats=1"],
}
ONLY_ON_A_CPU = ("freed-memory-gowalla", "huge-pages-synthetic", "recommend-synthetic")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="files to write, without .json; all by default")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the files")
    parser.add_argument("--rehearse", action="store_true", help="small data and few repeats")
    arguments = parser.parse_args()
    runs = REHEARSED if arguments.rehearse else RUNS
    if unknown := set(arguments.names) - set(runs):
        parser.error(f"{', '.join(unknown)} is not among {', '.join(runs)}")
    for name in arguments.names or runs:
        if arguments.device != "cpu" and name in ONLY_ON_A_CPU:
            continue
        script, *options = runs[name]
        common = [f"--threads={arguments.threads}", f"--device={arguments.device}"]
        started = perf_counter()
        print(f"== {name}", flush=True)
        out = f"--out={arguments.out / name}.json"
        subprocess.run([sys.executable, HERE / script, *common, *options, out], check=True)
        print(f"== {name}: {perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
