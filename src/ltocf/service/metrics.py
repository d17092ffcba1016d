"""What Prometheus scrapes: requests, latency, generations, fold-ins, unknown ids."""

from __future__ import annotations

import os
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from ltocf.service.engine import Engine
from ltocf.service.metrics_folder import FOLDER

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The metrics of one application; with several workers, those of all."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.requests = Counter("ltocf_requests", "Requests answered.", ("path", "method", "status"), registry=registry)
        self.seconds = Histogram(
            "ltocf_request_seconds", "Time to the end of an answer.", ("path",), buckets=SECONDS, registry=registry
        )
        self.fold_ins = Counter("ltocf_fold_ins", "Histories that were scored.", registry=registry)
        self.unknown = Counter("ltocf_unknown_ids", "Ids that were not in training.", ("kind",), registry=registry)
        self.generation = Gauge(
            "ltocf_generation",
            "Models served since the start.",
            ("run",),
            multiprocess_mode="livemin",
            registry=registry,
        )
        self.loaded = Gauge(
            "ltocf_loaded_timestamp_seconds",
            "When the model that answers was put in place.",
            ("run",),
            multiprocess_mode="livemin",
            registry=registry,
        )
        self.refused = Counter(
            "ltocf_refused_generations", "Damaged models that were refused.", ("run",), registry=registry
        )

    def follow(self, engine: Engine) -> None:
        """Show the generation of an engine and when it was loaded, and count refused models, now and at each change."""
        counter = self.refused.labels(engine.name)
        n_counted = 0

        def update(engine: Engine) -> None:
            nonlocal n_counted
            counter.inc(engine.refused - n_counted)
            n_counted = engine.refused
            self.generation.labels(engine.name).set(engine.generation)
            self.loaded.labels(engine.name).set(engine.loaded_at)

        engine.on_change = update
        update(engine)

    def observer(self) -> Callable[[str, str, int, float], None]:
        """A function that counts a request, by path, method, status and seconds; labels are looked up once."""
        labelled: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

        def observe(path: str, method: str, status: int, seconds: float) -> None:
            key = (path, method, status)
            if key not in labelled:
                labelled[key] = (self.requests.labels(path, method, str(status)), self.seconds.labels(path))
            requests, latency = labelled[key]
            requests.inc()
            latency.observe(seconds)

        return observe

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        if FOLDER not in os.environ:
            return generate_latest(self.registry)
        all_workers = CollectorRegistry()
        MultiProcessCollector(all_workers)  # type: ignore[no-untyped-call]
        return generate_latest(all_workers)
