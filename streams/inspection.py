"""What lies in the feature store, for people: namespaces with their sizes and fences, and one entity's values. Changes nothing.

Counting walks all keys once (SCAN: 5 s for 300,000 keys on a busy machine); it is for a command, not for a metric.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from featurestore.columns import GroupReads
from featurestore.compute import Served, Touch, finish, serve_group
from featurestore.entities import Entities, encode_entity, shard_of
from featurestore.errors import NamespaceError
from featurestore.events import Source
from featurestore.freshness import FRESH, MISSING, STATES
from featurestore.namespaces import Namespace, Namespaces
from featurestore.personal import Pseudonyms
from featurestore.plan import FeaturePlan
from featurestore.redis_client import Client, escaped
from featurestore.store import NEVER, Read, Store
from streams.personal import stored_values
from streams.topic_facts import TopicFacts, group_of

_KEY = re.compile(rb"\{(.+?):(\d+)\}:([ef]):(.*)", re.DOTALL)  # the first that fits: an entity's id may look like a key, too
_COMMA = re.compile(r",(?=[A-Za-z_]\w*=)")  # between FIELD=VALUE and FIELD=VALUE; any other one belongs to a value
SAMPLE = 16  # states weighed for a namespace's size


@dataclass(slots=True)
class Held:
    """What the keys of one namespace amount to: entities, some of their keys, and each source's fences by shard."""

    entities: int = 0
    sample: list[bytes] = field(default_factory=list)
    fences: dict[Source, list[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One namespace. ``used_by`` a pipeline whose workers run on it; ``lag`` the records that it is behind the commits."""

    name: str
    entry: Namespace | None
    used_by: str | None
    entities: int
    bytes: int
    fences: tuple[int, int] | None
    lag: int | None


async def survey(client: Client, topics: TopicFacts | None, prefix: str = "") -> list[Row]:
    """Every namespace that begins with `prefix`, entered or not; without `topics` no lag is known."""
    namespaces = Namespaces(client)
    entries = {name: entry for name, entry in (await namespaces.all()).items() if name.startswith(prefix)}
    held = await _held(client, prefix)
    names = sorted({*entries, *held})
    used = await namespaces.used(names)
    lags = {} if topics is None else await asyncio.to_thread(_committed, topics, list(entries.values()))
    out = []
    for name in names:
        found, entry = held.get(name, Held()), entries.get(name)
        all_fences = [fence for source, fences in found.fences.items() if ":" not in source.topic for fence in fences]
        out.append(
            Row(
                name=name,
                entry=entry,
                used_by=used.get(name),
                entities=found.entities,
                bytes=await _bytes(client, found),
                fences=(min(all_fences), max(all_fences)) if all_fences else None,
                lag=None if entry is None or topics is None else _lag(entry, found, lags.get(name, {})),
            )
        )
    return out


async def _held(client: Client, prefix: str) -> dict[str, Held]:
    out: dict[str, Held] = {}
    fences: list[tuple[str, Source, bytes]] = []
    async for key in client.scan(b"{%s*}:[ef]:*" % escaped(prefix.encode())):
        found = _KEY.fullmatch(key)
        if found is None:
            continue
        name, _, kind, rest = found.groups()
        held = out.setdefault(name.decode(), Held())
        if kind == b"e":
            held.entities += 1
            if len(held.sample) < SAMPLE:
                held.sample.append(key)
        else:
            topic, _, partition = rest.decode().rpartition(":")
            fences.append((name.decode(), Source(topic, int(partition)), key))
    values = await client.execute([("GET", key) for _, _, key in fences])
    for (namespace, source, _), value in zip(fences, values, strict=True):
        out[namespace].fences.setdefault(source, []).append(int(value))
    return out


async def _bytes(client: Client, held: Held) -> int:
    """What Redis needs for the namespace, from the weight of some states."""
    answers = await client.execute([("MEMORY USAGE", key) for key in held.sample]) if held.sample else []
    weights = [answer for answer in answers if isinstance(answer, int)]
    return round(held.entities * sum(weights) / len(weights)) if weights else 0


def _committed(topics: TopicFacts, entries: Sequence[Namespace]) -> dict[str, dict[Source, int]]:
    """For each namespace, where its pipeline's workers stand in its topic."""
    out = {}
    for entry in entries:
        tps = topics.partitions([entry.topic])
        found = topics.committed(group_of(entry.pipeline), tps)
        out[entry.name] = {Source(*tp): offset for tp, offset in found.items() if offset is not None}
    return out


def _lag(entry: Namespace, held: Held, committed: Mapping[Source, int]) -> int:
    """Records that are committed and not in every shard."""
    lag = 0
    for source, offset in committed.items():
        fences = held.fences.get(source, [])
        lowest = min(fences) if len(fences) == entry.shards else NEVER
        lag += max(0, offset - 1 - lowest)
    return lag


@dataclass(frozen=True, slots=True)
class Value:
    """One column of an entity: its value, and what a vector would hold instead of it if it is not fresh."""

    name: str
    value: float
    served: float
    state: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One group's values of an entity; ``age`` in seconds, NaN where nothing is known; ``late``: a window's tail is gone."""

    group: str
    namespace: str
    age: float
    late: bool
    values: list[Value]


def parse_entity(text: str) -> dict[str, str]:
    """``user=u7``, or ``origin=JFK,dest=LAX`` for an entity of several fields; NamespaceError for anything else.

    >>> parse_entity("origin=JFK,dest=LAX")
    {'origin': 'JFK', 'dest': 'LAX'}
    >>> parse_entity("name=Smith, Ann")
    {'name': 'Smith, Ann'}
    """
    pairs = [part.partition("=") for part in _COMMA.split(text)]
    found = {name: value for name, _, value in pairs}
    if not all(name and sign for name, sign, _ in pairs):
        raise NamespaceError(f"{text!r} names no entity; write FIELD=VALUE, or FIELD=VALUE,FIELD=VALUE for one of several fields")
    if len(found) < len(pairs):
        raise NamespaceError(f"{text!r} names a field twice; one entity has one value a field: run the command once for each")
    return found


def keyed_by(reads: GroupReads, entity: Mapping[str, str]) -> tuple[str, ...] | None:
    """The entity's values in order of the group's fields; None where the group is not keyed by just these fields."""
    for fields in (reads.group.by, reads.group.read_by):
        if set(fields) == set(entity):
            return tuple(entity[name] for name in fields)
    return None


async def show(
    plan: FeaturePlan, store: Store, entity: Mapping[str, str], at: float, hashing: Pseudonyms | None = None
) -> list[Shown]:
    """The values of an entity at a time (seconds since the epoch) in every group keyed by it.

    `entity` has values as events have them; HashKeyError where a group's keys hold their hashes and `hashing` is None.
    """
    found = [(reads, values) for reads in plan.reads if (values := keyed_by(reads, entity)) is not None]
    if not found:
        keys = sorted({",".join(reads.group.by) for reads in plan.reads})
        raise NamespaceError(f"no group of {plan.pipeline} is keyed by {', '.join(entity)}; there are {'; '.join(keys)}")
    return [await _show(plan, store, reads, stored_values(reads.group, values, hashing), at) for reads, values in found]


async def _show(plan: FeaturePlan, store: Store, reads: GroupReads, values: tuple[str, ...], at: float) -> Shown:
    group, name = reads.group, plan.namespace(reads.group)
    id = encode_entity(values if len(values) > 1 else values[0])
    entities = Entities([id], np.array([shard_of(id, plan.shards)], dtype=np.int64))
    (held,) = await store.read(
        [Source(group.topic, 0)], [Read(name, group, entities, np.zeros((1, plan.shards), dtype=np.bool_))]
    )
    only = replace(plan, reads=(reads,), ratios=())
    served = Served.unfilled(1, only)
    nothing = Touch(np.zeros(1, dtype=np.int64), np.full(1, -1, dtype=np.int64), np.zeros((1, len(group.slots))))
    serve_group(only, reads, held.states, nothing, np.array([at]), served)
    before = served.vectors[0, reads.places].copy()
    finish(only, served)
    after = served.vectors[0, reads.places]
    unknown = np.isnan(before) | np.isnan(served.ages[0, 0])  # an entity never seen has counts of 0
    marks = np.where(unknown, MISSING, FRESH) if served.marks is None else served.marks[0, reads.places]
    rows: Any = zip(reads.names, before.tolist(), after.tolist(), marks.tolist(), strict=True)
    shown = [Value(column, value, instead, STATES[mark].upper()) for column, value, instead, mark in rows]
    return Shown(group.name, name, float(served.ages[0, 0]), bool(served.late[0]), shown)
