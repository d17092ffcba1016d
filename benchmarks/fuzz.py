"""Fuzz everything that reads files, guided by the lines of the package that an input reaches.

    python benchmarks/fuzz.py                        every target for two minutes of the processor each
    python benchmarks/fuzz.py csv model-mf --minutes 5

A target is a reader of tests/bad_inputs.py. What it raises besides the package's own errors is a finding: its input is
kept in FINDINGS/TARGET/, to become a file of tests/faults/corpus/TARGET/ when it is mended. Needs the extra `faults`
(atheris, which has wheels for Linux).
"""

from __future__ import annotations

import argparse
import hashlib
import json
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
OUT = ROOT / "results" / "faults" / "fuzzing.json"
CORPUS = ROOT / "tests" / "faults" / "corpus"
MENDED = "mended"
"""Counted in the committed corpus: each file was a finding once."""
SECONDS_OF_ONE, MEGABYTES = 60, 4000


def main() -> None:
    arguments = parser().parse_args()
    if arguments.child:
        fuzz(arguments.targets[0], arguments.seconds, arguments.corpus, arguments.findings)
        return
    import torch

    from bad_inputs import READERS
    from ltocf.training import environment

    figures: dict[str, Any] = {}
    targets = arguments.targets or list(READERS)
    with ThreadPoolExecutor(arguments.processes) as pool:
        for target, found in zip(targets, pool.map(partial(fuzzed, arguments=arguments), targets), strict=True):
            figures[target] = found
            print(target, found, flush=True)
    if arguments.record:
        total = {name: sum(figures[target][name] for target in figures) for name in next(iter(figures.values()))}
        found = {"figures": total, "targets": figures, "environment": environment(torch.device("cpu"))}
        OUT.parent.mkdir(parents=True, exist_ok=True)
        OUT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.exit(any(figures[target]["findings"] for target in figures))


def parser() -> argparse.ArgumentParser:
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("targets", nargs="*", help="readers; all of them if none is given")
    asked.add_argument("--minutes", type=float, default=2.0, help="minutes of the processor for each target")
    asked.add_argument("--processes", type=int, default=1, help="targets at a time")
    asked.add_argument("--corpus", type=Path, default=ROOT / ".fuzz" / "corpus", help="inputs that reached new lines")
    asked.add_argument("--findings", type=Path, default=ROOT / ".fuzz" / "findings")
    asked.add_argument("--record", action="store_true", help=f"write {OUT.relative_to(ROOT)}")
    asked.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked.add_argument("--seconds", type=int, default=0, help=argparse.SUPPRESS)
    return asked


def fuzzed(target: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One target in processes of its own until its minutes are over; one that dies is followed by another."""
    executions, deaths, known = 0, 0, 0
    findings = arguments.findings / target
    spent, budget = 0.0, 60 * arguments.minutes
    while spent < budget:
        command = [sys.executable, __file__, target, "--child", "--seconds", str(max(1, int(budget - spent)))]
        command += ["--corpus", str(arguments.corpus), "--findings", str(arguments.findings)]
        code, said, seconds = ended(command)
        spent += max(1.0, seconds)
        executions += max([int(number) for number in re.findall(r"^#(\d+)", said, re.MULTILINE)], default=0)
        if code:
            own = "memory allocation of" in said  # polars, see docs/data.md
            known, deaths = known + own, deaths + (not own)
            if own:  # libFuzzer keeps its input beside the findings
                for file in findings.glob("crash-*"):
                    file.unlink()
            elif not executions:
                raise RuntimeError(f"{target} cannot be fuzzed:\n{said[-3000:]}")
            else:
                (findings / f"death-{deaths}.txt").write_text(said[-20_000:], encoding="utf-8")
    found = len([file for file in findings.glob("*") if file.suffix != ".txt"]) if findings.is_dir() else 0
    mended = len(list((CORPUS / target).glob("*")))
    counts = {"executions": executions, "minutes": round(spent / 60, 1), "findings": max(found, deaths)}
    return counts | {"ends_of_the_process_by_polars": known, "findings_mended": mended}


def ended(command: list[str]) -> tuple[int, str, float]:
    """Exit code of a process, what it said on standard error, and its seconds of the processor."""
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
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
    folder = Path(tempfile.mkdtemp(prefix="ltocf-fuzz-"))

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
        f"-timeout={SECONDS_OF_ONE}",
        f"-rss_limit_mb={MEGABYTES}",
        "-len_control=0",
    ]
    options += [f"-max_len={8 * max(map(len, valid)) + 4096}", f"-artifact_prefix={findings / target}/"]
    atheris.Setup([sys.argv[0], *options, str(corpus / target)], once, custom_mutator=mutated)
    atheris.Fuzz()


def where(error: BaseException) -> str:
    """Kind and last line within the package, by which findings are told apart."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ltocf" in frame.filename]
    last = frames[-1] if frames else None
    return f"{type(error).__name__} {last and Path(last.filename).name} {last and last.name} {last and last.line}"


if __name__ == "__main__":
    main()
