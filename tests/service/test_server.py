"""Real servers in processes of their own: reloading under load, hostile clients, and how they stop."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from ltocf.files import replacing
from ltocf.service.server import allowed_hosts, listening_sockets
from ltocf.service.settings import ServiceSettings
from ltocf.service.traffic import Hosts
from service_samples import Service, generation, until

Start = Callable[..., Service]


def replace_model(target: Path, source: Path) -> None:
    with replacing(target / "model.safetensors") as temporary:
        shutil.copy(source / "model.safetensors", temporary)


def damage_model(target: Path) -> None:
    """In one step: a file that is being written is refused twice if it is looked at meanwhile."""
    with replacing(target / "model.safetensors") as temporary:
        temporary.write_bytes(b"damaged")


class Load:
    """Clients that ask without a pause, and what they were answered."""

    def __init__(self, url: str, n: int = 3) -> None:
        self.url, self.going, self.statuses = url, True, list[int]()
        self.threads = [threading.Thread(target=self._ask) for _ in range(n)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.going = False
        for thread in self.threads:
            thread.join(timeout=20)

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=20) as client:
            while self.going:
                try:
                    self.statuses.append(client.get("/v1/recommend/1?k=5").status_code)
                    body = {"history": [1, 2, 3]}
                    self.statuses.append(client.post("/v1/recommend", json=body).status_code)
                except httpx.HTTPError:
                    self.statuses.append(0)


@pytest.fixture(scope="module")
def shop(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(run, tmp_path_factory.mktemp("alone") / "shop"))


@pytest.fixture(scope="module")
def alone(shop: Path) -> Iterator[Service]:
    """One server for several tests."""
    service = Service(shop, "--watch-seconds", "0.05", "--body-seconds", "0.5", "--no-access-log")
    yield service
    assert service.stop() == 0


def test_reload_under_load(alone: Service, shop: Path, run: Path, newer: Path) -> None:
    with Load(alone.url) as load:
        for number, source in enumerate((newer, run, newer), start=generation(alone.url) + 1):
            replace_model(shop, source)
            until(lambda number=number: generation(alone.url) == number)
        damage_model(shop)
        alone.wait_for("refused .*the old one stays")
        count = len(load.statuses)
        until(lambda: len(load.statuses) > count + 20)
    assert set(load.statuses) == {200}
    assert httpx.get(f"{alone.url}/v1/recommend/99").status_code == 200, "the last whole model answers"
    assert 'ltocf_refused_generations_total{run="shop"} 1.0' in httpx.get(f"{alone.url}/metrics").text


def test_large_bodies(alone: Service) -> None:
    large = b'{"history": [' + b"1," * 5_000_000 + b"1]}"
    for content in (large, iter([large[i : i + 65536] for i in range(0, len(large), 65536)])):
        answer = httpx.post(f"{alone.url}/v1/recommend", content=content, timeout=20)
        assert (answer.status_code, answer.json()["error"]["value"]) == (413, len(large))
        assert answer.headers["connection"] == "close"
    assert httpx.get(f"{alone.url}/healthz").status_code == 200


def test_slow_clients(alone: Service) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", alone.port))) for _ in range(20)]
        for client in slow[:10]:
            client.sendall(b"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        for client in slow[10:]:
            client.sendall(b"GET /v1/rec")
        assert httpx.get(f"{alone.url}/v1/recommend/1").status_code == 200
        slow[0].settimeout(20)
        answer = slow[0].recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_thousand_idle_connections(alone: Service) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip("this system allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    try:
        with ExitStack() as stack:
            for _ in range(1000):
                stack.enter_context(socket.create_connection(("127.0.0.1", alone.port), timeout=10))
            assert httpx.get(f"{alone.url}/v1/recommend/1").status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_graceful_stop(run: Path, start: Start) -> None:
    service = start(run, "--json-logs", threaded=True)
    body = json.dumps({"users": list(range(40))}).encode()
    head = b"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as running:
        running.sendall(head + body[:5])
        until(lambda: "ltocf_requests" in httpx.get(f"{service.url}/metrics").text)
        service.process.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{service.url}/readyz").status_code == 503)
        refused = httpx.get(f"{service.url}/v1/recommend/1")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.headers["connection"] == "close"
        running.sendall(body[5:])
        assert running.recv(65536).startswith(b"HTTP/1.1 200 "), "what was running ends"
    assert service.process.wait(timeout=20) == 0
    lines = [json.loads(line) for line in service.log().splitlines()]
    asked = [line for line in lines if line.get("path") == "/v1/recommend"]
    assert [(line["status"], line["method"]) for line in asked] == [(200, "POST")]
    assert len(asked[0]["request"]) == 16
    with pytest.raises(httpx.ConnectError):
        httpx.get(service.url)


@pytest.mark.parametrize("n", [1, 2])
def test_address_that_is_taken(n: int) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match=r"`host` and `port` must be free and this machine's, got 127.0.0.1:\d+"),
    ):
        listening_sockets("127.0.0.1", taken.getsockname()[1], n)


def test_sockets_of_workers_share_an_address() -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(one) for one in listening_sockets("127.0.0.1", 0, 3)]
        assert len({one.getsockname() for one in sockets}) == 1
        with pytest.raises(OSError, match="must be free"):
            listening_sockets("127.0.0.1", sockets[0].getsockname()[1], 2)


@pytest.mark.parametrize(
    ("host", "port", "rule"),
    [
        ("127.0.0.1", 99999, r"`port` must be in 0..65535, got 99999; .*free"),
        ("127.0.0.1", -1, r"`port` must be in 0..65535, got -1; .*free"),
        ("no.such.host.invalid", 0, r"`host` must be a name or an address .*, got 'no.such.host.invalid'; .*127.0.0.1"),
        ("a" * 70 + ".invalid", 0, r"`host` must be a name or an address .*; .*127.0.0.1"),
    ],
    ids=["too large", "too small", "no host", "no name"],
)
def test_addresses_that_there_are_not(host: str, port: int, rule: str) -> None:
    with pytest.raises((ValueError, OSError), match=rule):
        listening_sockets(host, port)


def test_who_may_ask(alone: Service, run: Path) -> None:
    def asked(url: str, host: str) -> int:
        return httpx.get(f"{url}/v1/recommend/1", headers={"Host": host}).status_code

    assert [asked(alone.url, name) for name in ("evil.example", f"evil.example:{alone.port}")] == [403, 403]
    assert [asked(alone.url, name) for name in (f"localhost:{alone.port}", "127.0.0.1", "[::1]")] == [200, 200, 200]
    assert httpx.get(f"{alone.url}/healthz", headers={"Host": "evil.example"}).status_code == 200
    with listening_sockets("127.0.0.1", 0)[0] as here, listening_sockets("0.0.0.0", 0)[0] as everywhere:
        assert allowed_hosts(here, ServiceSettings(hosts=("a.example",))) == Hosts(("a.example",))
        for listener, settings in (
            (here, ServiceSettings(token="secret")),
            (here, ServiceSettings(hosts=("*",))),
            (everywhere, ServiceSettings()),
        ):
            assert allowed_hosts(listener, settings) is None


def test_ids_and_heads_over_a_connection(alone: Service) -> None:
    assert httpx.get(f"{alone.url}/v1/recommend/1%0A").status_code == 404
    assert httpx.get(f"{alone.url}/v1/explain/1%2F2/3").json()["error"]["value"] == "'1/2'"
    answer = httpx.head(f"{alone.url}/readyz")
    assert (answer.status_code, answer.content) == (200, b"")


def test_threads_and_workers_do_not_go_together(run: Path, start: Start) -> None:
    with pytest.raises(AssertionError, match="`--workers` must be 1, except on Linux"):
        start(run, "--workers", "2", threaded=True)


@pytest.mark.skipif(platform.system() != "Linux", reason="processes are forked on Linux only")
def test_workers(copy: Path, newer: Path, start: Start) -> None:
    service = start(copy, "--workers", "2", "--watch-seconds", "0.1", "--no-access-log")

    def both_at(number: int) -> bool:
        return {generation(service.url) for _ in range(12)} == {number}

    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    with Load(service.url) as load:
        replace_model(copy, newer)
        until(lambda: both_at(2))
        damage_model(copy)
        service.wait_for("refused a newer model")
    assert set(load.statuses) == {200}
    assert httpx.get(f"{service.url}/v1/recommend/99").status_code == 200
    numbers = httpx.get(f"{service.url}/metrics").text
    assert 'ltocf_refused_generations_total{run="shop"} 1.0' in numbers
    counted = sum(float(line.split()[1]) for line in numbers.splitlines() if line.startswith("ltocf_fold_ins_total"))
    assert counted == load.statuses.count(200) // 2 or counted >= len(load.statuses) // 2 - 3, "those of both"
    before = set(children.read_text().split())
    os.kill(int(min(before, key=int)), signal.SIGKILL)
    service.wait_for("ended with status -9")
    until(lambda: len(children.read_text().split()) == len(before))
    until(lambda: both_at(2))
    service.process.kill()
    until(lambda: refuses(service.url))


def refuses(url: str) -> bool:
    """Nobody listens there any more: workers do not outlive their parent."""
    try:
        httpx.get(url)
    except httpx.TransportError:
        return True
    return False


def test_start_of_workers_without_a_model(tmp_path: Path, start: Start) -> None:
    with pytest.raises(AssertionError, match="holds no finished run"):
        start(tmp_path, "--workers", "2")
