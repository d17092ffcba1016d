"""Write the tables of README.md and of pages of docs/, and copy their figures, from the files under results/.

python benchmarks/tables.py            # rewrite the pages
python benchmarks/tables.py --check    # fail if a page is not what the results say
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from auto_tables import AUTO_TABLES
from choose_tables import CHOOSE_TABLES
from frontier_tables import FRONTIER_TABLES
from leader_tables import LEADER_TABLES
from ltocf.report.content import Table
from ltocf.reproduce.cells import Places
from ltocf.reproduce.plan import CONTENT, plan
from ltocf.runs.protocol import PROTOCOLS
from markdown_tables import line, spread, table_lines
from promise_tables import PROMISE_TABLES
from recbole_tables import RECBOLE_TABLES
from recipe_tables import RECIPE_TABLES
from scale_tables import SCALE_TABLES
from serving_tables import SERVING_TABLES
from spectral_tables import SPECTRAL_TABLES
from speed_tables import TABLES

MADE = {
    **TABLES,
    **SPECTRAL_TABLES,
    **FRONTIER_TABLES,
    **RECIPE_TABLES,
    **RECBOLE_TABLES,
    **AUTO_TABLES,
    **CHOOSE_TABLES,
    **LEADER_TABLES,
    **SERVING_TABLES,
    **SCALE_TABLES,
    **PROMISE_TABLES,
}
"""Tables by name; the others are those of the paper or of a data set."""
ROOT = Path(__file__).resolve().parents[1]
DOCS = (
    "auto",
    "choose",
    "data",
    "presets",
    "production",
    "promises",
    "protocol",
    "recommending",
    "results",
    "scale",
    "service",
    "speed",
    "spectral",
)
PAGES = tuple(ROOT / page for page in ("README.md", *(f"docs/{name}.md" for name in DOCS)))
DRAWN = (
    *(f"figure{number}-irb-amazon2014-health" for number in range(6, 13)),
    "figure12-amazon-beauty",
    "figure9-gowalla",
    "figure11-gowalla",
    *(f"table3-{dataset}" for dataset in ("gowalla", "yelp2018", "irb-amazon2014-health", "amazon-beauty")),
    "table1",
)
FIGURES = tuple(f"{name}{ending}" for name in DRAWN for ending in ("", "-dark"))
"""Figures of `ltocf reproduce` that docs/results.md shows: the site has a copy of its own."""
NAMES = {
    "ltocf-fast-dim128": "LT-OCF, `fast`, dim 128",
    "ltocf-fast": "LT-OCF, `fast`",
}
"""Stem of a configuration with the preset `fast`, and of its results, to the name of its row."""
SHORT = ("recall@20", "published", "NDCG@20", "published")
SHORT_CAPTION = (
    "Against LT-OCF, in recall / NDCG: ▲ LT-OCF beats the method, ▼ the method beats it, = no difference beyond "
    "chance at 0.05, – not tested."
)
METRICS = ("recall@20", "ndcg@20")
SEEDS = (0, 1, 2)


def measured(dataset: str) -> dict[str, list[dict[str, Any]]]:
    """Every committed run of a data set, by the configuration it had."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    for path in sorted((ROOT / "results" / dataset).glob("*.json")):
        if (name := path.stem.partition("-seed")[0]) in NAMES:
            runs[name].append(json.loads(path.read_text()))
    return {name: found for name, found in runs.items() if found}


def table(name: str) -> str:
    """A table of speed, of ranks, of variants, of the paper, or that of a data set."""
    if name in MADE:
        return MADE[name]()
    what, _, dataset = name.partition(":")
    dataset, _, form = dataset.partition(":")
    return reproduced(what, dataset, folded=form == "folded") if dataset else dataset_table(name)


def reproduced(what: str, dataset: str, *, folded: bool = False) -> str:
    """A table of `ltocf reproduce`, of the cells that have a result; if ``folded``, behind a short one.

    The data is not read: results are found by their configuration, the table ``data`` included.
    """
    places = Places(ROOT / "configs", ROOT / "results")
    cells = [cell for cell in plan(what, dataset, [], SEEDS, places, {}) if cell.is_done]
    if not cells:
        return f"Not measured yet: `ltocf reproduce {what} --dataset {dataset} --seeds 0,1,2`."
    contents = CONTENT[what](what, cells, places)
    content = next(content for content in contents if isinstance(content, Table))
    where = "; ".join(sorted({hardware(cell.metrics()["environment"]) for cell in cells}))
    seeds = ", ".join(str(seed) for seed in sorted({cell.seed for cell in cells}))
    notes = " ".join(part for part in (content.caption, f"Seeds {seeds}. Hardware: {where}.") if part)
    whole = "\n".join([*table_lines([content.columns, *content.rows]), "", notes])
    if not folded:
        return whole
    opening = '<details markdown="1">\n<summary>Differences, p-values, settings and minutes</summary>'
    return "\n\n".join([short(content), SHORT_CAPTION, opening, whole, "</details>"])


def short(content: Table) -> str:
    """Method, both metrics beside the published ones, and in which of them the method differs from LT-OCF."""
    kept = [place for place, column in enumerate(content.columns) if column in SHORT]
    tests = [place for place, column in enumerate(content.columns) if column.startswith("p against")]
    rows = [["method", *(content.columns[place] for place in kept), "against LT-OCF"]]
    for row in content.rows:
        marks = " / ".join(_mark(row[place]) for place in tests)
        rows.append([row[0], *(row[place] for place in kept), "–" if marks == "– / –" else marks])
    return "\n".join(table_lines(rows))


def _mark(p_value: str) -> str:
    """The mark of a p-value; one without a mark is no difference."""
    return "–" if p_value == "–" else next((mark for mark in "▲▼" if mark in p_value), "=")


def hardware(environment: dict[str, Any]) -> str:
    """Processor and threads of a run, or its GPU."""
    on_processor = f"{environment['processor']}, {environment['threads']} threads"
    return on_processor if environment["device"] == "cpu" else str(environment["device"])


def dataset_table(dataset: str) -> str:
    """One row per configuration: mean (and spread over seeds), the published number, and what it took."""
    published = json.loads((ROOT / "src" / "ltocf" / "reproduce" / "published.json").read_text())[dataset]
    lines = [
        "| method | recall@20 | published | NDCG@20 | published | learning rate, L2, batch | epochs | training time |",
        "|---|---|---|---|---|---|---|---|",
    ]
    runs_of_name = measured(dataset)
    for name, runs in runs_of_name.items():
        cells = [NAMES[name]]
        for metric in METRICS:
            known = published.get(runs[0]["model"], {}).get(metric)
            cells += [spread([run[metric] for run in runs]), "–" if known is None else f"{known:.4f}"]
        settings = runs[0]["training"]
        batch_size = f"{settings['batch_size']:,}" if settings["batch_size"] else "auto"
        cells.append(f"{settings['learning_rate']:g}, {settings['l2']:g}, {batch_size}")
        cells.append(", ".join(str(run["selected"]["epoch"]) for run in runs))
        cells.append(f"{mean(run['seconds'] for run in runs) / 60:.1f} min")
        lines.append(line(cells))
    runs = [run for found in runs_of_name.values() for run in found]
    return "\n".join([*lines, "", note(runs), "", f"Published: {published['source']}."])


def note(runs: list[dict[str, Any]]) -> str:
    """What all rows have in common."""
    protocols = {PROTOCOLS[run["select_on"]] for run in runs}
    seeds = sorted({run["seed"] for run in runs})
    where = "; ".join(sorted({hardware(run["environment"]) for run in runs}))
    seed = f"{'seeds' if len(seeds) > 1 else 'seed'} {', '.join(map(str, seeds))}"
    return f"Protocol: {'; '.join(sorted(protocols))}. {seed.capitalize()}. Hardware: {where}. dim 64 unless stated."


def filled(text: str) -> str:
    """The page with every ``<!-- table: NAME -->`` section made anew."""
    return re.sub(
        r"(<!-- table: (\S+) -->)\n.*?(<!-- end -->)",
        lambda match: f"{match[1]}\n{table(match[2])}\n{match[3]}",
        text,
        flags=re.DOTALL,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    for page in PAGES:
        text = page.read_text()
        made = filled(text)
        if check and made != text:
            sys.exit(f"{page.name} is not what results/ says: run python benchmarks/tables.py")
        page.write_text(made)
    for figure in FIGURES:
        drawn, shown = (folder / f"{figure}.svg" for folder in (ROOT / "results" / "reports", ROOT / "docs" / "images"))
        if not check:
            shown.write_bytes(drawn.read_bytes())
        elif shown.read_bytes() != drawn.read_bytes():
            sys.exit(f"docs/images/{shown.name} is not that of results/: run python benchmarks/tables.py")


if __name__ == "__main__":
    main()
