"""A worker's pages: metrics in Prometheus' format, health, readiness with its reasons."""

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitors.metrics import OUTCOMES, STAGES, WorkerMetrics
from streams.records import REASONS
from streams.web import Readiness, WebServer


@pytest.fixture
def server() -> Iterator[tuple[WebServer, Readiness, WorkerMetrics]]:
    metrics, readiness = WorkerMetrics("p", ["g"], REASONS), Readiness()
    running = WebServer("127.0.0.1", 0, metrics.registry, readiness)
    yield running, readiness, metrics
    running.close()


def get(server: WebServer, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_readiness_waits_for_everything_and_says_for_what(server: tuple[WebServer, Readiness, WorkerMetrics]) -> None:
    web, readiness, _ = server
    readiness.wait_for("model", "loading")
    readiness.wait_for("redis", "connecting")
    readiness.done("redis")
    assert get(web, "/readyz") == (503, "model: loading\nredis: ok\n")
    readiness.done("model")
    assert get(web, "/readyz") == (200, "model: ok\nredis: ok\n")
    assert get(web, "/healthz") == (200, "ok\n")
    assert get(web, "/elsewhere")[0] == 404


def test_every_outcome_reason_and_stage_is_there_from_the_start(server: tuple[WebServer, Readiness, WorkerMetrics]) -> None:
    web, _, _ = server
    families = {family.name: family for family in text_string_to_metric_families(get(web, "/metrics")[1])}
    outcomes = {sample.labels["outcome"]: sample.value for sample in families["tidegate_events"].samples}
    assert outcomes == dict.fromkeys(OUTCOMES, 0.0)
    assert {sample.labels["reason"] for sample in families["tidegate_dead_letters"].samples} == set(REASONS)
    stages = {sample.labels["stage"] for sample in families["tidegate_stage_duration_seconds"].samples}
    assert stages == set(STAGES)


def test_the_latency_histogram_has_the_buckets_that_objectives_name(server: tuple[WebServer, Readiness, WorkerMetrics]) -> None:
    """client_python writes le="300.0", not "300"; a rule with another string would see nothing."""
    import numpy as np

    web, _, metrics = server
    metrics.end_to_end.observe("scored", np.array([0.1, 0.15, 0.3, np.nan]))
    page = get(web, "/metrics")[1]
    assert 'tidegate_end_to_end_seconds_bucket{le="0.2",outcome="scored",pipeline="p"} 2.0' in page
    assert 'tidegate_end_to_end_seconds_bucket{le="+Inf",outcome="scored",pipeline="p"} 3.0' in page
    assert 'tidegate_end_to_end_seconds_count{outcome="scored",pipeline="p"} 3.0' in page
    assert 'tidegate_feed_merge_delay_seconds_bucket{group="g",le="300.0",pipeline="p"} 0.0' in page
    assert "_created" not in page
