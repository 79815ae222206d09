"""Panels on what the monitor says: drift of features, its windows, data quality, skew. They are on the debug dashboard."""

from monitors.dashboards.board import Panel
from monitors.dashboards.colours import GREEN, GREY, ORANGE, RED, bad_above, bad_below
from monitors.dashboards.limits import PSI_EXCESS, QUALITY, SKEW
from monitors.dashboards.looks import graph, timeline
from monitors.dashboards.series import THIS, Line, last, rate
from monitors.monitor_metrics import STATES

DRIFT_COLOURS = {"ok": GREEN, "warn": ORANGE, "drift": RED, "unknown": GREY}
DRIFT = {code: (state, DRIFT_COLOURS[state]) for state, code in STATES.items()}
ONE = f'{THIS},feature="${{feature}}"'


def verdicts() -> tuple[Panel, ...]:
    return (
        Panel(
            "PSI by feature",
            "Population stability index of each feature's last window against training.",
            "small and level; what chance alone makes depends on the window's events.",
            "PSI against its null band tells whether it is chance; tidegate drift PIPELINE --feature NAME shows the bins.",
            graph("none", Line(last("tidegate_feature_drift_psi", "feature"), "{{feature}}")),
            runbook="drift",
        ),
        Panel(
            "Drift state by feature",
            "The verdict on each feature's last window; prediction.* are the model's own outputs.",
            "ok.",
            "warn: one suspicious window. drift: two of the last three. unknown: too few events, or no reference. "
            "Were there deployments or changes upstream when it began?",
            timeline(DRIFT, Line(last("tidegate_feature_drift_state", "feature"), "{{feature}}")),
            runbook="drift",
        ),
        Panel(
            "PSI beyond chance by feature",
            "PSI less its mean under no drift, which depends on the window's events: features and windows compare.",
            "about 0, below the dashed line.",
            "above the line, and with q below 0.01 in two of three windows, it is drift. The null band is of the feature chosen.",
            graph(
                "none", Line(last("tidegate_feature_drift_psi_excess", "feature"), "{{feature}}"), limits=bad_above(PSI_EXCESS)
            ),
            runbook="drift",
        ),
    )


def band() -> tuple[Panel, ...]:
    psi, excess = f"max(tidegate_feature_drift_psi{{{ONE}}})", f"max(tidegate_feature_drift_psi_excess{{{ONE}}})"
    return (
        Panel(
            "PSI against its null band",
            "PSI of the feature chosen above; dashed: its mean under no drift for so many events, and what alarms.",
            "between the dashed lines, or below both.",
            "above the upper one it differs by more than chance, and enough to matter. Both rise where windows have few events.",
            graph(
                "none",
                Line(psi, "PSI"),
                Line(f"{psi} - {excess}", "null mean"),
                Line(f"{psi} - {excess} + {PSI_EXCESS:g}", "null mean and alarming excess"),
                dashed=["/^null/"],
                span=16,
            ),
            runbook="drift",
        ),
        Panel(
            "Feature windows by state",
            "Windows of single features judged in the last hour, by verdict.",
            "ok; unknown after a start, or on a quiet topic.",
            "all unknown: the monitor is blind, see Rows by outcome for no_reference. Much drift: PSI beyond chance by feature.",
            graph(
                "none",
                Line(f"sum by (state) (increase(tidegate_feature_windows_total{{{THIS}}}[1h]))", "{{state}}"),
                stacked=True,
                colours=DRIFT_COLOURS,
            ),
            runbook="drift",
        ),
    )


def windows() -> tuple[Panel, ...]:
    return (
        Panel(
            "Events of the last window",
            "How many events the last window had.",
            "level; above the declared minimum, 200 by default.",
            "below the minimum verdicts are unknown: declare longer windows.",
            graph("none", Line(last("tidegate_drift_window_events"), "events")),
            runbook="drift",
        ),
        Panel(
            "Age of the last window",
            "Time since the monitor last judged a window.",
            "a saw's teeth, as long as a window.",
            "a tooth that grows on: no traffic, or the monitor stands. Tidegate on-call, Lag in seconds, group .monitor.",
            graph("s", Line(f"time() - ({last('tidegate_drift_last_window_timestamp_seconds')} > 0)", "since the last window")),
            runbook="drift",
        ),
        Panel(
            "Rows by outcome",
            "Rows of served vectors a second by what the monitor did with them.",
            "counted; sampled_out above the declared rate.",
            "no_reference: train --promote stores one. late: raise Monitoring(lateness=...). unreadable: see the monitor's log.",
            graph("eps", Line(rate("tidegate_monitor_rows_total", "outcome"), "{{outcome}}"), stacked=True),
            runbook="drift",
        ),
    )


def quality() -> tuple[Panel, ...]:
    checks = f'tidegate_data_quality_checks_total{{{THIS},result="failed"}}'
    return (
        Panel(
            "Quality checks failed",
            "Checks of windows that failed in the last hour, by check.",
            "none.",
            "docs/quality.md says of each check what to do; tidegate drift PIPELINE names the feature.",
            graph("none", Line(f"sum by (check) (increase({checks}[1h]))", "{{check}}"), stacked=True),
            runbook="quality",
        ),
        Panel(
            "Data quality score",
            "Share of the last window's judged checks that passed.",
            "100 %.",
            "below the dashed line, 95 % by default, it is a ticket: Quality checks failed tells which.",
            graph("percentunit", Line(last("tidegate_data_quality_score"), "score"), limits=bad_below(QUALITY), top=1),
            runbook="quality",
        ),
        Panel(
            "Skew by feature",
            "Share of a sample of served values that differ from the same computed offline.",
            "0.",
            "the model sees other features than it was trained with: tidegate skew PIPELINE shows values side by side.",
            graph("percentunit", Line(last("tidegate_skew_ratio", "feature"), "{{feature}}"), limits=bad_above(SKEW)),
            runbook="quality",
        ),
    )
