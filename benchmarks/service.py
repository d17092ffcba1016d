"""How many requests a service answers, how fast, and in how much memory, compared with FastAPI and implicit.

    python benchmarks/service.py runs/gowalla --name gowalla

wrk sends requests from the same machine without a pause: for lists of ten for users of training, and for histories of
20 items that nobody has. The last measurement exchanges the model every ten seconds. The peer is ten lines of FastAPI
around implicit, see service_peer.py. Writes NAME.json, which `docs/draw_service.py` draws.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltocf.files import replacing
from ltocf.serving import Snapshot
from ltocf.training import environment

N_DRAWN, N_HISTORY, K = 4000, 20, 10
PERCENTILES = (50, 75, 90, 95, 99, 99.9)
RELOAD_SECONDS = 10
WAIT_SECONDS = 60
PEER = Path(__file__).with_name("service_peer.py")
SCRIPT = """
local n = 0
function request()
  n = n %% #prepared + 1
  return prepared[n]
end
function done(summary, latency, requests)
  local e, found = summary.errors, {}
  for _, p in ipairs({%(percentiles)s}) do
    found[#found + 1] = string.format('"%%g": %%.3f', p, latency:percentile(p) / 1000)
  end
  io.write(string.format('\\nJSON {"requests": %%d, "seconds": %%.3f, "failed": %%d, "max_ms": %%.3f, "ms": {%%s}}\\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency.max / 1000, table.concat(found, ", ")))
end
function init(arguments)
  prepared = {}
  for _, row in ipairs(drawn) do
    prepared[#prepared + 1] = wrk.format(%(method)s, row[1], {["Content-Type"] = "application/json"}, row[2])
  end
end
"""


def scripts(run: Path, folder: Path, seed: int) -> dict[str, Path]:
    """The scripts of wrk: one requests lists for users of training, one for histories."""
    names, draws = Snapshot.open(run).names, np.random.default_rng(seed)
    users = names.user_ids.ids.sample(N_DRAWN, with_replacement=True, seed=seed).to_list()
    items = names.item_ids.ids.to_list()
    histories = [[items[i] for i in draws.choice(len(items), N_HISTORY, replace=False)] for _ in range(N_DRAWN)]
    known = [(f"/v1/recommend/{user}?k={K}", None) for user in users]
    fold_in = [("/v1/recommend", json.dumps({"history": history, "k": K})) for history in histories]
    files = {}
    for name, method, requests in (("known", '"GET"', known), ("fold-in", '"POST"', fold_in)):
        rows = ",\n".join(f"{{'{path}', {'nil' if body is None else f'[==[{body}]==]'}}}" for path, body in requests)
        fields = {"percentiles": ", ".join(map(str, PERCENTILES)), "method": method}
        files[name] = folder / f"{name}.lua"
        files[name].write_text(f"drawn = {{\n{rows}\n}}\n" + SCRIPT % fields)
    return files


def measured(script: Path, url: str, seconds: int, connections: int) -> dict[str, Any]:
    """Requests per second, latency in milliseconds and failures of one load."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "5s", "-s", str(script), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + WAIT_SECONDS, check=True)
    found: dict[str, Any] = json.loads(done.stdout.partition("JSON ")[2])
    return {"requests_per_second": round(found["requests"] / found["seconds"], 1)} | found


@contextmanager
def served(command: list[str], ready: str) -> Iterator[tuple[str, int]]:
    """Run a server: its address and process id, as soon as its log names the address."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(ready, line):
                break
        else:
            raise RuntimeError(f"{' '.join(command)} ended with status {process.wait()}")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield found.group(1), process.pid
    finally:
        process.terminate()
        process.wait(timeout=WAIT_SECONDS)


@contextmanager
def service(run: Path, workers: int) -> Iterator[tuple[str, int]]:
    """Run the service with ``workers`` workers: its address and process id."""
    options = ["--port", "0", "--workers", str(workers), "--no-access-log", "--watch-seconds", "1"]
    with served([sys.executable, "-m", "ltocf", "serve", str(run), *options], r"at (http://\S+)") as (url, process):
        wait_for(url)
        yield url, process


def wait_for(url: str) -> None:
    """Wait until an address answers."""
    for _ in range(10 * WAIT_SECONDS):
        if subprocess.run(["curl", "-s", "-o", os.devnull, f"{url}/healthz"], check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"{url} does not answer")


def memory(process: int) -> list[dict[str, int]]:
    """Resident and proportional size of a process and its children, in MB."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    found = []
    for pid in (str(process), *children):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        sizes = {name: int(re.search(rf"^{name}:\s+(\d+)", text, re.M).group(1)) // 1024 for name in ("Rss", "Pss")}  # type: ignore[union-attr]
        found.append({"resident_mb": sizes["Rss"], "proportional_mb": sizes["Pss"]})
    return found


def total(parts: list[dict[str, int]]) -> int:
    return sum(part["proportional_mb"] for part in parts)


def measure(run: Path, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All measurements of the service."""
    load_scripts, found = scripts(run, folder, options.seed), {}
    copy = Path(shutil.copytree(run, folder / "run"))
    sizes: dict[int, list[dict[str, int]]] = {}
    for workers in (1, options.workers):
        with service(copy, workers) as (url, process):
            for name, script in load_scripts.items():
                measured(script, url, 1, options.connections)  # warm
                found[f"{name}, {workers} workers"] = measured(script, url, options.seconds, options.connections)
            if workers == options.workers:
                found["known, a reload every 10 s"] = reloaded(load_scripts["known"], url, copy, options)
                sizes[0] = memory(process)
    for workers in (1, 2):
        with service(copy, workers) as (url, process):
            measured(load_scripts["known"], url, 2, 4 * workers)
            measured(load_scripts["fold-in"], url, 2, 4 * workers)
            sizes[workers] = memory(process)
    first = max(part["resident_mb"] for part in sizes[1])
    added = total(sizes[2]) - total(sizes[1])
    found["memory"] = {
        "one_worker": sizes[1],
        "two_workers": sizes[2],
        "after_reloads": sizes[0],
        "second_worker_adds_mb": added,
        "share_of_resident_size": round(added / first, 3),
    }
    if options.peer:
        found |= measure_peer(run, load_scripts, options)
    return found


def reloaded(script: Path, url: str, run: Path, options: argparse.Namespace) -> dict[str, Any]:
    """The load while the model file is exchanged every ten seconds."""
    model, stop, n_exchanged = run / "model.safetensors", threading.Event(), 0

    def exchange() -> None:
        nonlocal n_exchanged
        while not stop.wait(RELOAD_SECONDS if n_exchanged else 2):
            with replacing(model) as temporary:
                shutil.copy(model, temporary)
            n_exchanged += 1

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        found = measured(script, url, options.reload_seconds, options.connections)
    finally:
        stop.set()
        thread.join()
    answer = subprocess.run(["curl", "-s", f"{url}/v1/runs"], capture_output=True, text=True, check=True)
    return found | {"exchanged": n_exchanged, "generation": json.loads(answer.stdout)[0]["generation"]}


def measure_peer(run: Path, load_scripts: dict[str, Path], options: argparse.Namespace) -> dict[str, Any]:
    """The same loads on the peer, with as many workers."""
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(PEER.parent), "service_peer:app", "--port", "8199"]
    os.environ["PEER_RUN"] = str(run.resolve())
    ready, url = r"(Application startup complete)", "http://127.0.0.1:8199"
    with served([*command, "--no-access-log", "--workers", str(options.workers)], ready) as (_, process):
        wait_for(url)
        time.sleep(5)  # the other workers train too
        found = {}
        for name, script in load_scripts.items():
            measured(script, url, 1, options.connections)
            load = measured(script, url, options.seconds, options.connections)
            found[f"peer {name}, {options.workers} workers"] = load
        return found | {"peer memory": memory(process)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", type=Path, default=Path("results/service"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--reload-seconds", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peer", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = measure(options.run, Path(folder), options)
    options.out.mkdir(parents=True, exist_ok=True)
    names = Snapshot.open(options.run).names
    record = {"command": " ".join(["python", "benchmarks/service.py", *sys.argv[1:]]), "seed": options.seed}
    record |= {"connections": options.connections, "n_users": names.sizes[0], "n_items": names.sizes[1]}
    record |= {"loads": found, "environment": environment(torch.device("cpu"))}
    (options.out / f"{options.name}.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
