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
from service_samples import Service, generation, replace_model, until

Start = Callable[..., Service]


def damage_model(run: Path) -> None:
    """Put a damaged model in place, in one step: a half-written file would be one more model to refuse."""
    with replacing(run / "model.safetensors") as temporary:
        temporary.write_bytes(b"damaged")


class Load:
    """Clients that send requests without a pause, and the statuses of their answers."""

    def __init__(self, url: str, n: int = 3) -> None:
        self.url, self.running, self.statuses = url, True, list[int]()
        self.threads = [threading.Thread(target=self._send) for _ in range(n)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.running = False
        for thread in self.threads:
            thread.join(timeout=20)

    def _send(self) -> None:
        with httpx.Client(base_url=self.url, timeout=20) as client:
            while self.running:
                try:
                    self.statuses.append(client.get("/v1/recommend/1?k=5").status_code)
                    body = {"history": [1, 2, 3]}
                    self.statuses.append(client.post("/v1/recommend", json=body).status_code)
                except httpx.HTTPError:
                    self.statuses.append(0)


@pytest.fixture(scope="module")
def shop(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(run, tmp_path_factory.mktemp("shared") / "shop"))


@pytest.fixture(scope="module")
def server(shop: Path) -> Iterator[Service]:
    """One server for several tests."""
    service = Service(shop, "--watch-seconds", "0.05", "--body-seconds", "0.5", "--no-access-log")
    yield service
    assert service.stop() == 0


def test_no_request_fails_while_models_are_replaced(server: Service, shop: Path, run: Path, newer: Path) -> None:
    with Load(server.url) as load:
        for number, source in enumerate((newer, run, newer), start=generation(server.url) + 1):
            replace_model(shop, source)
            until(lambda number=number: generation(server.url) == number)
        damage_model(shop)
        server.wait_for("refused .*the old one stays")
        count = len(load.statuses)
        until(lambda: len(load.statuses) > count + 20)
    assert set(load.statuses) == {200}
    assert httpx.get(f"{server.url}/v1/recommend/99").status_code == 200, "the last intact model answers"
    assert 'ltocf_refused_generations_total{run="shop"} 1.0' in httpx.get(f"{server.url}/metrics").text


def test_large_bodies_are_refused(server: Service) -> None:
    large = b'{"history": [' + b"1," * 5_000_000 + b"1]}"
    for content in (large, iter([large[i : i + 65536] for i in range(0, len(large), 65536)])):
        answer = httpx.post(f"{server.url}/v1/recommend", content=content, timeout=20)
        assert (answer.status_code, answer.json()["error"]["value"]) == (413, len(large))
        assert answer.headers["connection"] == "close"
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_slow_clients_time_out_and_block_nobody(server: Service) -> None:
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", server.port))) for _ in range(20)]
        for client in slow[:10]:
            client.sendall(b"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        for client in slow[10:]:
            client.sendall(b"GET /v1/rec")
        assert httpx.get(f"{server.url}/v1/recommend/1").status_code == 200
        slow[0].settimeout(20)
        answer = slow[0].recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_request_is_answered_beside_a_thousand_idle_connections(server: Service) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2000:
        pytest.skip("this system allows too few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2000), hard))
    try:
        with ExitStack() as stack:
            for _ in range(1000):
                stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
            assert httpx.get(f"{server.url}/v1/recommend/1").status_code == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_stopping_service_answers_the_running_request_and_refuses_others(run: Path, start: Start) -> None:
    service = start(run, "--json-logs", threaded=True)
    body = json.dumps({"users": list(range(40))}).encode()
    head = b"POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(head + body[:5])
        until(lambda: "ltocf_requests" in httpx.get(f"{service.url}/metrics").text)
        service.process.send_signal(signal.SIGTERM)
        until(lambda: httpx.get(f"{service.url}/readyz").status_code == 503)
        refused = httpx.get(f"{service.url}/v1/recommend/1")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.headers["connection"] == "close"
        connection.sendall(body[5:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 "), "the request in progress is answered"
    assert service.process.wait(timeout=20) == 0
    lines = [json.loads(line) for line in service.log().splitlines()]
    logged = [line for line in lines if line.get("path") == "/v1/recommend"]
    assert [(line["status"], line["method"]) for line in logged] == [(200, "POST")]
    assert len(logged[0]["request"]) == 16
    with pytest.raises(httpx.ConnectError):
        httpx.get(service.url)


@pytest.mark.parametrize("n_sockets", [1, 2])
def test_a_taken_address_is_refused(n_sockets: int) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match=r"`host` and `port` must be free and this machine's, got 127.0.0.1:\d+"),
    ):
        listening_sockets("127.0.0.1", taken.getsockname()[1], n_sockets)


def test_sockets_of_workers_share_an_address() -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(listener) for listener in listening_sockets("127.0.0.1", 0, 3)]
        assert len({listener.getsockname() for listener in sockets}) == 1
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
def test_invalid_addresses_are_refused(host: str, port: int, rule: str) -> None:
    with pytest.raises((ValueError, OSError), match=rule):
        listening_sockets(host, port)


def test_only_allowed_host_names_are_answered(server: Service, run: Path) -> None:
    def status_of(url: str, host: str) -> int:
        return httpx.get(f"{url}/v1/recommend/1", headers={"Host": host}).status_code

    assert [status_of(server.url, name) for name in ("evil.example", f"evil.example:{server.port}")] == [403] * 2
    assert [status_of(server.url, name) for name in (f"localhost:{server.port}", "127.0.0.1", "[::1]")] == [200] * 3
    assert httpx.get(f"{server.url}/healthz", headers={"Host": "evil.example"}).status_code == 200
    with listening_sockets("127.0.0.1", 0)[0] as loopback, listening_sockets("0.0.0.0", 0)[0] as any_address:
        assert allowed_hosts(loopback, ServiceSettings(hosts=("a.example",))) == Hosts(("a.example",))
        for listener, settings in (
            (loopback, ServiceSettings(token="secret")),
            (loopback, ServiceSettings(hosts=("*",))),
            (any_address, ServiceSettings()),
        ):
            assert allowed_hosts(listener, settings) is None


def test_special_ids_and_head_requests_over_a_connection(server: Service) -> None:
    assert httpx.get(f"{server.url}/v1/recommend/1%0A").status_code == 404
    assert httpx.get(f"{server.url}/v1/explain/1%2F2/3").json()["error"]["value"] == "'1/2'"
    answer = httpx.head(f"{server.url}/readyz")
    assert (answer.status_code, answer.content) == (200, b"")


def test_workers_are_refused_in_a_process_with_threads(run: Path, start: Start) -> None:
    with pytest.raises(AssertionError, match="`--workers` must be 1, except on Linux"):
        start(run, "--workers", "2", threaded=True)


@pytest.mark.skipif(platform.system() != "Linux", reason="processes are forked on Linux only")
def test_workers_follow_the_model_add_their_metrics_and_are_restarted(copy: Path, newer: Path, start: Start) -> None:
    service = start(copy, "--workers", "2", "--watch-seconds", "0.1", "--no-access-log")

    def both_have(number: int) -> bool:
        return {generation(service.url) for _ in range(12)} == {number}

    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children")
    with Load(service.url) as load:
        replace_model(copy, newer)
        until(lambda: both_have(2))
        damage_model(copy)
        service.wait_for("refused a newer model")
    assert set(load.statuses) == {200}
    assert httpx.get(f"{service.url}/v1/recommend/99").status_code == 200
    metrics = httpx.get(f"{service.url}/metrics").text
    assert 'ltocf_refused_generations_total{run="shop"} 1.0' in metrics
    counted = sum(float(line.split()[1]) for line in metrics.splitlines() if line.startswith("ltocf_fold_ins_total"))
    assert counted == len(load.statuses) // 2, "the sum of both workers"
    ids_before = set(children.read_text().split())
    os.kill(int(min(ids_before, key=int)), signal.SIGKILL)
    service.wait_for("ended with status -9")
    until(lambda: len(children.read_text().split()) == len(ids_before))
    until(lambda: both_have(2))
    service.process.kill()
    until(lambda: is_closed(service.url))  # workers do not outlive their parent


def is_closed(url: str) -> bool:
    """Whether nobody listens at an address."""
    try:
        httpx.get(url)
    except httpx.TransportError:
        return True
    return False


def test_workers_need_a_model(tmp_path: Path, start: Start) -> None:
    with pytest.raises(AssertionError, match="holds no finished run"):
        start(tmp_path, "--workers", "2")
