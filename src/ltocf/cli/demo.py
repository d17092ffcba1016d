"""The first three minutes: train on the shipped MovieLens set and read what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ltocf.cli.output import plain, say
from ltocf.evaluation import evaluate
from ltocf.models import Popularity
from ltocf.runs.experiment import load, resume, train
from ltocf.runs.folder import RunFolder
from ltocf.training.runtime import keep_freed_memory

SOURCE = "movielens-small"
SETTINGS: dict[str, Any] = {
    "preset": "paper",
    "learning_rate": 0.02,
    "l2": 1e-3,
    "batch_size": 4096,
    "epochs": 60,
    "patience": 4,
}
SHOWN_USERS = (2, 15, 300)
HISTORY_LENGTH = 5
SERVED = ("ltocf", "lightgcn")
"""The runs that are served, the one that answers first."""


def demo(*, out: Path = Path("runs/demo"), serve: bool = False) -> None:
    """Train LT-OCF and LightGCN on the shipped MovieLens set and show what they recommend.

    Parameters
    ----------
    out
        Where the runs go; finished ones are shown again, not trained again.
    serve
        Then serve both on http://127.0.0.1:8000, until Ctrl-C (needs the `serve` extra).
    """
    keep_freed_memory()
    run_demo(out, Console())
    if serve:
        from ltocf.cli.serving import serve as serve_runs

        serve_runs(*(out / model for model in SERVED))


def run_demo(out: Path, console: Console) -> None:
    """Train LightGCN and LT-OCF, print their test metrics beside popularity's, and three users' recommendations."""
    metrics = {}
    for model in ("lightgcn", "ltocf"):
        folder = out / model
        if (folder / "config.toml").exists():
            metrics[model] = resume(folder)
        else:
            metrics[model] = train(SOURCE, folder, model=model, **SETTINGS)
    split = RunFolder(out / "ltocf").read_data().split
    trained = load(out / "ltocf")
    popular = evaluate(Popularity(trained.seen), split.test, seen=trained.seen)
    title = f"MovieLens latest-small 2016, ratings >= 3.5: {split.n_users} users, {split.n_items:,} movies"
    table = Table("model", "recall@20", "ndcg@20", "training", title=title)
    table.add_row("most popular", f"{popular['recall@20']:.4f}", f"{popular['ndcg@20']:.4f}", "")
    for model, row in metrics.items():
        table.add_row(model, f"{row['recall@20']:.4f}", f"{row['ndcg@20']:.4f}", f"{row['seconds']:.0f} s")
    console.print(table)
    times = ", ".join(f"{t:.2f}" for t in metrics["ltocf"]["times"])
    console.print(f"LT-OCF learned to read its ODE at t = {times} of {metrics['ltocf']['options']['horizon']:g}\n")
    for user in SHOWN_USERS:
        history = trained.history(user)["title"]
        liked = "; ".join(history.sample(min(HISTORY_LENGTH, len(history)), seed=0))
        console.print(plain(f"User {user} liked {len(history)} movies, among them: {liked}"), highlight=False)
        for row in trained.recommend([user], k=10).iter_rows(named=True):
            console.print(plain(f"  {row['rank']:>2}. {row['title']}"), highlight=False)
    say(f"\nMore: ltocf recommend {out / 'ltocf'} --user 42 --k 10")
    say(
        f"Worth opening, a page where you pick films and see what goes with them, and why:\n"
        f"  ltocf serve {' '.join(str(out / model) for model in SERVED)}   then http://127.0.0.1:8000"
    )
