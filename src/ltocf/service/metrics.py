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
    """The numbers of one application; with several workers, those of all."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        self.requests = Counter("ltocf_requests", "Requests answered.", ("path", "method", "status"), registry=own)
        self.seconds = Histogram(
            "ltocf_request_seconds", "Time to the end of an answer.", ("path",), buckets=SECONDS, registry=own
        )
        self.fold_ins = Counter("ltocf_fold_ins", "Histories that were scored.", registry=own)
        self.unknown = Counter("ltocf_unknown_ids", "Ids that were not in training.", ("kind",), registry=own)
        self.generation = Gauge(
            "ltocf_generation", "Models served since the start.", ("run",), multiprocess_mode="livemin", registry=own
        )
        self.loaded = Gauge(
            "ltocf_loaded_timestamp_seconds",
            "When the model that answers was put in place.",
            ("run",),
            multiprocess_mode="livemin",
            registry=own,
        )
        self.refused = Counter("ltocf_refused_generations", "Damaged models that were refused.", ("run",), registry=own)

    def follow(self, engine: Engine) -> None:
        """Show the generation of an engine, now and after each change."""
        counted = self.refused.labels(engine.name)
        before = 0

        def told(engine: Engine) -> None:
            nonlocal before
            counted.inc(engine.refused - before)
            before = engine.refused
            self.generation.labels(engine.name).set(engine.generation)
            self.loaded.labels(engine.name).set(engine.loaded_at)

        engine.told = told
        told(engine)

    def observed(self) -> Callable[[str, str, int, float], None]:
        """Counts a request, by path, method, status and seconds; labels are looked up once."""
        seen: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

        def observe(path: str, method: str, status: int, seconds: float) -> None:
            key = (path, method, status)
            if key not in seen:
                seen[key] = (self.requests.labels(path, method, str(status)), self.seconds.labels(path))
            requests, latency = seen[key]
            requests.inc()
            latency.observe(seconds)

        return observe

    def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        if FOLDER not in os.environ:
            return generate_latest(self.registry)
        of_all = CollectorRegistry()
        MultiProcessCollector(of_all)  # type: ignore[no-untyped-call]
        return generate_latest(of_all)
