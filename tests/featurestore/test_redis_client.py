"""One client for a server and a cluster: answers in order, lasting errors as values, every node with the URL's credentials."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError, ResponseError

from featurestore.errors import StoreConfigError
from featurestore.redis_client import Client, connect
from streams.embedded.cluster import EmbeddedCluster
from tests.featurestore.stores import REDISES, emptied

pytestmark = pytest.mark.integration


@pytest.fixture(params=list(REDISES))
def urls(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The URLs of an empty server, or of the primaries of an empty cluster."""
    server = request.getfixturevalue(REDISES[request.param])
    emptied(server)
    yield [server] if isinstance(server, str) else [node.url for node in server.primaries]
    emptied(server)


def run(url: str, body: Callable[[Client], Awaitable[Any]], scripts: list[str] | None = None) -> Any:
    async def main() -> Any:
        client = connect(url, scripts or [])
        try:
            return await body(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


NAMES = [f"key-{i}" for i in range(500)]


def test_answers_come_in_order_and_a_scan_finds_every_key(urls: list[str]) -> None:
    async def body(client: Client) -> None:
        assert await client.execute([]) == []
        assert await client.execute([("SET", name, i) for i, name in enumerate(NAMES)]) == [True] * 500
        assert await client.execute([("GET", name.encode()) for name in NAMES]) == [b"%d" % i for i in range(500)]
        assert {key async for key in client.scan(b"key-*")} == {name.encode() for name in NAMES}
        assert {key async for key in client.scan(b"key-1?")} == {b"key-%d" % i for i in range(10, 20)}

    run(urls[0], body)


def test_an_error_that_lasts_is_a_value_beside_the_other_answers(urls: list[str]) -> None:
    async def body(client: Client) -> None:
        first, wrong, last = await client.execute([("SET", "a", 1), ("LPUSH", "a", 1), ("GET", "a")])
        assert isinstance(wrong, ResponseError)
        assert (first, last) == (True, b"1")

    run(urls[0], body)


def test_a_script_unknown_to_the_client_is_a_value_and_a_known_one_is_loaded(urls: list[str]) -> None:
    script = "return redis.call('INCR', KEYS[1])"

    async def body(client: Client) -> list[Any]:
        return await client.execute([("EVALSHA", redis_sha(script), 1, name) for name in NAMES[:20]])

    assert {type(answer).__name__ for answer in run(urls[0], body)} == {"NoScriptError"}
    assert run(urls[0], body, [script]) == [1] * 20


def redis_sha(script: str) -> str:
    with redis.Redis() as client:
        return str(client.register_script(script).sha)


def test_all_nodes_are_met_as_the_user_of_the_url(urls: list[str]) -> None:
    """Who may only see keys that begin with `key`: refused elsewhere on every node, so nobody was met as the default user."""
    clients = [redis.Redis.from_url(url) for url in urls]
    for client in clients:
        client.execute_command("ACL", "SETUSER", "tide", "on", ">p:w", "~key*", "+@all")
    try:

        async def body(client: Client) -> None:
            assert await client.execute([("SET", name, 1) for name in NAMES]) == [True] * 500
            refused = await client.execute([("SET", f"other-{i}", 1) for i in range(100)])
            assert {type(answer) for answer in refused} == {NoPermissionError}

        run(urls[0].replace("redis://", "redis://tide:p%3Aw@"), body)
    finally:
        for client in clients:
            client.execute_command("ACL", "DELUSER", "tide")
            client.close()


def test_a_server_has_databases(redis_url: str, redis_client: redis.Redis) -> None:
    async def body(client: Client) -> None:
        assert await client.execute([("SET", "a", 1)]) == [True]

    third = redis_url.removesuffix("/0") + "/3"
    run(third, body)
    with redis.Redis.from_url(third) as other:
        assert (other.get("a"), redis_client.get("a")) == (b"1", None)
        other.flushdb()


def test_a_cluster_has_none(cluster: EmbeddedCluster) -> None:
    with pytest.raises(StoreConfigError, match="end it in /0"):
        run(cluster.url.removesuffix("/0") + "/3", lambda client: client.execute([("GET", "a")]))
