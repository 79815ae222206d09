"""The monitor's metrics: every outcome from the start, values where dashboards look for them, NaN for what is not known."""

import math

from prometheus_client import generate_latest

from monitors.feeds import Feed
from monitors.monitor_metrics import ROW_OUTCOMES, STATES, MonitorMetrics
from monitors.quality import CHECKS, RESULTS, Check

PIPELINE = {"pipeline": "fraud"}


def value(metrics: MonitorMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, PIPELINE | labels)


def feed(age: float | None) -> Feed:
    return Feed(
        group="users", missing_ratio=0.0, stale_ratio=0.0, youngest_age=age, age_p50=age, age_p95=age, limit=300.0, fresh=None
    )


def test_every_outcome_exists_at_0_from_the_start() -> None:
    metrics = MonitorMetrics("fraud", ["users"])
    assert {value(metrics, "tidegate_monitor_rows_total", outcome=outcome) for outcome in ROW_OUTCOMES} == {0}
    found = {value(metrics, "tidegate_data_quality_checks_total", check=check, result=end) for check in CHECKS for end in RESULTS}
    assert found == {0}
    assert {value(metrics, "tidegate_drift_windows_total", state=state) for state in ("ok", "warn", "drift", "unknown")} == {0}
    assert {value(metrics, "tidegate_feature_windows_total", state=state) for state in STATES} == {0}
    assert {value(metrics, "tidegate_skew_runs_total", result=end) for end in ("compared", "failed")} == {0}
    assert value(metrics, "tidegate_monitor_state_writes_total") == 0
    assert math.isnan(value(metrics, "tidegate_data_quality_score") or 0)
    assert math.isnan(value(metrics, "tidegate_decision_rate_breaches") or 0)
    assert b"_created" not in generate_latest(metrics.registry)


def test_what_is_said_is_found() -> None:
    metrics = MonitorMetrics("fraud", ["users"])
    metrics.rows({"counted": 5, "late": 1})
    metrics.feature("amount", 0.3, 0.25, "drift", "ticket")
    metrics.feature("hour", None, None, "unknown", "none")
    metrics.window(1_700_000_000.0, 1_000, "drift", 0.25)
    check = Check(check="missing", subject="amount", passed=False, value=0.5, limit=0.05, text="")
    metrics.quality([check], 0.9, [feed(12.0)])
    metrics.skew({"amount": 0.01, "hour": None})
    assert value(metrics, "tidegate_monitor_rows_total", outcome="counted") == 5
    assert value(metrics, "tidegate_feature_drift_psi", feature="amount") == 0.3
    assert value(metrics, "tidegate_feature_drift_psi_excess", feature="amount") == 0.25
    assert math.isnan(value(metrics, "tidegate_feature_drift_psi_excess", feature="hour") or 0)
    assert {state: value(metrics, "tidegate_feature_windows_total", state=state) for state in STATES} == {
        "ok": 0, "warn": 0, "drift": 1, "unknown": 1
    }  # fmt: skip
    assert value(metrics, "tidegate_feature_drift_state", feature="amount") == 2
    assert value(metrics, "tidegate_feature_drift_severity", feature="amount") == 2
    assert value(metrics, "tidegate_feature_drift_state", feature="hour") == -1
    assert math.isnan(value(metrics, "tidegate_feature_drift_psi", feature="hour") or 0)
    assert value(metrics, "tidegate_drift_last_window_timestamp_seconds") == 1_700_000_000.0
    assert value(metrics, "tidegate_drift_window_events") == 1_000
    assert value(metrics, "tidegate_drift_windows_total", state="drift") == 1
    assert value(metrics, "tidegate_decision_rate") == 0.25
    assert value(metrics, "tidegate_data_quality_checks_total", check="missing", result="failed") == 1
    assert value(metrics, "tidegate_data_quality_score") == 0.9
    assert value(metrics, "tidegate_feed_age_seconds", group="users") == 12.0
    assert value(metrics, "tidegate_feed_age_limit_seconds", group="users") == 300.0
    assert value(metrics, "tidegate_skew_ratio", feature="amount") == 0.01
    assert math.isnan(value(metrics, "tidegate_skew_ratio", feature="hour") or 0)


def test_windows_in_a_row_outside_the_band_are_as_many_as_are_told() -> None:
    metrics, told = MonitorMetrics("fraud", []), []
    for windows in (0, 1, 2, None):
        metrics.breaches(windows)
        told.append(value(metrics, "tidegate_decision_rate_breaches"))
    assert told[:3] == [0, 1, 2]
    assert math.isnan(told[3] or 0)


def test_a_comparison_that_failed_leaves_what_was_known() -> None:
    metrics = MonitorMetrics("fraud", [])
    metrics.skew({"amount": 0.01})
    metrics.skew(None)
    assert value(metrics, "tidegate_skew_runs_total", result="failed") == 1
    assert value(metrics, "tidegate_skew_ratio", feature="amount") == 0.01


def test_one_version_is_expected_at_a_time() -> None:
    metrics = MonitorMetrics("fraud", [])
    metrics.expected("fraud", 1)
    metrics.expected("fraud", 2)
    assert value(metrics, "tidegate_model_expected_info", model="fraud", version="1") is None
    assert value(metrics, "tidegate_model_expected_info", model="fraud", version="2") == 1
    metrics.expected("fraud", None)
    assert value(metrics, "tidegate_model_expected_info", model="fraud", version="2") is None
