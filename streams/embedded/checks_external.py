"""The doctor's checks of servers the environment names: do they answer, and is Redis set up to lose nothing?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from streams.embedded.checks import Check, Status
from streams.embedded.errors import NoAnswer
from streams.embedded.external import check_kafka, check_redis, without_password

POLICY = "noeviction"
CLOCK_WARN_SECONDS = 1.0
CLOCK_FAIL_SECONDS = 60.0


def kafka_check(bootstrap_servers: str) -> Check:
    try:
        check_kafka(bootstrap_servers)
    except NoAnswer as error:
        return Check("Kafka", "fail", f"no answer at {bootstrap_servers}", str(error))
    return Check("Kafka", "ok", f"answers at {bootstrap_servers}")


def redis_checks(url: str) -> Iterator[Check]:
    """One check when Redis does not answer, else what its INFO says (CONFIG is forbidden on managed ones)."""
    try:
        info = check_redis(url)
    except NoAnswer as error:
        yield Check("Redis", "fail", f"no answer at {without_password(url)}", str(error))
        return
    now = time.time()
    version = info.get("valkey_version") or info.get("redis_version")
    yield Check("Redis", "ok", f"{version} answers at {without_password(url)}")
    yield eviction(info)
    yield append_only(info)
    yield clock_offset(info, now)


def eviction(info: Mapping[str, object]) -> Check:
    """An evicted entity is a feature that is silently zero: refused, whatever the memory limit is today."""
    policy = str(info.get("maxmemory_policy", "unknown"))
    if policy == POLICY:
        return Check("Redis eviction", "ok", policy)
    remedy = f"CONFIG SET maxmemory-policy {POLICY}, and the same in redis.conf or the provider's parameter group"
    return Check("Redis eviction", "fail", f"{policy}: state would vanish under memory pressure", remedy)


def append_only(info: Mapping[str, object]) -> Check:
    if str(info.get("aof_enabled")) == "1":
        return Check("Redis append-only file", "ok", "on")
    remedy = "CONFIG SET appendonly yes, and the same in redis.conf"
    return Check("Redis append-only file", "warn", "off: a restart of Redis empties the features", remedy)


def clock_offset(info: Mapping[str, object], now: float) -> Check:
    """Redis' clock against ours, to the millisecond or so a round trip costs."""
    theirs = info.get("server_time_usec")
    if not isinstance(theirs, int):
        return Check("Clock of Redis", "ok", "not told by this version")
    offset = abs(theirs / 1e6 - now)
    found = f"{offset:.1f} s from ours"
    if offset < CLOCK_WARN_SECONDS:
        return Check("Clock of Redis", "ok", found)
    status: Status = "fail" if offset >= CLOCK_FAIL_SECONDS else "warn"
    return Check("Clock of Redis", status, found, "synchronise both machines' clocks (chrony, systemd-timesyncd)")
