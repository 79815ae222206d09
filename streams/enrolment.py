"""A worker's standing in the feature store: its namespaces are entered and fit, and its topics stay the ones that it counts.

Before the first merge: other pipelines' groups are there, numbers of shards agree, a backfill from Parquet is complete (and not
lost with Redis, of which the audit topic tells), each topic is the one that was counted before. Afterwards, every few seconds:
the namespaces are still those that were entered, and in use, the topics are still the same.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from time import time
from typing import Any

from mode import Service

from featurestore.admission import Admission, Erasures
from featurestore.errors import NamespaceError, TopicReplacedError
from featurestore.events import Bools, EventBatch, Source
from featurestore.layout import Group
from featurestore.namespaces import Namespace, Namespaces, is_shared, replaced
from featurestore.personal import key_id
from featurestore.plan import FeaturePlan
from featurestore.redis_client import connect
from featurestore.redis_store import RedisStore
from featurestore.redis_tries import nobody_asks
from featurestore.store import Store
from streams.audit import FORGET, Act, NewActs, erasures, fills, same_fill
from streams.audit import SPEC as AUDIT_SPEC
from streams.errors import SettingsError, StreamError
from streams.settings import Settings
from streams.topic_facts import TopicFacts
from streams.topics import ensure_topics

log = logging.getLogger(__name__)

CHECK_SECONDS = 10.0


def parquet_source(topic: str) -> Source:
    """Where a Parquet file's rows are counted: a topic's name has no colon, so that no partition is called so."""
    return Source(f"parquet:{topic}", 0)


def ttl_ms(plan: FeaturePlan, retention_ms: Mapping[str, int | None]) -> dict[str, int | None]:
    """How long a state of each group is kept after its last merge, in milliseconds; None: for ever.

    The time after which it has nothing to tell, and on top the topic's retention: while no worker runs, events wait that long,
    and a state must not age away meanwhile.
    """
    kept = {group.name: retention_ms.get(group.topic) for group in plan.groups}
    horizons = {group.name: math.ceil(group.horizon_seconds * 1000) for group in plan.groups}
    return {name: None if milliseconds is None else milliseconds + horizons[name] for name, milliseconds in kept.items()}


class Enrolment:
    """Enters a pipeline's namespaces, then watches. ``on_away`` is told whenever Redis begins or ends to be away: its looks come
    at a steady pace, and so tell it of a worker that has no events, too."""

    def __init__(
        self,
        plan: FeaturePlan,
        settings: Settings,
        store: Store,
        facts: TopicFacts,
        on_away: Callable[[bool], None] = nobody_asks,
    ) -> None:
        self._plan, self._settings, self._store, self._facts = plan, settings, store, facts
        self._client = connect(settings.redis, on_away=on_away)
        self._namespaces = Namespaces(self._client)
        self._topics = list(dict.fromkeys(group.topic for group in plan.groups if not is_shared(plan, group)))
        self._ids: dict[str, str] = {}
        self._admission, self._new_acts = Admission(), NewActs(settings.kafka, facts)

    def admits(self, group: Group, batch: EventBatch) -> Bools:
        """Which events count in a group: known from `enter` on, before the first of them is read."""
        return self._admission(group, batch)

    async def enter(self) -> None:
        """Raises what makes these namespaces unfit, with the remedy."""
        self._ids = await asyncio.to_thread(self._facts.ids, self._topics)
        await asyncio.to_thread(ensure_topics, self._settings.kafka, [AUDIT_SPEC])
        acts = await asyncio.to_thread(self._new_acts) or []
        await self._check_fills(acts)
        key = self._settings.hash_key
        entries = await self._namespaces.register(self._plan, self._ids, time(), key_id=None if key is None else key_id(key))
        for entry in entries.values():
            await self._check_backfill(entry)
        # In this order: an act that is not among these is younger than the word, so that its forget sees it and deletes again.
        await self._say_used()
        newer = await asyncio.to_thread(self._new_acts)
        cuts = {name: entry.backfill.cut for name, entry in entries.items() if entry.backfill and entry.backfill.cut is not None}
        self._admission = Admission(cuts, self._erasures(acts if newer is None else newer))

    async def _check_fills(self, acts: list[Act]) -> None:
        """NamespaceError where Redis lost how a namespace was filled: Kafka has not what the file has, or has it a second time.

        Before anything is entered, so that an entry without a cut never stands where one with a cut was.
        """
        known, entries = fills(acts), await self._namespaces.all()
        for name in (self._plan.namespace(group) for group in self._plan.groups):
            entry = entries.get(name)
            if name in known and not same_fill(known[name], None if entry is None else entry.backfill):
                raise NamespaceError(
                    f"{name} was filled from a Parquet file, which Redis has lost: run the same tidegate backfill again, then "
                    f"start the workers; or begin anew: tidegate features drop {name}"
                )

    def _erasures(self, acts: list[Act]) -> Erasures | None:
        """SettingsError without the key (ErasedUnknown: with others): a backlog would bring back whom this worker cannot know."""
        keys = {act.key_id for act in acts if act.act == FORGET and act.pipeline == self._plan.pipeline}
        if keys and self._settings.hash_key is None:
            raise SettingsError(
                f"entities of {self._plan.pipeline} were forgotten, and TIDEGATE_HASH_KEY is not set: their events from before "
                f"would count again. Give every worker the key of that time (its id is {', '.join(sorted(keys))})"
            )
        return erasures(self._settings, self._plan, acts)

    async def _check_backfill(self, entry: Namespace) -> None:
        """NamespaceError where rows of a Parquet file are not merged yet (or no more: Redis went back in time)."""
        filled = entry.backfill
        if filled is None or filled.source != "parquet":
            return
        (fences,) = await self._store.fences([entry.name], parquet_source(entry.topic))
        if not filled.done or int(fences.min()) < (filled.rows or 0) - 1:
            raise NamespaceError(
                f"{entry.name} is not filled to the end from its Parquet file: run the same tidegate backfill again, it goes on "
                f"where it stopped; then start the workers"
            )

    async def check(self) -> None:
        """NamespaceError where a namespace was dropped, or entered anew with other shards; TopicReplacedError where a topic was
        created anew. Says that the namespaces are in use; takes in erasures (SettingsError without their key).
        """
        await self._namespaces.check(self._plan, self._ids)
        await self._say_used()  # before the acts are read, as in `enter`: after a long pause nobody may have known of this worker
        try:
            today = await asyncio.to_thread(self._facts.ids, self._topics)
            acts = await asyncio.to_thread(self._new_acts)
        except StreamError as away:
            log.warning("topics could not be checked: %s", away)
            today, acts = {}, None
        if acts is not None:
            self._admission = Admission(self._admission.cuts, self._erasures(acts))
        for topic, id in today.items():
            if self._ids.setdefault(topic, id) != id:
                names = [self._plan.namespace(group) for group in self._plan.written_by(topic)]
                raise TopicReplacedError(replaced(self._plan.pipeline, topic, names))

    async def _say_used(self) -> None:
        await self._namespaces.use([self._plan.namespace(group) for group in self._plan.groups], self._plan.pipeline)

    async def close(self) -> None:
        await self._client.aclose()


class Watch(Service):  # type: ignore[misc]
    """Asks at once and then every CHECK_SECONDS; what it finds wrong crashes the app."""

    logger = logging.getLogger("mode.watch")  # as noisy as Faust's others, and silenced with them

    def __init__(self, enrolment: Enrolment, store: RedisStore, **options: Any) -> None:
        super().__init__(**options)
        self._enrolment, self._store = enrolment, store

    @Service.task  # type: ignore[untyped-decorator]
    async def _watch(self) -> None:
        # At once, too: a worker may take long to start, and no act may stay unknown for longer than forget waits.
        while not self.should_stop:
            await self.look()
            await self.sleep(CHECK_SECONDS)

    async def look(self) -> None:
        """Raises what must stop the worker: what Enrolment.check finds; StoreConfigError where a node evicts by now."""
        await self._enrolment.check()
        await self._store.check_eviction()
