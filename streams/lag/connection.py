"""One connection to a cluster for the lag monitor: aiokafka's client, and requests to the nodes that must answer them.

aiokafka and not librdkafka: the latter's admin client can end the process where a group's coordinator is new, has moved, or
breaks off (confluentinc/librdkafka#5040 and #5397), and a consumer per group, which is the way around that, has four threads
each. Measured with 50 groups of 12 partitions on 2 cores: 90 ms and 17 ms of CPU here; 60 to 200 ms, 27 ms of CPU, 200 threads
and 30 MiB with consumers.

Nothing here joins, commits or creates. FindCoordinator, which makes a broker create its topic of offsets, is not needed: the
broker that lists a group is its coordinator.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request

from streams.chunk import TP
from streams.errors import TopicError

TIMEOUT_SECONDS = 10.0  # of one request; a broker that takes longer counts as not answering
PASSING = (KafkaError, OSError, asyncio.TimeoutError)


class Connection:
    """Connected from `open` to `close`. After a failure open a new one: what a client knew of a cluster may be past."""

    def __init__(self, client: AIOKafkaClient) -> None:
        self._client = client

    @classmethod
    async def open(cls, bootstrap_servers: str) -> "Connection":
        """TopicError where no server answers."""
        client = AIOKafkaClient(
            bootstrap_servers=bootstrap_servers, client_id="tidegate-lag", request_timeout_ms=int(TIMEOUT_SECONDS * 1000)
        )
        connection = cls(client)
        try:
            await client.bootstrap()
            await connection.refresh()
        except PASSING as error:
            await connection.close()
            remedy = "start it, or correct KAFKA_BOOTSTRAP_SERVERS"
            raise TopicError(f"Kafka did not answer at {bootstrap_servers}: {remedy}") from error
        return connection

    async def close(self) -> None:
        await self._client.close()

    async def refresh(self) -> None:
        """Asks for all brokers, topics and leaders."""
        if not await asyncio.wait_for(self._client.force_metadata_update(), TIMEOUT_SECONDS):
            raise TopicError("no broker told what topics there are")

    @property
    def nodes(self) -> list[int]:
        """The ids of all brokers."""
        return [broker.nodeId for broker in self._client.cluster.brokers()]

    def topics(self) -> Mapping[str, list[int]]:
        """Every topic's partitions."""
        cluster = self._client.cluster
        names = cluster.topics(exclude_internal_topics=False)
        return {name: sorted(cluster.partitions_for_topic(name) or ()) for name in names}

    def by_leader(self, tps: Collection[TP]) -> dict[int, list[TP]]:
        """Partitions by the node that leads them; those without a leader are left out."""
        found: dict[int, list[TP]] = {}
        for tp in tps:
            leader = self._client.cluster.leader_for_partition(tp)
            if leader is not None and leader >= 0:
                found.setdefault(leader, []).append(tp)
        return found

    async def send(self, node: int, request: Request) -> Any:
        """The response of one node; raises one of PASSING where it does not answer."""
        return await self._client.send(node, request)


def by_topic(tps: Sequence[TP]) -> dict[str, list[int]]:
    """As requests have it: topics with their partitions."""
    found: dict[str, list[int]] = {}
    for tp in tps:
        found.setdefault(tp.topic, []).append(tp.partition)
    return found
