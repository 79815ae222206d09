"""The list of namespaces, kept in Redis beside the states: who writes each one, from what, in how many shards.

A namespace holds the states of one group of one layout. Workers enter theirs before their first merge and say every few seconds
that they use them; whoever reads a namespace checks the entry first. One hash, ``tidegate:namespaces``, a field a namespace.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from featurestore.errors import HashKeyError, NamespaceError, TopicReplacedError, begin_anew
from featurestore.layout import Group
from featurestore.personal import hashed_fields
from featurestore.plan import FeaturePlan

KEY = "tidegate:namespaces"
# A worker says every 10 s that it uses its namespaces; one that was killed stops counting after six times that.
USED_SECONDS = 60


class Client(Protocol):
    """What is needed of featurestore.redis_client: commands in one round trip, answers in order, errors as values."""

    async def execute(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]: ...


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """How a namespace was filled, where not by its workers alone.

    ``cut``: events before this event time came from Parquet and never count from Kafka. ``rows`` and ``digest`` are the file's.
    ``complete_from``: the features lack what was ingested before this time (seconds since the epoch; None: they lack nothing).
    """

    source: str  # "kafka" or "parquet"
    done: bool = False
    cut: float | None = None
    rows: int | None = None
    digest: str | None = None
    complete_from: float | None = None


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. ``doubles`` in a state; ``topic_id`` as Kafka gives it, None where the broker has none.

    ``personal`` names the fields of ``by`` that are hashed in its keys, ``key_id`` tells the key; None where there are none.
    """

    name: str
    pipeline: str
    group: str
    version: int
    fingerprint: str
    shards: int
    topic: str
    by: tuple[str, ...]
    read_by: tuple[str, ...]
    windows: tuple[str, ...]
    doubles: int
    topic_id: str | None
    first_used: float
    backfill: Backfill | None = None
    personal: tuple[str, ...] = ()
    key_id: str | None = None
    dropping: bool = False  # being removed: nobody may use it any more


def is_shared(plan: FeaturePlan, group: Group) -> bool:
    """Whether another pipeline writes this group and this one only reads it."""
    return group not in plan.written_by(group.topic)


def entry(
    plan: FeaturePlan,
    group: Group,
    topic_id: str | None,
    now: float,
    backfill: Backfill | None = None,
    key_id: str | None = None,
) -> Namespace:
    """The entry of a group that the plan's pipeline writes; `key_id` tells the key that personal fields are hashed with."""
    hashed = hashed_fields(group)
    return Namespace(
        name=plan.namespace(group),
        pipeline=plan.pipeline,
        group=group.name,
        version=group.on.version,
        fingerprint=group.fingerprint,
        shards=plan.shards,
        topic=group.topic,
        by=group.by,
        read_by=group.read_by,
        windows=tuple(group.on.windows),
        doubles=group.length,
        topic_id=topic_id,
        first_used=now,
        backfill=backfill,
        personal=hashed,
        key_id=key_id if hashed else None,
    )


class Namespaces:
    """Reads and writes the list."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def all(self) -> dict[str, Namespace]:
        """Every entry by name."""
        (found,) = await self._execute([("HGETALL", KEY)])
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return {name.decode(): msgspec.json.decode(value, type=Namespace) for name, value in pairs}

    async def register(
        self,
        plan: FeaturePlan,
        topic_ids: Mapping[str, str],
        now: float,
        backfills: Mapping[str, Backfill] = MappingProxyType({}),
        key_id: str | None = None,
    ) -> dict[str, Namespace]:
        """Enters what the plan writes, where it is not entered yet, and checks all that it reads; entries by group name.

        `backfills`, by group name, go into new entries; `key_id` tells the key of personal fields.

        NamespaceError where a namespace has another number of shards, or is read and not there; TopicReplacedError where it was
        filled from a topic of another id than today's; HashKeyError where its keys are hashes under another key.
        """
        groups = [group for group in plan.groups if not is_shared(plan, group)]
        new = [entry(plan, group, topic_ids.get(group.topic), now, backfills.get(group.name), key_id) for group in groups]
        if new:
            await self._execute([("HSETNX", KEY, one.name, msgspec.json.encode(one)) for one in new])
        known = await self.all()
        found = {group.name: known.get(plan.namespace(group)) for group in plan.groups}
        entries = {group.name: checked(plan, group, found[group.name], topic_ids) for group in plan.groups}
        for group in plan.groups:
            check_key(group, entries[group.name], key_id)
        return entries

    async def check(self, plan: FeaturePlan, topic_ids: Mapping[str, str], entered_only: bool = False) -> None:
        """Raises as `register` does where the plan cannot use what is entered by now; `entered_only` passes over what is not."""
        known = await self.all()
        for group in plan.groups:
            found = known.get(plan.namespace(group))
            if found is not None or not entered_only:
                checked(plan, group, found, topic_ids)

    async def put(self, changed: Namespace) -> None:
        """Writes an entry over the one there is."""
        await self._execute([("HSET", KEY, changed.name, msgspec.json.encode(changed))])

    async def drop_begins(self, name: str) -> None:
        """From here on `register` refuses the namespace, also one that has keys and no entry."""
        found = (await self.all()).get(name)
        await self.put(_nobodys(name) if found is None else msgspec.structs.replace(found, dropping=True))

    async def remove(self, name: str) -> None:
        await self._execute([("HDEL", KEY, name)])

    async def use(self, names: Sequence[str], by: str) -> None:
        """Says that these are in use by a pipeline; to be said again within USED_SECONDS."""
        await self._execute([("SET", _used(name), by, "EX", USED_SECONDS) for name in names])

    async def fill(self, names: Sequence[str], by: str) -> None:
        """Says that a pipeline's backfill fills these; to be said again within USED_SECONDS."""
        await self._execute([("SET", _filling(name), by, "EX", USED_SECONDS) for name in names])

    async def fill_ends(self, names: Sequence[str]) -> None:
        await self._execute([("DEL", _filling(name)) for name in names])

    async def used(self, names: Sequence[str]) -> dict[str, str]:
        """Those of the namespaces that running workers use, and a pipeline that does."""
        return await self._said(names, _used)

    async def filling(self, names: Sequence[str]) -> dict[str, str]:
        """Those of the namespaces that a running backfill fills, and whose it is."""
        return await self._said(names, _filling)

    async def _said(self, names: Sequence[str], key: Callable[[str], str]) -> dict[str, str]:
        answers = await self._execute([("GET", key(name)) for name in names])
        return {name: answer.decode() for name, answer in zip(names, answers, strict=True) if answer is not None}

    async def _execute(self, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        answers = await self._client.execute(commands) if commands else []
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers


def _nobodys(name: str) -> Namespace:
    """What stands in the list for keys without an entry while they are dropped."""
    return Namespace(
        name=name, pipeline=name.partition(".")[0], group="", version=0, fingerprint="", shards=0, topic="", by=(), read_by=(),
        windows=(), doubles=0, topic_id=None, first_used=0.0, dropping=True,
    )  # fmt: skip


def _used(name: str) -> str:
    return f"tidegate:used:{name}"


def _filling(name: str) -> str:
    # Not the workers' key: a backfill takes its word back when it ends, and theirs must stand.
    return f"tidegate:filling:{name}"


def checked(plan: FeaturePlan, group: Group, found: Namespace | None, topic_ids: Mapping[str, str]) -> Namespace:
    """The entry, if the plan can use it."""
    name = plan.namespace(group)
    if found is None and not is_shared(plan, group):
        raise NamespaceError(
            f"{name} is entered no more: it was dropped, or Redis lost it; start this once more, it then counts what is missing"
        )
    if found is None:
        raise NamespaceError(
            f"feature group {group.name!r} is written by another pipeline, and {name} is not there: start that pipeline's "
            f"workers first, and declare the group as they do; what there is: tidegate features list --all"
        )
    if found.dropping:
        raise NamespaceError(f"{name} is being dropped, and the drop did not end: run tidegate features drop {name} again")
    if found.shards != plan.shards:
        owner = "" if found.pipeline == plan.pipeline else f" by {found.pipeline}"
        raise NamespaceError(
            f"{name} was made with {found.shards} shards{owner}, {plan.pipeline} declares {plan.shards}: "
            f"set shards={found.shards}, or give the group another version= and fill it: tidegate backfill"
        )
    today = topic_ids.get(found.topic)
    if None not in (today, found.topic_id) and today != found.topic_id:
        raise TopicReplacedError(
            replaced(found.pipeline, found.topic, [plan.namespace(other) for other in plan.groups if other.topic == group.topic])
        )
    return found


def check_key(group: Group, found: Namespace, key_id: str | None) -> None:
    """HashKeyError where the group's keys hold hashes and `key_id` is not that of the key they were made with."""
    if hashed_fields(group) and (key_id is None or found.key_id != key_id):
        raise HashKeyError(
            f"{found.name} was filled under another TIDEGATE_HASH_KEY (its id is {found.key_id}, this one's {key_id}), and under "
            f"this one nobody would be found: set the one that was in use then. It is lost, or to be replaced? Give the group "
            f"another version= and fill it: tidegate backfill"
        )


def replaced(pipeline: str, topic: str, names: Sequence[str]) -> str:
    """The sentence for a topic that was deleted and created anew under the same name."""
    return (
        f"the topic {topic} is not the one that the feature store counted: it was created anew, and its offsets say nothing "
        f"of what was counted. Restore the topic, or begin anew: {begin_anew(pipeline, topic, names)}"
    )
