"""What a monitor exports of jobs: nothing until it has read the topic, then every job and result, from 0."""

from prometheus_client import generate_latest

from monitors.job_metrics import BACKFILL, FAILED, JOBS, RESULTS, SUCCEEDED, TRAIN, JobTotals
from monitors.monitor_metrics import MonitorMetrics

LAST = "tidegate_job_last_success_timestamp_seconds"


def runs(metrics: MonitorMetrics) -> dict[tuple[str, str], float | None]:
    labels = {(job, result): {"pipeline": "fraud", "job": job, "result": result} for job in JOBS for result in RESULTS}
    return {key: metrics.registry.get_sample_value("tidegate_job_runs_total", found) for key, found in labels.items()}


def test_a_monitor_that_has_not_read_the_topic_says_nothing() -> None:
    """A 0 before the total would look like a counter that was reset: as many new runs as there are old ones."""
    assert b"tidegate_job" not in generate_latest(MonitorMetrics("fraud", []).registry)


def test_every_job_and_result_is_there_from_the_first_look() -> None:
    metrics = MonitorMetrics("fraud", [])
    metrics.jobs(JobTotals())
    assert set(runs(metrics).values()) == {0}
    assert {metrics.registry.get_sample_value(LAST, {"pipeline": "fraud", "job": job}) for job in JOBS} == {0}


def test_totals_are_found() -> None:
    metrics = MonitorMetrics("fraud", [])
    metrics.jobs(JobTotals({(TRAIN, SUCCEEDED): 57, (BACKFILL, FAILED): 2}, {TRAIN: 1_700_000_000.0}))
    found = runs(metrics)
    assert (found[TRAIN, SUCCEEDED], found[TRAIN, FAILED], found[BACKFILL, FAILED]) == (57, 0, 2)
    assert metrics.registry.get_sample_value(LAST, {"pipeline": "fraud", "job": "train"}) == 1_700_000_000.0
    assert metrics.registry.get_sample_value(LAST, {"pipeline": "fraud", "job": "backfill"}) == 0
