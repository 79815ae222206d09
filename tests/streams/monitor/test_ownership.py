"""Every partition goes to one member; it keeps them while it lives, and the next has them all when it is gone."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import faust
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from streams.monitor.ownership import OneOwner

TOPICS = {"shop.features": 4, "shop.dead-letters": 1}
CLUSTER = SimpleNamespace(partitions_for_topic=lambda topic: set(range(TOPICS[topic])))


def member(url: str) -> OneOwner:
    app = faust.App("monitor", broker="kafka://127.0.0.1:1", web_enabled=False, canonical_url=url)
    return OneOwner(app)


def assigned(leader: OneOwner, members: Mapping[str, OneOwner]) -> dict[str, int]:
    """How many partitions each member holds after a rebalance."""
    metadata = {name: ConsumerProtocolMemberMetadata(4, list(TOPICS), one._metadata.dumps()) for name, one in members.items()}
    answer: Any = leader.assign(CLUSTER, metadata)  # type: ignore[arg-type]
    assert answer.keys() == members.keys()
    for name, one in members.items():
        one.on_assignment(answer[name])
    return {name: len(one.assigned_actives()) for name, one in members.items()}


def test_one_has_all_and_keeps_them_whoever_joins() -> None:
    first, second = member("http://b:1"), member("http://a:1")
    assert assigned(first, {"m-2": first}) == {"m-2": 5}
    assert assigned(second, {"m-1": second, "m-2": first}) == {"m-1": 0, "m-2": 5}


def test_when_it_is_gone_another_has_them_all() -> None:
    first, second, third = (member(f"http://{name}:1") for name in "abc")
    assigned(first, {"m-1": first, "m-2": second, "m-3": third})
    assert sorted(assigned(third, {"m-2": second, "m-3": third}).values()) == [0, 5]
