"""`tidegate monitor` on a real Kafka and Redis: killed, taken over from, stopped; every row in one window, every window once."""

import re
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import pytest

from benchmarks.monitor_kills import Sending, verdict
from benchmarks.monitor_process import AT_WORK, MonitorProcess, drained, wait_for
from benchmarks.monitored import deploy
from streams.jobs import write_run
from streams.settings import Settings
from tests.streams.test_jobs import run

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def page(monitor: MonitorProcess, name: str) -> str:
    """One of a monitor's pages."""
    (address,) = re.findall(r"(http://\S+)/metrics", monitor.said())[-1:]
    with urlopen(f"{address}/{name}", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


def test_kills_and_takeovers_lose_and_double_nothing(kafka: str, redis_url: str, tmp_path: Path) -> None:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "REDIS_URL": redis_url,
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/registry.db",
        "TIDEGATE_CACHE": str(tmp_path / "models"),
    }
    profile = deploy(Settings.from_environment(environment, tmp_path), 4)
    write_run(kafka, run("train", "succeeded", 1_700_000_000.0, "gauges"))
    sending = Sending(kafka, 4)
    first, second = (MonitorProcess(environment, tmp_path / f"{name}.log") for name in ("first", "second"))
    try:
        sending.start()
        wait_for(lambda: all("/metrics" in m.said() for m in (first, second)), "both monitors")
        worker, standby = (first, second) if AT_WORK in first.said() else (second, first)
        wait_for(lambda: "tidegate_drift_windows_total" in page(worker, "metrics") and judged(worker) >= 3, "three windows")
        jobs = re.findall(r"^tidegate_job_.* \S+$", page(worker, "metrics"), re.MULTILINE)
        assert 'tidegate_job_runs_total{job="train",pipeline="gauges",result="succeeded"} 1.0' in jobs
        worker.kill()
        standby.wait_until_at_work()
        wait_for(lambda: judged(standby) >= 3, "three windows of the next owner")
        metrics = page(standby, "metrics")
        assert 'tidegate_model_expected_info{model="gauges",pipeline="gauges",version="1"} 1.0' in metrics
        assert 'tidegate_feature_drift_state{feature="gauge_07",pipeline="gauges"}' in metrics
        assert [line for line in metrics.splitlines() if line in jobs] == jobs  # no counter went back
        assert page(standby, "readyz") == "redis: ok\npartitions: ok\n"
        sending.finish()
        wait_for(lambda: drained(environment), "all rows to be read")
        assert standby.stop() == 0
    finally:
        for monitor in (first, second):
            monitor.end()
    found = verdict(environment, np.vstack(sending.matrices), profile)
    assert found.wrong == []
    assert found.windows >= 6


def judged(monitor: MonitorProcess) -> float:
    """Windows that it has published."""
    found = re.findall(r"^tidegate_drift_windows_total\{.*\} (\S+)$", page(monitor, "metrics"), re.MULTILINE)
    return sum(map(float, found))
