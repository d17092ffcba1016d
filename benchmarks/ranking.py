"""One all-ranking evaluation, side by side with `implicit` and with the loops of the reference programs.

python benchmarks/ranking.py --dataset gowalla --out results/speed/ranking-gowalla.json
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from ltocf import load_dataset
from ltocf.bench.ranking import bench_ranking
from ltocf.data import split_dataset
from ltocf.files import write_text


def show(result: dict[str, Any]) -> None:
    console = Console(width=120)
    table = Table("way", "median s", "least s", "most s", title=f"{result['n_queries']:,} users")
    for name, seconds in result["seconds"].items():
        values = (result["median"][name], min(seconds), max(seconds))
        table.add_row(name, *(f"{value:.2f}" for value in values))
    console.print(table)
    for title in ("ratios", "agreement"):
        for label, value in result[title].items():
            console.print(f"{title}: {label}: {value:.3g}")
    console.print(f"memory: {result['evaluation_bytes']:,} bytes; all scores have {result['all_scores_bytes']:,}")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="gowalla", help="a catalog name, folder or table file")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--loop-repeats", type=int, default=2, help="of the loops, which take longest; 0: without")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, help="a JSON file")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    result = bench_ranking(
        Path(arguments.dataset).name,
        split_dataset(load_dataset(arguments.dataset)),
        dim=arguments.dim,
        device=torch.device(arguments.device),
        repeats=arguments.repeats,
        loop_repeats=arguments.loop_repeats,
        say=partial(print, flush=True),
    )
    show(result)
    if arguments.out:
        write_text(arguments.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
