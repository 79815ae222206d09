"""Whether Redis is away: from the first call that is tried again to the first answer when none waits; and on real servers."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError, RedisError

from featurestore.redis_client import Client, connect
from featurestore.redis_tries import Tries
from streams.embedded import EmbeddedRedis

AWAY = ConnectionError("gone")


async def failing(tries: Tries, until: asyncio.Event, raises: RedisError | None = None) -> None:
    with tries.of_a_call() as call:
        while not until.is_set():
            await call.pause(AWAY)
        if raises:
            raise raises


def answered(tries: Tries) -> None:
    with tries.of_a_call():
        pass


async def waits_for(said: list[bool], wanted: list[bool]) -> None:
    async with asyncio.timeout(30):
        while said != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_answers_say_nothing_while_nothing_was_away() -> None:
    said: list[bool] = []
    answered(Tries(lambda: None, said.append))
    assert said == []


def test_it_is_back_only_when_no_call_waits() -> None:
    """A node of a cluster that answers does not stand for one that is away."""

    async def main() -> None:
        said: list[bool] = []
        tries = Tries(lambda: None, said.append)
        first, second = asyncio.Event(), asyncio.Event()
        calls = [asyncio.create_task(failing(tries, until)) for until in (first, second)]
        await waits_for(said, [True])
        answered(tries)
        first.set()
        await calls[0]
        assert said == [True]
        second.set()
        await calls[1]
        assert said == [True, False]

    asyncio.run(main())


def test_a_call_that_is_given_up_or_raises_answers_nothing() -> None:
    async def main() -> None:
        said: list[bool] = []
        tries = Tries(lambda: None, said.append)
        given_up = asyncio.create_task(failing(tries, asyncio.Event()))
        await waits_for(said, [True])
        given_up.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await given_up
        raising = asyncio.Event()
        raised = asyncio.create_task(failing(tries, raising, AWAY))
        await asyncio.sleep(0)
        raising.set()
        with contextlib.suppress(RedisError):
            await raised
        assert said == [True]
        answered(tries)
        assert said == [True, False]

    asyncio.run(main())


def play(url: str, body: Callable[[Client, list[bool], list[int]], Awaitable[None]]) -> None:
    async def main() -> None:
        said: list[bool] = []
        retries: list[int] = []
        client = connect(url, on_retry=lambda: retries.append(1), on_away=said.append)
        try:
            await body(client, said, retries)
        finally:
            await client.aclose()

    asyncio.run(main())


@pytest.mark.integration
def test_a_server_that_stops_is_away_until_it_answers_again(tmp_path: Path) -> None:
    with EmbeddedRedis(data_dir=tmp_path) as server:

        async def body(client: Client, said: list[bool], retries: list[int]) -> None:
            for _ in range(2):
                await client.execute([("SET", "a", 1)])
                said.clear()
                server.stop()
                waiting = [asyncio.create_task(client.execute([("GET", "a")])) for _ in range(3)]
                await waits_for(said, [True])
                async with asyncio.timeout(30):
                    while len(retries) < 6:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                assert said == [True]
                server.start()
                await asyncio.wait_for(asyncio.gather(*waiting), 30)
                assert said == [True, False]
                retries.clear()

        play(server.url, body)


@pytest.mark.integration
def test_a_server_that_is_away_from_the_start_is_said_so(tmp_path: Path) -> None:
    server = EmbeddedRedis(data_dir=tmp_path)
    with server:
        server.stop()

        async def body(client: Client, said: list[bool], _: list[int]) -> None:
            waiting = asyncio.create_task(client.execute([("GET", "a")]))
            await waits_for(said, [True])
            server.start()
            await asyncio.wait_for(waiting, 30)
            assert said == [True, False]

        play(server.url, body)
