"""Two examples for each command, which its ``--help`` ends with."""

from __future__ import annotations

from ltocf.cli.calling import as_called

EXAMPLES: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "": (
        ("ltocf demo", "the first three minutes, on the shipped MovieLens set"),
        ("ltocf train events.csv --out runs/own", "your own log; `ltocf train --help` lists the options"),
    ),
    "train": (
        ("ltocf train movielens-small --out runs/first", "several models compete, the best are blended"),
        ("ltocf train events.csv --user-column customer --model ltocf --out runs/own", "one model, on your own log"),
    ),
    "models": (
        ("ltocf models", "the names that --model takes"),
        ("ltocf models --format json", "for a program"),
    ),
    "settings": (
        ("ltocf settings", "those of LT-OCF, its training, the run and the data"),
        ("ltocf settings spectral --format csv", "those of another model, for a program"),
    ),
    "inspect": (
        ("ltocf inspect events.csv", "which columns are taken, what is left out, what training costs"),
        ("ltocf inspect 'logs/*.parquet' --only event=purchase", "some rows of several files"),
    ),
    "ingest": (
        ("ltocf ingest 'logs/*.csv.gz' --out stores/shop", "a log of any size, within 2 GiB of memory"),
        ("ltocf ingest events.csv --user-column customer --out stores/shop", "the store is a source like any other"),
    ),
    "fit": (
        ("ltocf fit events.csv --out runs/shop", "on all of your log"),
        ("ltocf fit --like runs/first --out runs/shop", "with the settings and data of a run that was measured"),
    ),
    "update": (
        ("ltocf update runs/shop tomorrow.csv", "the next generation, in runs/shop-2"),
        ("ltocf update runs/shop tomorrow.csv --epochs 2 --out runs/new", "the same, and two epochs of training"),
    ),
    "plan": (
        ("ltocf plan --users 100_000_000 --items 1_000_000 --pairs 1_000_000_000", "on 1 to 512 GPUs"),
        ("ltocf plan --users 1_000_000 --items 500_000 --pairs 50_000_000 --gpus 0", "on two cores of a CPU"),
    ),
    "evaluate": (
        ("ltocf evaluate runs/first --k 5,20", "test metrics of lists of 5 and of 20 items"),
        (
            "ltocf evaluate runs/first --beyond --against popularity",
            "coverage and novelty, and whether the difference may be chance",
        ),
    ),
    "compare": (
        ("ltocf compare runs/first runs/other", "side by side, beside the most popular items"),
        ("ltocf compare runs/first runs/other --out compared.html", "a page with figures"),
    ),
    "recommend": (
        ("ltocf recommend runs/shop --user 42 --k 5", "a list for one user"),
        ("ltocf recommend runs/shop --all --out lists.parquet", "everybody's lists, as a file"),
    ),
    "recommend-all": (
        ("ltocf recommend-all runs/shop --out lists", "a row for each user, a process for each core"),
        ("ltocf recommend-all runs/shop --out lists --engine ray", "the same, on a Ray cluster"),
    ),
    "similar": (
        ("ltocf similar runs/shop --item 318", "items with similar vectors"),
        ("ltocf similar runs/shop --user 42 --by history", "users with similar histories"),
    ),
    "popular": (
        ("ltocf popular runs/shop --k 20", "of all time"),
        ("ltocf popular runs/shop --days 7", "of the last week of the data"),
    ),
    "explain": (
        ("ltocf explain runs/shop --user 42 --item 318", "what each item of the history adds to the score"),
        ("ltocf explain runs/shop --user 42 --item 318 --draw why.svg", "the same as a picture"),
    ),
    "serve": (
        ("ltocf serve runs/shop", "an HTTP service on this machine, with a page at http://127.0.0.1:8000"),
        ("ltocf serve runs/shop runs/other --port 9000 --workers 4", "two runs, four processes"),
    ),
    "export": (
        ("ltocf export runs/shop vectors --to parquet", "vectors with ids for other programs"),
        ("ltocf export runs/shop shop-hub --to hub", "the model as a folder for the Hugging Face Hub"),
    ),
    "plot": (
        ("ltocf plot runs/first --out first.svg", "the learned response and the course of training"),
        ("ltocf plot runs/first --out first.png", "the same for a slide"),
    ),
    "demo": (
        ("ltocf demo", "about a minute on two idle cores"),
        ("ltocf demo --out elsewhere", "its runs in another folder"),
    ),
    "reproduce": (
        ("ltocf reproduce table3 --dataset gowalla --dry-run", "what would be run, and how long it takes"),
        ("ltocf reproduce figure10 --dataset movielens-small --budget 10", "as much as ten minutes allow"),
    ),
    "bench": (
        ("ltocf bench", "on the shipped MovieLens set"),
        ("ltocf bench events.csv --user-column customer --out speed.json", "on your own log, written to a file"),
    ),
    "data list": (
        ("ltocf data list", "their names, sizes and sources"),
        ("ltocf data list --format json", "for a program"),
    ),
    "data stats": (
        ("ltocf data stats movielens-small", "users, items, pairs, density"),
        ("ltocf data stats events.csv --user-column customer --item-column sku", "those of your own log"),
    ),
}
"""By command: what to type and what it does; the empty command is the program itself."""


def epilogue(*commands: str) -> str:
    """The end of a command's help, as Markdown, with the program named as it was called.

    Example:
        >>> print(epilogue("models"))
        Examples:
        <BLANKLINE>
        - `ltocf models`: the names that --model takes
        - `ltocf models --format json`: for a program
    """
    lines = (f"- `{line}`: {what}" for command in commands for line, what in EXAMPLES[command])
    return as_called("\n".join(["Examples:", "", *lines]))
