"""Forgets an entity: deletes its states, keeps the act for good as a keyed hash, and tells what remains elsewhere.

In this order: the act is written, then the states are deleted, then, once running workers and backfills have taken the act in,
deleted again, because until then one may still have merged events from before the act. A backfill, which may stop in between for
longer, deletes what it merged itself when it takes the act in.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from featurestore.admission import Erasures, entity_hash, same_entities
from featurestore.entities import decode_entity, encode_entity, shard_of
from featurestore.errors import HashKeyError, NamespaceError
from featurestore.events import contract
from featurestore.namespaces import Namespace, Namespaces, is_shared
from featurestore.personal import Pseudonyms, key_id
from featurestore.plan import FeaturePlan, compile_plan
from featurestore.redis_client import Client, escaped
from scorer.pipeline import Pipeline
from streams.audit import FORGET, TOPIC, Act, read_acts, required_key, write_act
from streams.enrolment import CHECK_SECONDS
from streams.outputs import TopicNames
from streams.settings import Settings
from streams.topic_facts import TopicFacts

TAKEN_IN_SECONDS = CHECK_SECONDS + 3.0  # workers look every CHECK_SECONDS, and finish the chunk in hand


@dataclass(frozen=True, slots=True)
class Remains:
    """A topic that may still hold the entity: ``until`` in seconds since the epoch, None for ever (or as long as Kafka likes)."""

    topic: str
    what: str
    until: float | None


@dataclass(slots=True)
class Forgotten:
    """What was done. ``states`` deleted by namespace; ``elsewhere`` other pipelines that keep groups which this one reads."""

    act: Act
    states: dict[str, int] = field(default_factory=dict)
    remains: list[Remains] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


async def forget(
    pipeline: Pipeline,
    settings: Settings,
    client: Client,
    entity: Mapping[str, str],
    who: str,
    why: str,
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Forgotten:
    """Forgets everything from before now; `entity` has values as events have them, hashed or not in Redis.

    NamespaceError where no group is keyed by the entity; SettingsError without a key; HashKeyError where a namespace's keys were
    hashed under another.
    """
    plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
    names, namespaces = same_entities(plan.groups), Namespaces(client)
    key = required_key(settings, await asyncio.to_thread(read_acts, settings.kafka))
    keyed = await _keyed(namespaces, plan, entity, names)
    if not keyed and all(_places(group.by, entity, names) is None for group in plan.groups):
        raise NamespaceError(f"no group of {plan.pipeline} is keyed by {', '.join(entity)}; see: tidegate features list")
    hashing = Pseudonyms(key)
    _refuse_other_keys(keyed, hashing)
    act = _act(plan, entity, key, who, why, [entry.name for entry in keyed])
    await asyncio.to_thread(write_act, settings.kafka, act)
    # Looked up again: what was entered meanwhile may be filled by who had read the acts before. Who enters later knows this one.
    keyed = await _keyed(namespaces, plan, entity, names)
    done = Forgotten(act)
    await _delete(client, keyed, entity, names, hashing, done)
    where = [entry.name for entry in keyed]
    if await namespaces.used(where) or await namespaces.filling(where):
        await wait(TAKEN_IN_SECONDS)
        await _delete(client, keyed, entity, names, hashing, done)
    # Labels that wait to be joined are deleted here as well, once there are any: they will lie in Redis beside the states.
    done.elsewhere = sorted({plan.shared[group.name] for group in plan.groups if is_shared(plan, group)})
    done.remains = await asyncio.to_thread(remains, pipeline, plan, TopicFacts(settings.kafka), time.time())
    return done


async def _keyed(
    namespaces: Namespaces, plan: FeaturePlan, entity: Mapping[str, str], names: Mapping[str, Sequence[str]]
) -> list[Namespace]:
    """The pipeline's namespaces, old ones too, that are keyed by the entity, alone or with other fields."""
    entries = [entry for entry in (await namespaces.all()).values() if entry.pipeline == plan.pipeline]
    return [entry for entry in entries if _places(entry.by, entity, names) is not None]


def _refuse_other_keys(entries: Sequence[Namespace], hashing: Pseudonyms) -> None:
    """Nothing is written or deleted where the entity's states could not all be found."""
    for entry in entries:
        if entry.personal and entry.key_id != hashing.key_id:
            raise HashKeyError(
                f"{entry.name} was filled under another TIDEGATE_HASH_KEY (its id is {entry.key_id}, this one's "
                f"{hashing.key_id}), and under this one nobody is found there: set that key, or drop the namespace: tidegate "
                f"features drop {entry.name}"
            )


def _act(plan: FeaturePlan, entity: Mapping[str, str], key: bytes, who: str, why: str, namespaces: list[str]) -> Act:
    hashing, personal = Pseudonyms(key), plan.personal.intersection(entity)
    hashed = {name: hashing.hash(value) if name in personal else value for name, value in entity.items()}
    return Act(
        act=FORGET,
        act_id=uuid.uuid4().hex,
        pipeline=plan.pipeline,
        fields=tuple(sorted(entity)),
        hash=entity_hash(key, entity),
        key_id=key_id(key),
        who=who,
        when=time.time(),
        why=why,
        namespaces=namespaces,
        personal=sorted(personal),
        personal_hash=entity_hash(key, hashed) if personal else None,
    )


def _places(by: Sequence[str], entity: Mapping[str, str], names: Mapping[str, Sequence[str]]) -> dict[int, str] | None:
    """Which values the entity has at which of a group's fields; None where a field of it is not among them."""
    out: dict[int, str] = {}
    for name, value in entity.items():
        at = [place for place, field in enumerate(by) if field in names.get(name, (name,))]
        if not at:
            return None
        out |= dict.fromkeys(at, value)
    return out


async def _delete(
    client: Client,
    entries: list[Namespace],
    entity: Mapping[str, str],
    names: Mapping[str, Sequence[str]],
    hashing: Pseudonyms,
    done: Forgotten,
) -> None:
    for entry in entries:
        places = _places(entry.by, entity, names)
        assert places is not None
        places = {at: hashing.hash(value) if entry.by[at] in entry.personal else value for at, value in places.items()}
        if len(places) == len(entry.by):
            keys = [_key(entry, tuple(places[i] for i in range(len(entry.by))))]
        else:
            keys = await _found(client, entry, places)
        done.states[entry.name] = done.states.get(entry.name, 0) + await _unlink(client, keys)


async def _unlink(client: Client, keys: Sequence[bytes]) -> int:
    answers = await client.execute([("UNLINK", key) for key in keys]) if keys else []
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return sum(answers)


async def delete_forgotten(client: Client, entries: Iterable[Namespace], erased: Erasures) -> None:
    """Deletes the states of the forgotten by looking at all states: an act tells a hash, and no entity."""
    for entry in entries:
        keys = client.scan(b"{%s:*}:e:*" % escaped(entry.name.encode()))
        await _unlink(client, [key async for key in keys if erased.concern(entry.by, decode_entity(key.split(b"}:e:", 1)[1]))])


def _key(entry: Namespace, values: tuple[str, ...]) -> bytes:
    id = encode_entity(values if len(values) > 1 else values[0])
    return b"{%s:%d}:e:%s" % (entry.name.encode(), shard_of(id, entry.shards), id)


async def _found(client: Client, entry: Namespace, places: Mapping[int, str]) -> list[bytes]:
    """The states of entities of several fields that hold these values: found by looking at all of them."""
    keys = []
    async for key in client.scan(b"{%s:*}:e:*" % escaped(entry.name.encode())):
        values = decode_entity(key.split(b"}:e:", 1)[1])
        if all(values[place] == value for place, value in places.items()):
            keys.append(key)
    return keys


def remains(pipeline: Pipeline, plan: FeaturePlan, topics: TopicFacts, now: float) -> list[Remains]:
    """The pipeline's topics that may hold the entity, and until when by their retention, if nothing new comes."""
    names = TopicNames.of(pipeline.name)
    sources = dict.fromkeys([contract(event).topic for event in [*plan.events, pipeline.label.event]])
    what = dict.fromkeys(sources, "source events") | {
        names.predictions: "predictions",
        names.features: "served vectors",
        names.dead_letters: "dead letters",
    }
    kept = topics.retention_ms(what)
    there = {tp.topic for tp in topics.partitions(what)}
    out = []
    for topic, content in what.items():
        if topic in there:
            milliseconds = kept[topic]
            out.append(Remains(topic, content, None if milliseconds is None else now + milliseconds / 1000))
    return [*out, Remains(TOPIC, "this act, the entity as a keyed hash", None)]
