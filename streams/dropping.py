"""Removes a namespace, whole, in bounded batches: while it goes, its entry says so, and nobody may begin to use it.

Who began before may merge still, so a state can appear behind SCAN's back. Two rules keep every event counted once all the same:

- **Fences go first.** A merge compares the fence it has seen, finds none and does nothing; its worker stops.
- **Until a walk over all keys deletes nothing.** Who knows of no fence needs none to merge: a new partition's worker, or one that
  read the fences just after they were gone. It writes states and fence at once, but a walk may find some of them and not the
  others. What is there when a walk begins, it finds; so once it deletes nothing, nothing was there, and what was merged since
  lies there whole, with its fence.
"""

import asyncio
from collections.abc import Callable, Sequence

from featurestore.errors import NamespaceError
from featurestore.namespaces import Namespaces
from featurestore.redis_client import Client, escaped
from streams.audit import Act, drop_act, fills, write_act
from streams.topic_facts import TopicFacts, group_of

BATCH = 1_000  # keys a round trip; UNLINK frees them in the background


async def refuse_used(client: Client, name: str, topics: TopicFacts) -> None:
    """NamespaceError where workers said within the last minute that they use the namespace, and their group has members still;
    or where a backfill said so.
    """
    namespaces = Namespaces(client)
    if await namespaces.filling([name]):
        raise NamespaceError(
            f"{name} is being filled by tidegate backfill (or was within the last minute): let it end, or drop it all the same "
            f"with --force; it would stop with an error"
        )
    used = await namespaces.used([name])
    members = await asyncio.to_thread(topics.members, group_of(used[name])) if used else 0
    if members:
        raise NamespaceError(
            f"{name} is in use by workers of {used[name]} (or was within the last minute): stop them first, or drop it all the "
            f"same with --force; they would stop with an error and count everything again"
        )


async def exists(client: Client, name: str) -> bool:
    """Whether the namespace is entered, or has keys all the same."""
    if name in await Namespaces(client).all():
        return True
    async for _ in client.scan(_pattern(name)):
        return True
    return False


async def drop(client: Client, name: str, progress: Callable[[int], None] = lambda _: None) -> int:
    """Deletes every key of a namespace, then its entry; the number of keys. Interrupted, it is to be called again."""
    namespaces = Namespaces(client)
    await namespaces.drop_begins(name)
    gone = await _delete(client, _pattern(name, b"f"), progress, 0)
    while (deleted := await _delete(client, _pattern(name), progress, gone)) > gone:
        gone = deleted
    await namespaces.remove(name)
    return gone


async def _delete(client: Client, pattern: bytes, progress: Callable[[int], None], gone: int) -> int:
    """One walk over the keys that match; with what it deletes, the number of keys `gone` in all."""
    batch: list[bytes] = []
    async for key in client.scan(pattern):
        batch.append(key)
        if len(batch) == BATCH:
            gone += await _unlink(client, batch)
            batch = []
            progress(gone)
    gone += await _unlink(client, batch)
    progress(gone)
    return gone


def record(bootstrap_servers: str, name: str, acts: Sequence[Act]) -> None:
    """Says on the audit topic that what a namespace was filled with from Parquet is gone, where it says that it was.

    After the drop: one that is interrupted in between leaves workers asking for the file or another drop, never going on without.
    """
    if name in fills(acts):
        pipeline = next(act.pipeline for act in reversed(acts) if name in act.namespaces and act.fill is not None)
        write_act(bootstrap_servers, drop_act(pipeline, name))


async def _unlink(client: Client, keys: list[bytes]) -> int:
    """One command a shard: its keys share a slot. A key that SCAN gave twice counts once."""
    shards: dict[bytes, list[bytes]] = {}
    for key in keys:
        shards.setdefault(key.partition(b"}")[0], []).append(key)
    answers = await client.execute([("UNLINK", *together) for together in shards.values()]) if keys else []
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return sum(answers)


def _pattern(name: str, kinds: bytes = b"ef") -> bytes:
    return b"{%s:*}:[%s]:*" % (escaped(name.encode()), kinds)
