"""Commands in processes in which faults are planted: forks of one process that has imported everything.

So a command starts its work at once, and a moment drawn at random falls into this work. `FAULTS` has what can be
planted. Run as a program, this module is the process that forks.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

LONGEST = 300.0
"""Seconds after which a command counts as hanging."""
IMPORTED = (
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "altair"),
    *("torch._dynamo", "optuna", "duckdb", "jinja2", "scipy.optimize", "torchdiffeq", "ltocf.cli.main"),
    *("ltocf.cli.training", "ltocf.cli.reproduce", "ltocf.cli.ingesting", "ltocf.cli.everybody", "ltocf.cli.measuring"),
    *("ltocf.cli.exporting", "ltocf.scale.ingest", "ltocf.scale.recommend_all", "ltocf.runs.experiment"),
    *("ltocf.runs.update", "ltocf.runs.production"),
)


class Command:
    """A running command.

    Args:
        server: that started it.
        pid: its process.
        log: the file of what it prints.
    """

    def __init__(self, server: FaultServer, pid: int, log: Path) -> None:
        self.server, self.pid, self.log = server, pid, log

    def send(self, what: signal.Signals) -> None:
        """Send a signal, also to a process that has ended: its number is not reused before `code` was called."""
        os.kill(self.pid, what)

    def code(self, seconds: float = LONGEST) -> int:
        """Its exit code, below zero for a signal.

        Raises:
            TimeoutError: it runs for longer.
        """
        found = self.server.ask({"wait": self.pid, "seconds": seconds})
        if found is None:
            os.kill(self.pid, signal.SIGKILL)
            self.server.ask({"wait": self.pid, "seconds": LONGEST})
            raise TimeoutError(f"still at work after {seconds:g} s: {self.said()}")
        return int(found)

    def ended(self) -> bool:
        """Whether it has ended; `code` must still be called."""
        return self._state() == "Z"

    def wait_until_stopped(self) -> None:
        """Return when the fault ``stopped_at`` has stopped it.

        Raises:
            TimeoutError: it ended, or nothing stops it.
        """
        ends = time.monotonic() + LONGEST
        while self._state() != "T":
            if self.ended() or time.monotonic() > ends:
                raise TimeoutError(f"nothing has stopped it: {self.said()}")
            time.sleep(0.002)

    def is_held_up(self, seconds: float = 20.0) -> bool:
        """Whether it used no processor time for so long; then it is killed. `code` must still be called."""
        used, since = "", time.monotonic()
        while not self.ended():
            if (now := " ".join(self._facts()[11:15])) != used:
                used, since = now, time.monotonic()
            elif time.monotonic() - since > seconds:
                self.send(signal.SIGKILL)
                return True
            time.sleep(0.01)
        return False

    def _state(self) -> str:
        return self._facts()[0]

    def _facts(self) -> list[str]:
        """Its state and the system's counters; 11 to 14 are processor times of it and of its children."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()

    def said(self) -> str:
        """What it printed."""
        return self.log.read_text(encoding="utf-8", errors="replace")


class FaultServer:
    """Starts commands, until it is closed."""

    def __init__(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "300", "PYTHONWARNINGS": "ignore"}
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.n_started = 0
        assert self.answer() == "ready"

    def start(self, arguments: Sequence[object], folder: Path, **faults: Any) -> Command:
        """Start a command in a folder; its output is kept beside the folder. ``faults`` are keys of `FAULTS`."""
        self.n_started += 1
        log = folder.parent / f"{folder.name}.{self.n_started}.log"
        log.touch()  # a signal may end the command before it opens its log
        words = [str(argument) for argument in arguments]
        pid = self.ask({"arguments": words, "folder": str(folder), "log": str(log), "faults": faults})
        return Command(self, int(pid), log)

    def run(self, arguments: Sequence[object], folder: Path, **faults: Any) -> tuple[int, str]:
        """Exit code and output of a command."""
        command = self.start(arguments, folder, **faults)
        return command.code(), command.said()

    def changes(self, arguments: Sequence[object], folder: Path) -> list[list[str]]:
        """Every change of a file by a command, as its kind and its paths."""
        file = folder.parent / f"{folder.name}.changes"
        file.unlink(missing_ok=True)
        self.done(arguments, folder, record=str(file), checkpoint_always=True)
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def done(self, arguments: Sequence[object], folder: Path, **faults: Any) -> str:
        """Output of a command that must end well."""
        code, said = self.run(arguments, folder, **faults)
        assert code == 0, f"{arguments} ended with {code}:\n{said}"
        return said

    def ask(self, request: dict[str, Any]) -> Any:
        assert self.process.stdin is not None
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self.answer()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(LONGEST)
        self.process.stdout.close()


def serve() -> None:
    """Fork a process for each line of standard input, until that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for module in IMPORTED:
        import_module(module)
    import_module("ltocf.report.html")._scripts = lambda: ""  # a library takes seconds for a constant text
    answers = os.fdopen(os.dup(1), "w")
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            found: Any = _waited(request["wait"], request["seconds"])
        elif not (found := os.fork()):
            _be_the_command(request)
        print(json.dumps(found), file=answers, flush=True)
    os._exit(0)


def _waited(pid: int, seconds: float) -> int | None:
    ends = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > ends:
            return None
        time.sleep(0.002)


def _be_the_command(request: dict[str, Any]) -> None:
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(request["folder"])
        sys.argv = ["ltocf"]
        for name, value in request["faults"].items():
            FAULTS[name](value)
        main = import_module("ltocf.cli").main
        signal.signal(signal.SIGINT, signal.default_int_handler)
        main(request["arguments"])
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:  # as the interpreter would
        sys.excepthook(*sys.exc_info())
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


CHANGES = ("replace", "rename", "unlink", "rmdir", "mkdir", "fsync", "open")
"""Functions of `os` that change files, or bring changes to the disk."""


Seen: TypeAlias = Callable[[str, list[str]], None]


def _watch_files(before: Seen, after: Seen) -> None:
    """Call a function before and after each change of a file below the working folder, with its kind and its paths."""
    root = f"{Path.cwd()}{os.sep}"

    def watched(kind: str, change: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        named = arguments[:2] if kind in ("replace", "rename") else arguments[:1]
        paths = [_path_of(one) for one in named]
        makes = kind != "open" or (len(arguments) > 1 and arguments[1] & os.O_CREAT)
        if not (makes and f"{paths[0]}{os.sep}".startswith(root)):
            return change(*arguments, **keywords)
        places = [os.path.relpath(path, root) for path in paths]
        before(kind, places)
        result = change(*arguments, **keywords)
        after(kind, places)
        return result

    for kind in CHANGES:
        setattr(os, kind, partial(watched, kind, getattr(os, kind)))


def _path_of(file: Any) -> str:
    return str(Path(f"/proc/self/fd/{file}").readlink() if isinstance(file, int) else Path.cwd() / file)


def _act_at(number: int, act: Callable[[str], None]) -> None:
    """Act at one moment: 2 n is before change n of a file, 2 n + 1 after it."""
    changes = -1

    def before(kind: str, places: list[str]) -> None:
        nonlocal changes
        changes += 1
        if number == 2 * changes:
            act(places[0])

    def after(kind: str, places: list[str]) -> None:
        if number == 2 * changes + 1:
            act(places[0])

    _watch_files(before, after)


def _full(place: str) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)


def _record(file: str) -> None:
    """Write every change of a file, also one that fails, as a line: kind and paths."""
    lines = Path(file).open("a", encoding="utf-8")  # noqa: SIM115

    def write(kind: str, places: list[str]) -> None:
        print(json.dumps([kind, *places]), file=lines, flush=True)

    _watch_files(write, lambda kind, places: None)


def _limit(kind: int, value: int) -> None:
    resource.setrlimit(kind, (value, value))


def _more_memory(n_bytes: int) -> None:
    """Limit the address space to what the process has and ``n_bytes`` more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _limit(resource.RLIMIT_AS, pages * os.sysconf("SC_PAGE_SIZE") + n_bytes)


def _be_user(number: int) -> None:
    os.setgroups([])
    os.setgid(number)
    os.setuid(number)


def _clock_back(seconds: float) -> None:
    """Set the clock back by ``seconds`` again each time it is read."""
    real, asked = time.time, [0]

    def earlier() -> float:
        asked[0] += 1
        return real() - seconds * asked[0]

    time.time = earlier


def _checkpoint_always(_: bool) -> None:
    """Save a checkpoint after every epoch."""
    protocol = import_module("ltocf.runs.protocol")
    protocol.FitContext = partial(protocol.FitContext, seconds_between_checkpoints=0.0)


FAULTS: dict[str, Callable[[Any], None]] = {
    "killed_at": lambda number: _act_at(number, lambda _: os.kill(os.getpid(), signal.SIGKILL)),
    "stopped_at": lambda number: _act_at(number, lambda _: os.kill(os.getpid(), signal.SIGSTOP)),
    "full_at": lambda number: _act_at(number, _full),
    "record": _record,
    "open_files": lambda n_files: _limit(resource.RLIMIT_NOFILE, n_files),
    "memory": _more_memory,
    "user": _be_user,
    "clock_back": _clock_back,
    "checkpoint_always": _checkpoint_always,
}

if __name__ == "__main__":
    serve()
