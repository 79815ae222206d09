"""Processes that grow, restart or are moved about; and jobs that fail."""

from monitors.alerts.burn import WINDOWS, Budget, slow_burn, standing
from monitors.alerts.rule import MINUTE, Alert, Recording, Rule, Timing
from monitors.alerts.subject import ON_CALL, Subject

MEMORY_SHARE = 0.8
RESTARTS = 2  # more, in 15m: a process that cannot stay up; one is a deployment
REBALANCES = 10  # of one worker in 15m; a rolling restart of four workers is eight


def processes(subject: Subject, timing: Timing) -> list[Rule]:
    """Rules on the processes of the pipeline, and on the lag process, which has none."""
    these = f'{{pipeline=~"|{subject.pipeline.replace(".", "[.]")}"}}'
    quarter = timing(15 * MINUTE)
    resident, limit = "tidegate_process_resident_memory_bytes", "tidegate_process_memory_limit_bytes"
    return [
        Alert(
            name="TidegateMemoryHigh",
            family="process",
            severity="ticket",
            expr=f"max by (process, instance) ({resident}{these} / {limit}{these}) > {MEMORY_SHARE}",
            after=5 * MINUTE,
            summary="a {{ $labels.process }} process uses {{ $value | humanizePercentage }} of its memory limit",
            meaning="Above the limit it is killed; events are not lost, but predictions wait for its restart.",
            panel=(ON_CALL, "Memory against limit"),
        ),
        Alert(
            name="TidegateRestarts",
            family="process",
            severity="ticket",
            expr=f"max by (process, instance) (changes(tidegate_process_start_time_seconds{these}[{quarter}])) > {RESTARTS}",
            summary="a {{ $labels.process }} process was restarted {{ $value }} times in 15 minutes",
            meaning="It does not stay up. Its log says why it ended.",
            panel=(ON_CALL, "Restarts"),
        ),
        Alert(
            name="TidegateRebalances",
            family="process",
            severity="ticket",
            expr=f"max by (pipeline, instance) (increase(tidegate_rebalances_total{{{subject.this}}}[{quarter}])) > {REBALANCES}",
            summary="partitions of a worker were assigned {{ $value | humanize }} times in 15 minutes",
            meaning="Each time its partitions stand still for a moment. Workers come and go, or miss heartbeats.",
            panel=(ON_CALL, "Rebalances"),
        ),
    ]


def jobs(subject: Subject, timing: Timing) -> list[Rule]:
    """Rules of `Objectives.jobs`."""
    share = subject.objectives.jobs
    if share is None:
        return []
    budget = Budget(
        slo="jobs",
        title="Jobs",
        what="the runs of a job failed",
        ratio="tidegate:jobs_failed:ratio",
        share=share,
        pipeline=subject.pipeline,
    )
    runs = f"tidegate_job_runs_total{{{subject.this}"
    ratios = [
        Recording(
            record=f"{budget.ratio}_{window}",
            expr=f'sum by (pipeline, job) (increase({runs},result="failed"}}[{timing(seconds)}])) / '
            f"(sum by (pipeline, job) (increase({runs}}}[{timing(seconds)}])) > 0)",
        )
        for window, seconds in WINDOWS.items()
    ]
    return [*ratios, *standing(budget), slow_burn(budget, timing)]
