"""Fuzz everything that reads files, guided by the lines of the package that an input reaches.

    python benchmarks/fuzz.py                        every target for two minutes of the processor each
    python benchmarks/fuzz.py csv model-mf --minutes 5

A target is a reader of tests/bad_inputs.py. Any error but the package's own is a finding: its input is kept in
FINDINGS/TARGET/, to become a file of tests/faults/corpus/TARGET/ when the error is mended. Needs the extra `faults`
(atheris, which has wheels for Linux).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import subprocess
import sys
import tempfile
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
CORPUS = ROOT / "tests" / "faults" / "corpus"
SECONDS_PER_INPUT, MEGABYTES = 60, 4000
MEMORY = Path("/dev/shm")
"""A file system in memory, on which the readers' files do not wait for a disk."""


def main() -> None:
    arguments = parse()
    if arguments.child:
        fuzz(arguments.targets[0], arguments.seconds, arguments.corpus, arguments.findings)
        return
    from bad_inputs import READERS
    from fault_figures import current_environment, write_figures

    figures: dict[str, Any] = {}
    targets = arguments.targets or list(READERS)
    with ThreadPoolExecutor(arguments.processes) as pool:
        for target, counts in zip(targets, pool.map(partial(fuzzed, arguments=arguments), targets), strict=True):
            figures[target] = counts
            print(target, counts, flush=True)
    if arguments.record:
        total = {name: sum(figures[target][name] for target in figures) for name in next(iter(figures.values()))}
        write_figures("fuzzing", {"figures": total, "targets": figures, "environment": current_environment()})
    sys.exit(any(figures[target]["findings"] for target in figures))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("targets", nargs="*", help="readers; all of them if none is given")
    parser.add_argument("--minutes", type=float, default=2.0, help="minutes of the processor for each target")
    parser.add_argument("--processes", type=int, default=1, help="targets at a time")
    parser.add_argument("--corpus", type=Path, default=ROOT / ".fuzz" / "corpus", help="inputs that reached new lines")
    parser.add_argument("--findings", type=Path, default=ROOT / ".fuzz" / "findings")
    parser.add_argument("--record", action="store_true", help="write results/faults/fuzzing.json")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def fuzzed(target: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Fuzz one target in processes of its own until its minutes are over; one that dies is followed by another."""
    executions, deaths, known = 0, 0, 0
    findings = arguments.findings / target
    spent, budget = 0.0, 60 * arguments.minutes
    while spent < budget:
        command = [sys.executable, __file__, target, "--child", "--seconds", str(max(1, int(budget - spent)))]
        command += ["--corpus", str(arguments.corpus), "--findings", str(arguments.findings)]
        code, errors, seconds = run(command)
        spent += max(1.0, seconds)
        executions += max([int(number) for number in re.findall(r"^#(\d+)", errors, re.MULTILINE)], default=0)
        if code:
            by_polars = "memory allocation of" in errors  # see docs/data.md
            known, deaths = known + by_polars, deaths + (not by_polars)
            if by_polars:  # libFuzzer keeps its input beside the findings
                for file in findings.glob("crash-*"):
                    file.unlink()
            elif not executions:
                raise RuntimeError(f"{target} cannot be fuzzed:\n{errors[-3000:]}")
            else:
                (findings / f"death-{deaths}.txt").write_text(errors[-20_000:], encoding="utf-8")
    found = len([file for file in findings.glob("*") if file.suffix != ".txt"]) if findings.is_dir() else 0
    mended = len(list((CORPUS / target).glob("*")))  # each file of the committed corpus was a finding once
    counts = {"executions": executions, "minutes": round(spent / 60, 1), "findings": max(found, deaths)}
    return counts | {"ends_of_the_process_by_polars": known, "findings_mended": mended}


def run(command: list[str]) -> tuple[int, str, float]:
    """Run a process: its exit code, its standard error, and its seconds of the processor."""
    memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryFile() as log, tempfile.TemporaryDirectory(prefix="ltocf-fuzz-", dir=memory) as folder:
        variables = os.environ | {"TMPDIR": folder}
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log, env=variables)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        return child.returncode, log.read().decode(errors="replace"), used.ru_utime + used.ru_stime


def fuzz(target: str, seconds: int, corpus: Path, findings: Path) -> None:
    """In the child: libFuzzer calls the reader until the time is over."""
    import atheris

    with atheris.instrument_imports(include=["ltocf"], enable_loader_override=False):
        from bad_inputs import READERS, refused
    from damage import damaged

    warnings.simplefilter("error")
    reader, seen = READERS[target], set[str]()
    (corpus / target).mkdir(parents=True, exist_ok=True)
    (findings / target).mkdir(parents=True, exist_ok=True)
    valid = reader.seeds()
    for content in [*valid, *(file.read_bytes() for file in (CORPUS / target).glob("*"))]:
        (corpus / target / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
    folder = Path(tempfile.mkdtemp())

    def once(content: bytes) -> None:
        try:
            refused(reader, content, folder)
        except Exception as error:
            place = where(error)
            if place not in seen:
                seen.add(place)
                name = hashlib.sha256(place.encode()).hexdigest()[:12]
                (findings / target / name).write_bytes(content)
                (findings / target / f"{name}.txt").write_text(traceback.format_exc(), encoding="utf-8")

    def mutated(content: bytes, max_size: int, seed: int) -> bytes:
        generator = random.Random(seed)
        if generator.random() < 0.5:
            return bytes(atheris.Mutate(content, max_size))
        return damaged(content, generator, valid)[:max_size]

    options = [
        f"-max_total_time={seconds}",
        f"-timeout={SECONDS_PER_INPUT}",
        f"-rss_limit_mb={MEGABYTES}",
        "-len_control=0",
    ]
    options += [f"-max_len={8 * max(map(len, valid)) + 4096}", f"-artifact_prefix={findings / target}/"]
    atheris.Setup([sys.argv[0], *options, str(corpus / target)], once, custom_mutator=mutated)
    atheris.Fuzz()


def where(error: BaseException) -> str:
    """The type of an error and its last line within the package, which tell findings apart."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ltocf" in frame.filename]
    last = frames[-1] if frames else None
    return f"{type(error).__name__} {last and Path(last.filename).name} {last and last.name} {last and last.line}"


if __name__ == "__main__":
    main()
