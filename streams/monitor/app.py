"""`tidegate monitor`, wired together: the Faust app on served vectors and dead letters, its checkpoint, its pages.

The file to read first. A record's way: owner.py (assignment, checkpoint, publishing), watching.py (what is counted where),
windows.py (which window), closing.py (what is said of one), monitors.drift and monitors.quality (the statistics).
"""

import asyncio
import logging
import sys
from dataclasses import dataclass
from functools import partial
from typing import Any

from mode import Service

from featurestore.checkpoints import Checkpoint
from featurestore.plan import compile_plan
from monitors.monitor_metrics import MonitorMetrics
from scorer.pipeline import Pipeline
from streams.deployments import SPEC as DEPLOYMENTS
from streams.deployments import running
from streams.faust_app import AppSettings, MicroBatchApp, add_timer, create_app
from streams.jobs import SPEC as JOBS
from streams.jobs import NewRuns, totals
from streams.monitor.comparing import Comparing
from streams.monitor.owner import Owner
from streams.monitor.ownership import OneOwner
from streams.monitor.records import drift_topic
from streams.monitor.references import References
from streams.monitor.watching import Watching
from streams.outputs import TopicNames
from streams.publisher import KafkaPublisher
from streams.settings import Settings
from streams.topics import DAY_MS, TopicSpec, ensure_topics, output_topic
from streams.tuning import tune_process
from streams.web import Readiness, WebServer

log = logging.getLogger(__name__)

# A record holds up to half a megabyte: 64 of them are 60,000 rows, and buffered ones 128 MB at most.
CHUNK_RECORDS, BUFFERED_RECORDS = 64, 256
DRIFT_DAYS = 30  # the seasonal context's four weeks, and two days to look at them
EXPECTED_SECONDS = 10.0  # between two looks at the topics of deployments and jobs
LEAD_SECONDS = 60.0  # by broker timestamp; windows wait for the slowest partition, so none needs to run far ahead


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorOptions:
    """What a monitor may be told beside its environment."""

    partitions: int = 4
    web_host: str = "127.0.0.1"
    web_port: int = 6067
    session_timeout_seconds: float = 30.0
    skew_seconds: int = 3_600  # between two comparisons with offline features; 0: none
    pipeline: str = ""  # as on the command line, for the process that compares


def monitor_group(pipeline: str) -> str:
    """The consumer group of a pipeline's monitors."""
    return f"tidegate.{pipeline}.monitor"


def topic_specs(pipeline: str, partitions: int) -> list[TopicSpec]:
    """What the monitor reads and writes, as it is created where it is missing."""
    names = TopicNames.of(pipeline)
    drift = output_topic(drift_topic(pipeline), 1, retention_ms=str(DRIFT_DAYS * DAY_MS))
    return [output_topic(names.features, partitions), output_topic(names.dead_letters, 1), drift, DEPLOYMENTS, JOBS]


class Resources(Service):  # type: ignore[misc]
    """Checkpoint and publisher: Redis answers before the consumer starts, both are closed after it."""

    def __init__(self, checkpoint: Checkpoint, publisher: KafkaPublisher, readiness: Readiness, **options: Any) -> None:
        super().__init__(**options)
        self._checkpoint, self._publisher, self._readiness = checkpoint, publisher, readiness

    async def on_start(self) -> None:
        await self._checkpoint.read()
        self._readiness.done("redis")

    async def on_shutdown(self) -> None:
        await self._publisher.close()
        await self._checkpoint.close()


def build_monitor(pipeline: Pipeline, settings: Settings, options: MonitorOptions) -> MicroBatchApp:
    """Everything up to the first record: topics, checkpoint, pages; then an app that is ready to run."""
    plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
    metrics = MonitorMetrics(pipeline.name, [group.name for group in plan.groups])
    readiness = Readiness()
    readiness.wait_for("redis", "connecting")
    readiness.wait_for("partitions", "joining the group")
    web = WebServer(options.web_host, options.web_port, metrics.registry, readiness)
    kafka, redis = settings.kafka, settings.redis
    ensure_topics(kafka, topic_specs(pipeline.name, options.partitions))
    checkpoint = Checkpoint(redis, f"monitor:{pipeline.name}")
    publisher = KafkaPublisher(kafka)
    references = References(settings, pipeline.name)
    begin = partial(Watching, pipeline, plan, references, metrics)
    page = f"http://{options.web_host}:{web.port}/metrics"
    owner = Owner(
        pipeline, settings, begin, checkpoint, publisher, metrics, readiness,
        lambda how: print(f"monitor of {pipeline.name}: {how}; {page}", file=sys.stderr, flush=True),
    )  # fmt: skip
    names = TopicNames.of(pipeline.name)
    app = create_app(
        app_settings(pipeline.name, settings, options),
        [names.features, names.dead_letters],
        owner,
        owner,
        [Resources(checkpoint, publisher, readiness), *comparing(pipeline, options, publisher, metrics, owner)],
    )
    owner.app = app
    looks = partial(expect, settings, pipeline.name, metrics), partial(count_jobs, NewRuns(kafka), pipeline.name, metrics)
    for look in looks:
        look()
        add_timer(app, EXPECTED_SECONDS, partial(asyncio.to_thread, look))
    add_timer(app, EXPECTED_SECONDS, owner.check_topics)
    tune_process()
    return app


def comparing(
    pipeline: Pipeline, options: MonitorOptions, publisher: KafkaPublisher, metrics: MonitorMetrics, owner: Owner
) -> list[Service]:
    """The comparison with offline features, unless it is declared or told away."""
    share = pipeline.monitoring.skew_share
    if not (share and options.skew_seconds and options.pipeline):
        return []
    name, seconds = pipeline.name, options.skew_seconds
    return [Comparing(options.pipeline, name, seconds, share, publisher, metrics, lambda: owner.at_work)]


def app_settings(pipeline: str, settings: Settings, options: MonitorOptions) -> AppSettings:
    return AppSettings(
        app_id=monitor_group(pipeline),
        bootstrap_servers=settings.kafka,
        max_chunk_events=CHUNK_RECORDS,
        max_buffered_events=BUFFERED_RECORDS,
        max_lead_seconds={TopicNames.of(pipeline).features: LEAD_SECONDS},
        session_timeout_seconds=options.session_timeout_seconds,
        heartbeat_seconds=min(3.0, options.session_timeout_seconds / 3),
        client_id="tidegate-monitor",
        assignor=OneOwner(),
        extra={"broker_max_poll_records": BUFFERED_RECORDS},
    )


def expect(settings: Settings, pipeline: str, metrics: MonitorMetrics) -> None:
    """Exports the version that the deployments topic says should serve; operators hold the workers' own word against it."""
    found = running(settings.kafka, pipeline).champion
    if found is not None:
        metrics.expected(found.model, found.version)


def count_jobs(new_runs: NewRuns, pipeline: str, metrics: MonitorMetrics) -> None:
    """Exports how the pipeline's jobs ended, where there are runs that were not counted yet."""
    runs = new_runs()
    if runs is not None:
        metrics.jobs(totals(runs, pipeline))
