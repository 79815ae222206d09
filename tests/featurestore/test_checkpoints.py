"""A checkpoint's fields change together, by one writer at a time, on a server and on a cluster."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from featurestore.checkpoints import Checkpoint
from featurestore.errors import CheckpointTakenError
from tests.featurestore.stores import REDISES, emptied

pytestmark = pytest.mark.integration


@pytest.fixture(params=list(REDISES))
def url(request: pytest.FixtureRequest) -> str:
    return emptied(request.getfixturevalue(REDISES[request.param]))


def run(body: Callable[..., Awaitable[Any]], url: str, n: int = 1) -> Any:
    async def main() -> Any:
        checkpoints = [Checkpoint(url, "monitor") for _ in range(n)]
        try:
            return await body(*checkpoints)
        finally:
            await asyncio.gather(*(one.close() for one in checkpoints))

    return asyncio.run(main())


def test_what_is_written_is_read_and_fields_not_named_stay(url: str) -> None:
    async def body(one: Checkpoint) -> None:
        assert await one.read() == {}
        await one.write({b"state": b"\x00\xff", b"hour:1": b"a"})
        await one.write({b"state": b"2", b"hour:2": b"b"})
        await one.write({b"hour:1": b""})
        assert await one.read() == {b"state": b"2", b"hour:2": b"b"}

    run(body, url)


def test_who_was_thought_dead_is_refused_once_another_has_written(url: str) -> None:
    async def body(old: Checkpoint, new: Checkpoint) -> None:
        await old.read()
        await old.write({b"state": b"old"})
        assert await new.read() == {b"state": b"old"}
        await old.write({b"state": b"older still"})
        with pytest.raises(CheckpointTakenError):
            await new.write({b"state": b"from what is no more"})
        assert await new.read() == {b"state": b"older still"}
        await new.write({b"state": b"new"})
        with pytest.raises(CheckpointTakenError):
            await old.write({b"state": b"zombie"})
        assert await new.read() == {b"state": b"new"}

    run(body, url, 2)


def test_a_write_that_arrives_twice_counts_once(url: str) -> None:
    """The client sends again what had no answer; the first may have arrived all the same."""

    async def body(one: Checkpoint) -> None:
        await one.read()
        await one.write({b"state": b"1"})
        one._version -= 1
        await one.write({b"state": b"1"})
        await one.write({b"state": b"2"})
        assert await one.read() == {b"state": b"2"}

    run(body, url)


def test_a_redis_that_lost_its_data_is_noticed(url: str) -> None:
    async def body(one: Checkpoint) -> None:
        await one.read()
        await one.write({b"state": b"1"})
        await one._client.execute([("DEL", one._key)])
        with pytest.raises(CheckpointTakenError, match="lost its data"):
            await one.write({b"state": b"2"})

    run(body, url)
