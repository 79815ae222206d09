"""The doctor's checks of servers the environment names: do they answer, and is Redis set up to lose nothing?"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from streams.embedded.checks import Check, Status
from streams.embedded.errors import NoAnswer
from streams.embedded.external import check_kafka, check_redis, cluster_nodes, without_password

Nodes = Mapping[str, Mapping[str, object]]  # INFO by the node's name

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
    """One check when Redis does not answer, else what its INFO says (CONFIG is forbidden on managed ones); of every node."""
    try:
        info = check_redis(url)
        now = time.time()
        clustered = str(info.get("cluster_enabled")) == "1"
        nodes, silent = cluster_nodes(url) if clustered else ({without_password(url): info}, [])
    except NoAnswer as error:
        yield Check("Redis", "fail", f"no answer at {without_password(url)}", str(error))
        return
    version = info.get("valkey_version") or info.get("redis_version") or "one that hides its INFO"
    yield Check("Redis", "ok", f"{version} answers at {without_password(url)}")
    if clustered:
        yield cluster(nodes, silent)
    yield eviction(nodes)
    yield append_only(nodes)
    yield clock_offset(info, now)


def cluster(nodes: Nodes, silent: Sequence[str]) -> Check:
    """Whether every node answers, and every primary has a replica that could take its slots."""
    primaries = [name for name, info in nodes.items() if info.get("role") == "master"]
    found = f"{len(primaries)} primaries, {len(nodes) - len(primaries)} replicas"
    if silent:
        remedy = "start them, or take them out of the cluster (CLUSTER FORGET)"
        return Check("Redis Cluster", "warn", f"{found}; no answer from {', '.join(silent)}", remedy)
    if alone := [name for name in primaries if not nodes[name].get("connected_slaves")]:
        remedy = "give each a replica (redis-cli --cluster add-node ... --cluster-slave)"
        return Check(
            "Redis Cluster", "warn", f"{found}; scoring stops when one without a replica dies: {', '.join(alone)}", remedy
        )
    return Check("Redis Cluster", "ok", found)


def eviction(nodes: Nodes) -> Check:
    """An evicted entity is a feature that is silently zero: refused, whatever the memory limit is today."""
    policies = {name: info.get("maxmemory_policy") for name, info in nodes.items()}
    evicting = [f"{policy} at {name}" for name, policy in policies.items() if policy not in (None, POLICY)]
    hidden = [name for name, policy in policies.items() if policy is None]
    if not evicting and hidden:  # a worker goes on with a warning, too
        remedy = f"make sure with whoever runs it that it is {POLICY}"
        return Check("Redis eviction", "warn", f"{', '.join(hidden)} does not tell its maxmemory-policy", remedy)
    if not evicting:
        return Check("Redis eviction", "ok", POLICY)
    remedy = f"CONFIG SET maxmemory-policy {POLICY}, and the same in redis.conf or the provider's parameter group"
    return Check("Redis eviction", "fail", f"{', '.join(evicting)}: state would vanish under memory pressure", remedy)


def append_only(nodes: Nodes) -> Check:
    """Without the file a restarted server is empty; in a cluster an empty primary may even empty its replicas."""
    off = [name for name, info in nodes.items() if str(info.get("aof_enabled", 1)) != "1"]  # one that hides it has a keeper
    if not off:
        return Check("Redis append-only file", "ok", "on")
    remedy = "CONFIG SET appendonly yes, and the same in redis.conf"
    lost = "a restart of Redis empties the features; what Kafka still holds is read again"
    return Check("Redis append-only file", "warn", f"off at {', '.join(off)}: {lost}", remedy)


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
