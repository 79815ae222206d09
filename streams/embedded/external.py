"""Whether a Kafka or a Redis that somebody else runs answers; addresses are shown without their passwords."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from streams.embedded.errors import NoAnswer

if TYPE_CHECKING:
    import redis

ANSWER_SECONDS = 10.0


def kafka_answers(bootstrap_servers: str, *, timeout_seconds: float) -> bool:
    """Whether a broker lists itself in the cluster's metadata within the timeout."""
    return bool(broker_addresses(bootstrap_servers, timeout_seconds=timeout_seconds))


def broker_addresses(bootstrap_servers: str, *, timeout_seconds: float = ANSWER_SECONDS) -> list[tuple[str, int]]:
    """Host and port of each broker as the cluster's metadata has them; none where nobody answers within the timeout."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    client = AdminClient(
        {
            "bootstrap.servers": bootstrap_servers,
            "log_level": 0,  # refused connections are this function's answer, not news
            "socket.connection.setup.timeout.ms": 2000,
            "reconnect.backoff.max.ms": 200,
        }
    )
    try:
        return [(broker.host, broker.port) for broker in client.list_topics(timeout=timeout_seconds).brokers.values()]
    except KafkaException:
        return []


def check_kafka(bootstrap_servers: str, *, timeout_seconds: float = ANSWER_SECONDS) -> None:
    """NoAnswer when no broker answers."""
    started = time.monotonic()
    if not kafka_answers(bootstrap_servers, timeout_seconds=timeout_seconds):
        raise NoAnswer(
            f"No Kafka broker answered at {bootstrap_servers} within {time.monotonic() - started:.0f} s: start it, "
            "correct KAFKA_BOOTSTRAP_SERVERS, or unset it to have an embedded one."
        )


def check_redis(url: str, *, timeout_seconds: float = ANSWER_SECONDS) -> dict[str, object]:
    """Redis' INFO, empty where it hides that; NoAnswer when it does not answer."""
    import redis

    try:
        with redis.Redis.from_url(url, socket_timeout=timeout_seconds, socket_connect_timeout=timeout_seconds) as client:
            client.ping()
            try:
                return dict(client.info())
            except redis.ResponseError:
                return {}
    except (redis.RedisError, ValueError) as error:  # ValueError: not a URL
        raise NoAnswer(
            f"Redis did not answer at {without_password(url)} ({type(error).__name__}): start it, "
            "correct REDIS_URL, or unset it to have an embedded one."
        ) from error


def cluster_nodes(url: str, *, timeout_seconds: float = 2.0) -> tuple[dict[str, dict[str, object]], list[str]]:
    """INFO of every node of the cluster by host:port, and the nodes that do not answer. NoAnswer where the URL's does not."""
    import redis
    from redis.connection import parse_url

    parsed: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    settings = parsed | {"socket_timeout": timeout_seconds, "socket_connect_timeout": timeout_seconds}
    found: dict[str, dict[str, object]] = {}
    silent = []
    try:
        with _client(settings) as client:
            ranges = client.execute_command("CLUSTER", "SLOTS")
    except redis.RedisError as error:
        raise NoAnswer(f"{without_password(url)} gives no map of its cluster ({type(error).__name__})") from error
    for host, port, *_ in (node for each in ranges for node in each[2:]):
        place = {"host": _text(host) or settings.get("host", "localhost"), "port": port}
        name = f"{place['host']}:{port}"
        if name in found or name in silent:
            continue
        try:
            with _client(settings | place) as client:
                found[name] = dict(client.info())
        except redis.RedisError:
            silent.append(name)
    return found, silent


def _client(settings: dict[str, Any]) -> redis.Redis:
    import redis

    return redis.Redis.from_pool(redis.ConnectionPool(**settings))


def _text(host: object) -> str:
    return host.decode() if isinstance(host, bytes) else str(host or "")


def without_password(url: str) -> str:
    """The address of a Redis URL, fit for a terminal and a log."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
