"""The command line: each command is one call of the Python interface, imported when it is called."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Sequence

from cyclopts import App
from rich.console import Console
from rich.logging import RichHandler

from ltocf.cli.calling import as_called
from ltocf.cli.examples import epilogue
from ltocf.cli.ids import joined
from ltocf.cli.interrupts import INTERRUPTED, ended_by_interrupts
from ltocf.cli.output import say
from ltocf.cli.wording import flags_of, for_the_shell
from ltocf.progress import harmless
from ltocf.scale.torchrun import node_blocks, place

REPRODUCE = """Make a table or figure of the paper: run what is missing, then write it.

A cell is a file configs/DATASET/NAME.toml, a seed and the data. A cell whose result is in results/ is not run
again, and one that was interrupted continues. A missing file is written with the paper's settings. The plan and its
cost are printed first. If the missing cells would take more than 5 minutes together, or the time of one is not known,
they are run only with --run-long."""
SERVE = """Serve finished runs over HTTP, with a page to look at (needs the `serve` extra).

The first run answers unless a request names another. The token may also come from the environment variable LTOCF_TOKEN,
where other users of this machine cannot see it."""

_FILES = "too many open files for `ulimit -n`"
SHORT_OF = {"allocate": "out of memory", os.strerror(errno.EMFILE): _FILES, "initialize cpuinfo": _FILES}
"""What ran short, by words in a library's error; PyTorch opens a file to "initialize cpuinfo"."""
PANIC = "a library failed, as with too little memory or too few open files"

app = App(
    name="ltocf",
    help="Recommend items to users from a log of who touched what, by LT-OCF (learnable-time ODE-based collaborative "
    "filtering) and other models: train, measure, recommend, explain, serve.",
    help_epilogue=epilogue(""),
)
data_app = App(
    name="data",
    help="The data sets that have a name, and statistics of any data set.",
    help_epilogue=epilogue("data list", "data stats"),
)
for command, home, summary in (
    ("train", "training:train", "Train a model on a data set and leave everything about it in a folder."),
    ("models", "listing:models", "The models: what each is, where it comes from, and what it can do."),
    (
        "settings",
        "listing:settings",
        "Every setting of a model: its values in the presets, the values allowed, its meaning.",
    ),
    ("inspect", "data:inspect", "Show how a source is read, and what training on it costs."),
    ("ingest", "ingesting:ingest", "Turn event files of any size into a store on disk (needs the `scale` extra)."),
    ("fit", "training:fit", "Train a model to use: on all pairs, none held back for a test."),
    ("update", "training:update", "Bring a run up to date with new events, in a new folder."),
    ("plan", "planning:plan", "Say what training takes on many GPUs: memory, bytes sent, seconds."),
    ("evaluate", "measuring:evaluate", "Measure a finished run: recall, NDCG and other metrics at any depths."),
    ("compare", "measuring:compare", "Compare finished runs, as a table or a page with figures."),
    ("recommend", "answers:recommend", "Recommend items to users, named by the ids of your data."),
    ("recommend-all", "everybody:recommend_all", "Write the lists of all users to files, by several processes."),
    ("similar", "neighbours:similar", "The items most similar to an item, or the users most similar to a user."),
    ("popular", "neighbours:popular", "The most popular items, of all time or of a window of time."),
    (
        "explain",
        "neighbours:explain",
        "Why an item has its score for a user: what each item of the user's history adds.",
    ),
    ("serve", "serving:serve", SERVE),
    (
        "export",
        "exporting:export",
        "Write the vectors of users and items for other programs, or the model for the Hugging Face Hub.",
    ),
    ("plot", "figures:plot", "Draw the learned response and the history of a run (needs the `plots` extra)."),
    (
        "demo",
        "demo:demo",
        "Train two models on the shipped MovieLens set and show how good they are and what they recommend.",
    ),
    ("reproduce", "reproduce:reproduce", REPRODUCE),
    ("bench", "bench:bench", "Time a training step and an evaluation, here and in other programs."),
):
    app.command(f"ltocf.cli.{home}", name=command, help=summary, help_epilogue=epilogue(command))
app.command(data_app)
for command, home, summary in (
    ("list", "data:list_data", "The data sets that have a name."),
    ("stats", "data:stats", "Statistics of a data set: users, items, pairs, density and more."),
):
    data_app.command(f"ltocf.cli.{home}", name=command, help=summary, help_epilogue=epilogue(f"data {command}"))
app.register_install_completion_command(help="Teach your shell to complete commands and options with the tab key.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; errors the user can fix are one line on standard error, and the exit status is 2."""
    try:
        _run(list(sys.argv[1:] if arguments is None else arguments))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run(arguments: list[str]) -> None:
    handler = RichHandler(console=Console(stderr=True), show_path=False, show_time=False, markup=False)
    handler.addFilter(_Once())
    handler.setFormatter(_Harmless("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    _check_torchrun(arguments)
    try:
        if arguments[:1] == ["recommend"]:
            arguments = joined(arguments, "--user")
        with ended_by_interrupts():
            app(arguments, result_action="return_value")
    except BrokenPipeError:  # the reader of the output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except (ValueError, OSError, ArithmeticError, ImportError, MemoryError) as error:
        _fail(error, arguments)
    except BaseException as error:  # a panic of a library in Rust is no Exception
        if (shortage := _shortage(error)) is None:
            raise
        _fail(error, arguments, f"{shortage}: ")


def _shortage(error: BaseException) -> str | None:
    """What ran short, by an error of PyTorch or a panic of a library in Rust; None for other errors."""
    is_panic = type(error).__name__ == "PanicException"  # each library has a class of its own
    if not is_panic and not isinstance(error, RuntimeError):
        return None
    known = [shortage for words, shortage in SHORT_OF.items() if words in str(error)]
    return known[0] if known else PANIC if is_panic else None


def _check_torchrun(arguments: list[str]) -> None:
    """Under torchrun only the first process prints, and only training may run in several processes."""
    rank, world, _ = place()
    if rank:
        _silence()
    refusal = ""
    if world > 1 and arguments[:1] not in (["train"], ["fit"]):
        command = " ".join(arguments[:1]) or "no command"
        refusal = f"torchrun is for `train` and `fit`, got {command}: run it without torchrun"
    try:
        node_blocks(world)
    except ValueError as error:
        refusal = refusal or str(error)
    if refusal:
        if not rank:
            say(f"error: {refusal}", error=True)
        sys.exit(2)


def _silence() -> None:
    """Print nothing but errors."""
    logging.disable(logging.WARNING)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(error: BaseException, arguments: list[str], prefix: str = "") -> None:
    if os.environ.get("LTOCF_DEBUG"):
        raise error
    message = for_the_shell(str(error), flags_of(app, arguments)) or type(error).__name__
    say(f"error: {prefix}{as_called(message)}", error=True)
    sys.exit(2)


class _Harmless(logging.Formatter):
    """Control characters in a message's paths and names are replaced, so that a terminal does not obey them."""

    def format(self, record: logging.LogRecord) -> str:
        return harmless(super().format(record))


class _Once(logging.Filter):
    """A message is shown once, however often a command reads the same data."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if message in self.shown:
            return False
        self.shown.add(message)
        return True
