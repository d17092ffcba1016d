"""One training step of LT-OCF and LightGCN, side by side with how others compute it.

python benchmarks/step.py --dataset gowalla --out results/speed/step-gowalla-d64-b2048.json
python benchmarks/step.py --synthetic 1000000 --out results/speed/step-synthetic-1m.json
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

from ltocf import Interactions, load_dataset
from ltocf.bench.contenders import CONTENDERS, USUAL
from ltocf.bench.step import Effort, bench_step
from ltocf.bench.synthetic import power_law
from ltocf.data import split_dataset
from ltocf.files import write_text

QUICK = Effort(warm_ups=1, repeats=3, slow_repeats=3)


def show(result: dict[str, Any]) -> None:
    """The measurement as tables."""
    console = Console(width=120)
    table = Table("contender", "median s", "quartiles s", "step MB", "building MB", "before MB", title="one step")
    for name, record in result["contenders"].items():
        before, building = record["base_bytes"], record["building_peak_bytes"] - record["base_bytes"]
        quartiles = f"{record['lower_quartile']:.3f} - {record['upper_quartile']:.3f}"
        sizes = [f"{value / 1e6:,.0f}" for value in (record["step_bytes"], building, before)]
        table.add_row(name, f"{record['median']:.3f}", quartiles, *sizes)
    console.print(table)
    for title in ("ratios", "agreement"):
        for label, value in result[title].items():
            shown = value if isinstance(value, dict) else {"": value}
            console.print(f"{title}: {label}: " + ", ".join(f"{k} {v:.3g}".strip() for k, v in shown.items()))
    details = result["contenders"].get("filter", {})
    for title in ("bandwidth", "product"):
        for label, value in details.get(title, {}).items():
            console.print(f"{title}: {label}: {value:,.4g}")
    if "profile" in details:
        _show_profile(console, details["profile"])


def _show_profile(console: Console, recorded: dict[str, Any]) -> None:
    table = Table("part or operator", "ms", "%", title=f"the filter's step: {recorded['milliseconds']:.0f} ms")
    total = sum(recorded["parts"].values())
    rows = recorded["parts"] | {name: entry["milliseconds"] for name, entry in recorded["operators"].items()}
    for index, (name, milliseconds) in enumerate(rows.items()):
        end = index == len(recorded["parts"]) - 1
        table.add_row(name, f"{milliseconds:.1f}", f"{100 * milliseconds / total:.1f}", end_section=end)
    console.print(table)


def read_pairs(arguments: argparse.Namespace) -> tuple[str, Interactions]:
    if arguments.synthetic:
        return f"synthetic-{arguments.synthetic}", power_law(arguments.synthetic)
    return Path(arguments.dataset).name, split_dataset(load_dataset(arguments.dataset)).train


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--dataset", default="gowalla", help="a catalog name, folder or table file")
    source.add_argument("--synthetic", type=int, default=0, metavar="PAIRS", help="a power-law graph of that size")
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--warm-ups", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--slow-repeats", type=int, help="of solver_coo, by far the slowest; default: as --repeats")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--contenders", default=",".join(USUAL), help="names joined by commas")
    parser.add_argument("--no-comparison", action="store_true", help="do not check that what should be equal is")
    parser.add_argument("--details", action="store_true", help="measure the bandwidth and profile the filter's step")
    parser.add_argument("--quick", action="store_true", help="3 repeats after 1 warm-up")
    parser.add_argument("--out", type=Path, help="a JSON file")
    arguments = parser.parse_args()
    if unknown := set(arguments.contenders.split(",")) - set(CONTENDERS):
        parser.error(f"--contenders: {', '.join(unknown)} is not among {', '.join(CONTENDERS)}")
    return arguments


def main() -> None:
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    dataset, train = read_pairs(arguments)
    slow_repeats = arguments.repeats if arguments.slow_repeats is None else arguments.slow_repeats
    result = bench_step(
        dataset,
        train,
        arguments.contenders.split(","),
        dim=arguments.dim,
        batch_size=arguments.batch_size,
        threads=arguments.threads,
        device=torch.device(arguments.device),
        effort=QUICK if arguments.quick else Effort(arguments.warm_ups, arguments.repeats, slow_repeats),
        compare=not arguments.no_comparison,
        details=arguments.details,
        say=partial(print, flush=True),
    )
    show(result)
    if arguments.out:
        write_text(arguments.out, json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
