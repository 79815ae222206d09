"""Leaving the consumer group in time, also in the middle of a rebalance.

aiokafka's stop waits for its coordination routine, and that, in a rebalance, for the broker's answer to JoinGroup: it comes
when every member has joined or lost its session. So next to a killed worker whose replacement had joined, a SIGTERM
lasted as long as the dead one's session timeout. Here the routine is waited for briefly, then cancelled; the group is
told on another connection, for a broker answers one request of a connection at a time and this one is held by JoinGroup.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest

logger = logging.getLogger(__name__)

STOP_SECONDS = 0.5  # outside of a rebalance a stop takes some 20 ms
LEAVE_SECONDS = 0.5  # the others need not wait for our session timeout if this gets through; nothing is lost if not


async def stop(consumer: Any) -> None:
    """Stop an AIOKafkaConsumer, in its own loop, within STOP_SECONDS + 2 LEAVE_SECONDS."""
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait([stopping], timeout=STOP_SECONDS)
    if stopping.done():
        stopping.result()
        return
    coordinator = consumer._coordinator
    coordinator._coordination_task.cancel()
    stopping.cancel()
    await asyncio.wait([stopping, coordinator._coordination_task], timeout=LEAVE_SECONDS)
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await leave(consumer)
            await coordinator._stop_heartbeat_task()
            await coordinator._stop_commit_offsets_refresh_task()
            await consumer._fetcher.close()
            await consumer._client.close()
    except (KafkaError, TimeoutError) as error:
        logger.info("the group was not told that this worker left: %r", error)


async def leave(consumer: Any) -> None:
    """LeaveGroup on a connection of its own. A static member stays: it is expected back within its session timeout."""
    coordinator = consumer._coordinator
    if coordinator._group_instance_id is None and coordinator.member_id and coordinator.coordinator_id is not None:
        request = LeaveGroupRequest(coordinator.group_id, coordinator.member_id)
        await consumer._client.send(coordinator.coordinator_id, request, group=ConnectionGroup.DEFAULT)
