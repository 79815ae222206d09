"""A worker: everything wired together and run until a signal. The path of a chunk is flow.py's."""

import asyncio
import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from mode import Service

from featurestore import warmup
from featurestore.events import contract
from featurestore.plan import FeaturePlan, compile_plan
from featurestore.redis_store import RedisStore
from monitors.metrics import WorkerMetrics
from scorer.pipeline import Pipeline
from streams.audit import SPEC as AUDIT
from streams.chunk import PACE_MS, TP
from streams.deployments import SPEC as DEPLOYMENTS
from streams.enrolment import Enrolment, Watch, ttl_ms
from streams.errors import AssignmentTimeout, RecordsGone
from streams.faust_app import AppSettings, MicroBatchApp, create_app
from streams.flow import Flow
from streams.jobs import SPEC as JOBS
from streams.lean import arrow_without_pandas, numba_without_scipy
from streams.model_source import load_champion
from streams.outputs import TopicNames
from streams.personal import pseudonyms
from streams.publisher import KafkaPublisher
from streams.records import REASONS
from streams.serving import ServingModel
from streams.settings import Settings
from streams.topic_facts import TopicFacts, group_of
from streams.topics import TopicSpec, ensure_topics, output_topic
from streams.tuning import tune_process
from streams.web import Readiness, WebServer

log = logging.getLogger(__name__)

KAFKA_SECONDS = 60.0  # for the logs' ends and beginnings: longer than a broker takes to restart
MAX_JOINED = 64  # partitions whose chunks are computed as one: each has a fence in every shard


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What one worker may be told beside its environment."""

    partitions: int = 4
    web_host: str = "127.0.0.1"
    web_port: int = 6066
    in_flight: int = 2
    max_chunk_events: int = 2000
    pace_ms: int = PACE_MS
    session_timeout_seconds: float = 30.0


class Resources(Service):  # type: ignore[misc]
    """The store, its list of namespaces and the publisher, opened before the consumer and closed after it."""

    def __init__(
        self,
        flow: Flow,
        store: RedisStore,
        enrolment: Enrolment,
        publisher: KafkaPublisher,
        readiness: Readiness,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._flow = flow
        self._store, self._enrolment, self._publisher, self._readiness = store, enrolment, publisher, readiness

    async def on_start(self) -> None:
        await self._store.check()
        await self._enrolment.enter()
        self._readiness.done("redis")

    async def on_shutdown(self) -> None:
        self._flow.close()
        await self._publisher.close()
        await self._enrolment.close()
        await self._store.close()


class FlowHooks:
    """Joins assignments to the flow: fences are read before the first record, settled before each commit."""

    def __init__(self, flow: Flow, metrics: WorkerMetrics, readiness: Readiness, announce: Callable[[str], None]) -> None:
        self.app: MicroBatchApp | None = None
        self._flow, self._metrics, self._readiness, self._announce = flow, metrics, readiness, announce

    async def on_assigned(self, committed: Mapping[TP, int | None]) -> Mapping[TP, int]:
        self._metrics.count(self._metrics.rebalances, 1)
        starts: dict[TP, int] = {}
        if committed:
            assert self.app is not None
            ends, firsts = await _logs(self.app.consumer, committed)
            with self._readiness.meanwhile("partitions", "assigned, waiting for Redis"):
                for tp, offset in committed.items():
                    start = await self._flow.assign(tp, offset, ends.get(tp))
                    if start is not None:
                        starts[tp] = checked_start(tp, start, firsts.get(tp) or 0, offset)
        self._readiness.done("partitions")
        self._announce(assignment_line(committed))
        return starts

    async def before_commit(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        return await self._flow.settle(offsets)

    async def on_revoked(self, tps: Set[TP]) -> None:
        self._flow.revoke(tps)


async def _logs(consumer: Any, tps: Iterable[TP]) -> tuple[Mapping[TP, int | None], Mapping[TP, int | None]]:
    """The end and the first offset of each partition; AssignmentTimeout where Kafka does not tell."""
    try:
        async with asyncio.timeout(KAFKA_SECONDS):
            return await consumer.highwaters(*tps), await consumer.earliest_offsets(*tps)
    except TimeoutError as error:
        raise AssignmentTimeout(KAFKA_SECONDS) from error


def assignment_line(tps: Iterable[TP]) -> str:
    """Which partitions were assigned, for people.

    >>> assignment_line([TP("a", 1), TP("a", 0), TP("b", 0)])
    'a 0 1, b 0'
    """
    topics: dict[str, list[int]] = {}
    for topic, partition in sorted(tps):
        topics.setdefault(topic, []).append(partition)
    return ", ".join(f"{topic} {' '.join(map(str, found))}" for topic, found in topics.items()) or "none (others have them all)"


def checked_start(tp: TP, start: int, first: int, committed: int | None) -> int:
    """`start`, if Kafka still has it; RecordsGone otherwise."""
    if start < first:
        raise RecordsGone(
            f"the feature store lacks events of {tp.topic}/{tp.partition} from offset {start} (committed: {committed}), but "
            f"Kafka holds only those from {first}. New or changed features? Fill them as far as Kafka goes: tidegate backfill "
            f"PIPELINE (--from FOLDER: from Parquet). Redis lost data? Restore it from a newer copy, or run the same backfill"
        )
    if committed is not None:
        log.warning(
            "%s/%s: the feature store lacks the %s records from %s to the committed %s; merging them again, without predictions, "
            "before anything new. For changed features, tidegate backfill does it beforehand",
            *tp, f"{committed - start:,}", start, committed,
        )  # fmt: skip
    return start


def topic_specs(pipeline: Pipeline, plan: FeaturePlan, partitions: int) -> list[TopicSpec]:
    """Every topic that a worker reads or writes, as it is created where it is missing."""
    names = TopicNames.of(pipeline.name)
    sources = dict.fromkeys([contract(event).topic for event in plan.events] + [contract(pipeline.label.event).topic])
    return [
        *(output_topic(name, partitions) for name in sources),
        output_topic(names.predictions, partitions),
        output_topic(names.features, partitions),
        output_topic(names.dead_letters, 1),
        DEPLOYMENTS,
        AUDIT,
        JOBS,
    ]


def leads(plan: FeaturePlan) -> dict[str, float]:
    """How far, in seconds, a topic's partition may run ahead of the others: the least lateness that its groups allow."""
    out: dict[str, float] = {}
    for group in plan.groups:
        allowed = float(group.tile_seconds.min()) * group.on.lateness_tiles
        out[group.topic] = min(out.get(group.topic, np.inf), max(allowed, 1.0))
    return out


def build_worker(pipeline: Pipeline, settings: Settings, options: WorkerOptions) -> MicroBatchApp:
    """Everything up to the first record: topics, model, warm kernel, pages; then an app that is ready to run."""
    numba_without_scipy()
    arrow_without_pandas()
    plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
    hashing = pseudonyms(settings, pipeline, plan)
    metrics = WorkerMetrics(
        pipeline.name, [group.name for group in plan.groups], REASONS, plan.shared, pipeline.cost_usd_per_hour
    )
    readiness = waiting()
    web = WebServer(options.web_host, options.web_port, metrics.registry, readiness)
    bootstrap, redis_url = settings.kafka, settings.redis
    ensure_topics(bootstrap, topic_specs(pipeline, plan, options.partitions))
    model = champion(settings, pipeline, plan, metrics, readiness)
    warmup.warm(plan)
    readiness.done("kernel")
    facts = TopicFacts(bootstrap)
    kept = ttl_ms(plan, facts.retention_ms({group.topic for group in plan.groups}))
    retried, away = partial(metrics.count, metrics.store_retries, 1), partial(metrics.store_away, "client")
    store = RedisStore(redis_url, pipeline.shards, retried, kept, metrics.came_too_late, away)
    publisher = KafkaPublisher(bootstrap)
    flow = Flow(
        pipeline, plan, store, publisher, metrics, model, settings.build, tell=readiness.tell("model"), pseudonyms=hashing
    )
    enrolment = Enrolment(plan, settings, store, facts)
    flow.admits = enrolment.admits
    serving = "no model" if model is None else f"model {model.name} v{model.version}"
    hooks = FlowHooks(
        flow, metrics, readiness, announcer(f"{pipeline.name}: {serving}, http://{options.web_host}:{web.port}/readyz")
    )
    app = create_app(
        app_settings(pipeline, settings, options, plan),
        [contract(event).topic for event in plan.events],
        flow,
        hooks,
        [Resources(flow, store, enrolment, publisher, readiness), Watch(enrolment, store)],
    )
    hooks.app = app
    tune_process()
    return app


def waiting() -> Readiness:
    """What a worker waits for before it is ready."""
    readiness = Readiness()
    for what, why in {
        "model": "loading",
        "kernel": "compiling",
        "redis": "connecting",
        "partitions": "joining the group",
    }.items():
        readiness.wait_for(what, why)
    return readiness


def champion(
    settings: Settings, pipeline: Pipeline, plan: FeaturePlan, metrics: WorkerMetrics, readiness: Readiness
) -> ServingModel | None:
    """The model that serves; None, and said so, where none is deployed."""
    model = load_champion(settings, pipeline.name, plan.schema, metrics)
    if model is None:
        readiness.wait_for("model", f"no champion of {pipeline.name} is deployed; run: tidegate train --promote")
        log.warning("No champion of %s: features are kept, nothing is predicted. Run: tidegate train --promote", pipeline.name)
    else:
        readiness.done("model")
    return model


def announcer(about: str) -> Callable[[str], None]:
    """Tells people on stderr that the worker is at work, and on what, each time its partitions change."""
    return lambda partitions: print(f"{about}; partitions of {partitions}", file=sys.stderr, flush=True)


def app_settings(pipeline: Pipeline, settings: Settings, options: WorkerOptions, plan: FeaturePlan) -> AppSettings:
    joins = pipeline.on_store_unavailable == "pause"  # who degrades keeps a queue for each partition
    return AppSettings(
        app_id=group_of(pipeline.name),
        bootstrap_servers=settings.kafka,
        in_flight=options.in_flight,
        max_chunk_events=options.max_chunk_events,
        max_joined=MAX_JOINED if joins else 1,
        pace_seconds=options.pace_ms / 1000 if joins else 0.0,
        max_lead_seconds=leads(plan),
        session_timeout_seconds=options.session_timeout_seconds,
        heartbeat_seconds=min(3.0, options.session_timeout_seconds / 3),
    )
