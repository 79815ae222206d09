"""Changed features are filled while the old ones serve: every event counted once, whatever ends or goes back meanwhile."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest
import redis

from featurestore.namespaces import Namespace
from featurestore.redis_client import connect
from streams.dropping import drop
from streams.fill_watch import FillWatch
from streams.topic_facts import group_of
from tests.integration.replay import wait_for
from tests.integration.shop import START, TILES, Shop, trade

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

OLD, NEW = TILES, 12
# A backfill in small chunks that is killed as its third merge with deltas has reached Redis.
KILLED = """
import os, signal, sys
from featurestore import redis_store
from streams import cli, filling
filling.CHUNK_EVENTS = 100
merge, seen = redis_store.RedisStore.merge, []
async def merge_and_die(self, source, merges):
    done = await merge(self, source, merges)
    seen.append(source)
    if len(seen) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return done
redis_store.RedisStore.merge = merge_and_die
cli.main(sys.argv[1:])
"""


def killed(shop: Shop, *arguments: str) -> None:
    """A backfill that ends by kill -9 in the middle."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, "backfill", *arguments], env=os.environ | shop.environment, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL


def test_features_change_while_workers_serve(shop: Shop) -> None:
    """The whole story: old workers serve, a backfill is killed and run again, new workers take over."""
    events = trade(shop.pipeline(OLD), 0, 3_000)
    shop.deploy()
    old = shop.start_worker(OLD)
    shop.send(events[:2_000])
    shop.wait_until_committed()

    def go_on() -> None:
        for first in range(2_000, 2_700, 10):
            shop.send(events[first : first + 10])
            time.sleep(0.05)

    traffic = threading.Thread(target=go_on)
    traffic.start()
    try:
        killed(shop, shop.file(NEW))
        filled = shop.call("backfill", shop.file(NEW))
        assert filled.exit_code == 0, filled.output
        assert "sale_by_user: filled" in filled.output
        assert "refund_by_buyer: lacks nothing, left alone" in filled.output
        assert shop.workers[0].poll() is None, old()
        new = shop.start_worker(NEW)
        wait_for(lambda: "partitions of" in new(), 60, "the new worker has partitions")
        shop.workers[0].terminate()
        shop.workers[0].wait(30)
    finally:
        traffic.join()
    shop.send(events[2_700:])  # every partition's last commit is the new worker's, and so after all its merges
    shop.wait_until_committed()
    assert shop.states(NEW) == shop.expected(NEW, events)
    predicted = shop.predicted()
    assert predicted.keys() == {event.id for event in events if type(event).__name__ == "Sale"}
    assert all(len(ids) == 1 for ids in predicted.values())


def test_never_at_or_past_the_commits(shop: Shop, redis_client: redis.Redis) -> None:
    """What is not committed is left to the workers, whose recovery finds the fences right below the commits."""
    events = trade(shop.pipeline(NEW), 0, 1_400)
    shop.send(events[:1_000])
    shop.commit_as_if_served()
    committed = shop.facts().committed(group_of(shop.name), shop.tps())
    shop.send(events[1_000:])
    filled = shop.call("backfill", shop.file(NEW))
    assert filled.exit_code == 0, filled.output
    assert shop.states(NEW) == shop.expected(NEW, events[:1_000])
    lives = [redis_client.pttl(key) for key in redis_client.keys("*:e:*")]
    assert min(lives) > 7 * 86_400_000  # the topics' retention, and on top the windows
    fences = {key: int(value) for key, value in fences_of(shop).items()}
    assert fences
    for key, fence in fences.items():
        topic, partition = key.rsplit(":", 2)[1:]
        assert fence == (committed[(topic, int(partition))] or 0) - 1, key  # type: ignore[index]


def fences_of(shop: Shop) -> dict[str, bytes]:
    with redis.Redis.from_url(shop.redis) as client:
        keys = [key for key in client.keys("*") if b":f:" in key]
        return {key.decode(): client.get(key) for key in keys}


def test_what_kafka_lost_is_said(shop: Shop) -> None:
    events = trade(shop.pipeline(NEW), 0, 1_400)
    shop.send(events)
    shop.commit_as_if_served()
    for tp in shop.tps():
        shop.delete_records(tp, shop.facts().ends([tp])[tp] // 2)
    filled = shop.call("backfill", shop.file(NEW))
    assert filled.exit_code == 0, filled.output
    assert "sale_by_user: filled, complete for events since 2023-11-14T22:" in filled.output
    left = {(tp, offset) for topic in {tp.topic for tp in shop.tps()} for tp, offset, _ in shop.records(topic)}
    assert 600 < len(left) < 800
    kept = [value for topic in {tp.topic for tp in shop.tps()} for _, _, value in shop.records(topic)]
    held = [event for event in events if any(f'"{event.id}"'.encode() in value for value in kept)]
    assert shop.states(NEW) == shop.expected(NEW, held)
    assert "lacks nothing, left alone" in shop.call("backfill", shop.file(NEW)).output


def test_parquet_and_kafka_overlap_and_nothing_counts_twice(shop: Shop) -> None:
    """Rows before the cut come from the file, later events from Kafka, though each has some of the others'; killed in between."""
    events = trade(shop.pipeline(NEW), 0, 2_100)
    history = shop.write_history(events[:1_400])
    shop.send(events[1_000:])
    shop.commit_as_if_served()
    killed(shop, shop.file(NEW), "--from", str(history))
    refused = shop.call("backfill", shop.file(NEW))
    assert "is being filled from parquet: go on with --from FOLDER" in refused.output
    early = shop.start_worker(NEW)
    wait_for(lambda: shop.workers[0].poll() is not None, 60, "a worker refuses a namespace that is not filled")
    assert "is not filled to the end from its Parquet file: run the same tidegate backfill again" in early()
    filled = shop.call("backfill", shop.file(NEW), "--from", str(history))
    assert filled.exit_code == 0, filled.output
    assert shop.states(NEW) == shop.expected(NEW, events)


def test_a_cut_holds_when_redis_goes_back(shop: Shop, redis_client: redis.Redis) -> None:
    """Workers heed the cut, too: neither a late event from before it nor a recovery counts what the file has."""
    events = trade(shop.pipeline(NEW), 0, 1_400)
    shop.send(events[700:1_050])
    shop.commit_as_if_served()
    assert START + 400 == 1_700_000_400.0  # --until below is the time of event 800
    filled = shop.call(
        "backfill", shop.file(NEW), "--from", str(shop.write_history(events[:1_000])), "--until", "2023-11-14T22:20:00"
    )
    assert filled.exit_code == 0, filled.output
    copy = {key: redis_client.dump(key) for key in redis_client.keys("*")}
    late = [type(event)(**{**fields(event), "id": f"late-{event.id}"}) for event in events[500:530]]
    shop.start_worker(NEW)
    shop.send([*events[1_050:1_200], *late])
    shop.wait_until_committed()
    assert shop.states(NEW) == shop.expected(NEW, events[:1_200])
    shop.stop()
    redis_client.flushdb()
    for key, value in copy.items():
        redis_client.restore(key, 0, value or b"")
    shop.start_worker(NEW)
    shop.send(events[1_200:])
    shop.wait_until_committed()
    assert shop.states(NEW) == shop.expected(NEW, events)


def fields(event: Any) -> dict[str, Any]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def test_a_hole_between_file_and_kafka_is_refused(shop: Shop) -> None:
    events = trade(shop.pipeline(NEW), 0, 1_400)
    history = shop.write_history(events[:700])
    shop.send(events[1_000:])
    shop.commit_as_if_served()
    refused = shop.call("backfill", shop.file(NEW), "--from", str(history))
    assert refused.exit_code == 1
    assert "Kafka's events begin at 2023-11-14T22:21:" in refused.output
    assert "the file's are used up to 2023-11-14T22:19:" in refused.output
    accepted = shop.call("backfill", shop.file(NEW), "--from", str(history), "--allow-gap")
    assert accepted.exit_code == 0, accepted.output
    assert "complete for events since 2023-11-14T22:21:" in accepted.output
    assert shop.states(NEW) == shop.expected(NEW, [*events[:700], *events[1_000:]])


def test_a_finished_fill_keeps_its_cut(shop: Shop) -> None:
    """Another --until is refused, not ignored; the same, or none, finds nothing to do."""
    events = trade(shop.pipeline(NEW), 0, 200)
    command = ("backfill", shop.file(NEW), "--from", str(shop.write_history(events)))
    assert shop.call(*command, "--until", "2023-11-14T22:14:00").exit_code == 0  # the time of event 80
    refused = shop.call(*command, "--until", "2023-11-14T22:14:30")
    assert (refused.exit_code, "was begun with --until 2023-11-14T22:14:00" in refused.output) == (1, True), refused.output
    assert shop.states(NEW) == shop.expected(NEW, events[:80])
    for until in (("--until", "2023-11-14T22:14:00"), ()):
        assert shop.call(*command, *until).output.count("lacks nothing, left alone") == 3


def test_a_file_comes_first_or_not_at_all(shop: Shop) -> None:
    """A namespace that counted Kafka's events without a cut may hold what the file has."""
    events = trade(shop.pipeline(NEW), 0, 700)
    shop.send(events[:350])
    shop.commit_as_if_served()
    assert shop.call("backfill", shop.file(NEW)).exit_code == 0
    shop.send(events[350:])
    shop.commit_as_if_served()
    refused = shop.call("backfill", shop.file(NEW), "--from", str(shop.write_history(events)))
    assert refused.exit_code == 1
    assert "is being filled from kafka" in refused.output


def test_a_backfill_stops_where_its_namespace_is_dropped(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """By force, and after its last merge: it must not write its entry back over the drop's."""
    shop.send(trade(shop.pipeline(NEW), 0, 70))
    shop.commit_as_if_served()
    look, name = FillWatch.look_now, shop.plan(NEW).namespace(shop.plan(NEW).groups[0])

    async def drop_and_look(watch: FillWatch, entries: Mapping[str, Namespace]) -> None:
        client = connect(shop.redis)
        await drop(client, name)
        await client.aclose()
        await look(watch, entries)

    monkeypatch.setattr(FillWatch, "look_now", drop_and_look)
    stopped = shop.call("backfill", shop.file(NEW))
    assert (stopped.exit_code, f"{name} is entered no more: it was dropped" in stopped.output) == (1, True)
    assert shop.states(NEW)["sale_by_user"] == {}
    with redis.Redis.from_url(shop.redis) as client:
        assert not client.hexists("tidegate:namespaces", name)
        assert not client.exists(f"tidegate:filling:{name}")
