"""Fills the namespaces of new or changed feature groups from Kafka or Parquet while workers serve the old ones.

The same decoding, the same deltas and the same fenced merge as in a worker (featurestore.session); nothing is read from the
states, scored or published. Two rules keep every event counted once:

- **Never at or past the committed offset** of the pipeline's consumer group. An event merged there would count as predicted
  before it was. A worker finds the fences right below a commit and fills what lies between by its ordinary recovery.
- **A cut for Parquet**: events from before it come from the file and never from Kafka, later ones from Kafka alone. The cut is
  kept in the namespace's entry, and every worker of the namespace heeds it, so that no later recovery can count an event twice;
  and on the audit topic, should Redis lose the entry.

A file's rows are fenced under a source of their own (row numbers as offsets). Everything goes on where it stopped.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from featurestore.errors import DefinitionError
from featurestore.events import Event
from featurestore.namespaces import Namespaces, is_shared
from featurestore.plan import FeaturePlan, compile_plan
from featurestore.redis_client import connect
from featurestore.redis_store import RedisStore
from scorer.pipeline import Pipeline
from streams.audit import fills
from streams.enrolment import ttl_ms
from streams.fill_watch import FillWatch
from streams.filling import Before, Filling, Progress, Report, Request, utc
from streams.personal import check_namespaces, pseudonyms
from streams.settings import Settings
from streams.topic_facts import TopicFacts

__all__ = ["Report", "Request", "backfill", "utc"]


async def backfill(pipeline: Pipeline, settings: Settings, request: Request, progress: Progress) -> Report:
    """Fills what is not complete; BackfillRefused (and the errors of namespaces and topics) where something stands against it."""
    plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
    hashing = pseudonyms(settings, pipeline, plan)
    chosen = _chosen(plan, request.groups)
    facts_of = TopicFacts(settings.kafka)
    kept = await asyncio.to_thread(facts_of.retention_ms, {group.topic for group in chosen.groups})
    store = RedisStore(settings.redis, plan.shards, ttl_ms=ttl_ms(chosen, kept))
    client = connect(settings.redis)
    watch = FillWatch(plan, settings, client, facts_of)  # of the whole plan: its names and personal fields
    try:
        await check_namespaces(client, plan, hashing)
        acts = await watch.begin([chosen.namespace(group) for group in chosen.groups])
        before, namespaces = Before(fills(acts), hashing, watch), Namespaces(client)
        return await Filling(pipeline, chosen, settings, request, progress, store, namespaces, facts_of, before).run()
    finally:
        await watch.end()
        await client.aclose()
        await store.close()


def _chosen(plan: FeaturePlan, names: Sequence[str]) -> FeaturePlan:
    """The plan of these groups alone (all that the pipeline writes), with nothing scored: events only feed."""
    writable = {reads.group.name: reads for reads in plan.reads if not is_shared(plan, reads.group)}
    for name in names:
        if name not in writable:
            raise DefinitionError(f"{plan.pipeline} writes no feature group {name!r}; it writes {', '.join(writable) or 'none'}")
    return replace(plan, scored=Event, reads=tuple(writable[name] for name in names or writable))
