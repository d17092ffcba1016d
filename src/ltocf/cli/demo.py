"""The first three minutes: train on the shipped MovieLens set and read what comes out."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ltocf.cli.calling import command
from ltocf.cli.output import draw, plain, say, table
from ltocf.progress import logged_from

if TYPE_CHECKING:
    from ltocf.runs.data_file import RunData
    from ltocf.serving import TrainedModel

SOURCE = "movielens-small"
MODELS = {"spectral": "Spectral", "ltocf": "LT-OCF"}
"""The models that are trained, with default settings."""
SETTINGS: dict[str, Any] = {"max_minutes": 2.0}
"""The only setting that is not a default: the time limit of each model, of which two idle cores need a third."""
SHOWN_USERS = (2, 15, 300)
HISTORY_LENGTH = 5
LIST_LENGTH = 10


def demo(*, out: Path = Path("runs/demo"), serve: bool = False) -> None:
    """Train two models on the shipped MovieLens set and show how good they are and what they recommend.

    Parameters
    ----------
    out
        The folder for the runs; finished runs are shown again, not trained again.
    serve
        Serve both models at http://127.0.0.1:8000 afterwards, until Ctrl-C (needs the `serve` extra).
    """
    from ltocf.training.runtime import keep_freed_memory

    keep_freed_memory()
    with logged_from(logging.WARNING):
        run_demo(out)
    if serve:
        from ltocf.cli.serving import serve as serve_runs

        serve_runs(*served(out))
        return
    _say_what_next(out)


def run_demo(out: Path) -> None:
    """Train the models, print their test metrics beside those of popularity, and lists for three users."""
    from ltocf.runs.experiment import load
    from ltocf.runs.folder import RunFolder

    metrics = {name: _trained(name, out / name) for name in MODELS}
    data = RunFolder(out / "ltocf").read_data()
    trained = load(out / "ltocf")
    _show_metrics(metrics, data, trained)
    _say_time(metrics["ltocf"])
    for user in SHOWN_USERS:
        _show_user(trained, user)


def served(out: Path) -> list[Path]:
    """The runs to serve; the first one answers requests that name none."""
    return [out / name for name in reversed(MODELS)]


def _trained(name: str, folder: Path) -> dict[str, Any]:
    from ltocf.runs.experiment import resume, train

    if (folder / "metrics.json").exists():
        say(f"{MODELS[name]}: trained before, shown from {folder}")
    else:
        say(f"{MODELS[name]}: choosing on a validation set, then training on all of the training set ...")
    if (folder / "config.toml").exists():
        return resume(folder)
    metrics = train(SOURCE, folder, model=name, **SETTINGS)
    if any(fit["stopped_by"] == "max_minutes" for fit in metrics["fits"].values()):
        say(f"{MODELS[name]} did not finish within {SETTINGS['max_minutes']:g} minutes; it is better with more time")
    return metrics


def _show_metrics(metrics: dict[str, dict[str, Any]], data: RunData, trained: TrainedModel) -> None:
    from ltocf.evaluation import evaluate
    from ltocf.models import Popularity

    popular = evaluate(Popularity(trained.seen), data.split.test, seen=trained.seen)
    rows = [("the most popular films", popular, "")]
    rows += [(MODELS[name], row, f"{row['seconds']:.0f} s") for name, row in metrics.items()]
    n_users, n_items = data.split.n_users, data.split.n_items
    say(f"\nMovieLens latest-small (2016): {n_users} users and {n_items:,} films that somebody rated 3.5 or higher")
    cells = [(name, f"{row['recall@20']:.3f}", f"{row['ndcg@20']:.3f}", seconds) for name, row, seconds in rows]
    draw(table(("model", "recall@20", "ndcg@20", "training"), cells))
    say("recall@20: of the films of a user that were held back, the share found among the 20 recommended.")
    say("ndcg@20: the same, but a film counts for more the higher it is in the list.")


def _say_time(metrics: dict[str, Any]) -> None:
    (time,), end = metrics["times"], metrics["options"]["horizon"]
    say(
        f"t = {time:.2f} of {end:g}: tastes spread over the graph of users and films from t = 0 to t = {end:g}; "
        f"besides both ends, LT-OCF learned to read them at {time:.2f}.\n"
    )


def _show_user(trained: TrainedModel, user: int) -> None:
    history = trained.history(user)["title"]
    say(f"User {user} liked {len(history)} films, among them:")
    for title in history.sample(min(HISTORY_LENGTH, len(history)), seed=0):
        say(f"      {plain(title)}")
    say("  LT-OCF recommends:")
    for row in trained.recommend([user], k=LIST_LENGTH).iter_rows(named=True):
        say(f"  {row['rank']:>2}. {row['title']}")


def _say_what_next(out: Path) -> None:
    say("\nA page where you pick films and see what goes with them, and why, at http://127.0.0.1:8000:")
    say(f"  {command('serve', *served(out))}" if _can_serve() else f"  {_advice()}")
    say("A list for another user:")
    say(command("recommend", out / "ltocf", "--user", 42, "--k", 10))


def _can_serve() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ("fastapi", "uvicorn"))


def _advice() -> str:
    from ltocf.installation import how_to_install

    return f"first install the `serve` extra: {how_to_install('serve')}"
