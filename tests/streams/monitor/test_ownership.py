"""Every partition goes to one member; it keeps them while it lives, and the next has them all when it is gone."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from streams.monitor.ownership import OneOwner

TOPICS = {"shop.features": 4, "shop.dead-letters": 1}
CLUSTER: Any = SimpleNamespace(partitions_for_topic=lambda topic: set(range(TOPICS[topic])))


def assigned(leader: OneOwner, members: Mapping[str, OneOwner]) -> dict[str, int]:
    """How many partitions each member holds after a rebalance."""
    answer = leader.assign(CLUSTER, {name: one.metadata(TOPICS) for name, one in members.items()})
    assert answer.keys() == members.keys()
    for name, one in members.items():
        one.on_assignment(answer[name])
    return {name: sum(len(partitions) for _, partitions in one.assignment) for name, one in answer.items()}


def test_one_has_all_and_keeps_them_whoever_joins() -> None:
    first, second = OneOwner(), OneOwner()
    assert assigned(first, {"m-2": first}) == {"m-2": 5}
    assert assigned(second, {"m-1": second, "m-2": first}) == {"m-1": 0, "m-2": 5}


def test_when_it_is_gone_another_has_them_all() -> None:
    first, second, third = OneOwner(), OneOwner(), OneOwner()
    assert assigned(first, {"m-1": first, "m-2": second, "m-3": third}) == {"m-1": 5, "m-2": 0, "m-3": 0}
    assert assigned(third, {"m-2": second, "m-3": third}) == {"m-2": 5, "m-3": 0}


def test_one_that_was_thought_gone_and_comes_back_does_not_share() -> None:
    first, second = OneOwner(), OneOwner()
    assigned(first, {"m-1": first})
    assigned(second, {"m-2": second})  # the first is away, and knows nothing of it
    assert sorted(assigned(second, {"m-3": first, "m-2": second}).values()) == [0, 5]
