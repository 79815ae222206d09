"""`doctor --production`: who may read and write Kafka and Redis, and who can listen on the way there.

Tidegate's Kafka clients speak plain text without credentials. So what is asked of Kafka is that the text stays on this machine
(a tunnel's end, or the broker itself), and that an authorizer says who may do what.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from aiokafka.protocol.admin import DescribeAclsRequest

from streams.embedded.checks import Check
from streams.embedded.external import ANSWER_SECONDS, broker_addresses, without_password
from streams.errors import StreamError
from streams.lag.connection import PASSING, Connection

KAFKA_ACLS, KAFKA_TLS, REDIS_TLS, REDIS_ACLS = "Kafka's ACLs", "Kafka's TLS", "Redis' TLS", "Redis' ACLs"
DEFAULT_USER = "default"
ANY = 1  # of every kind, in the protocol's filters of rules
NOT_AUTHORIZED, NO_AUTHORIZER = 31, 54  # the protocol's error codes


def kafka_security(bootstrap_servers: str) -> Iterator[Check]:
    yield kafka_tls([host for host, _ in broker_addresses(bootstrap_servers)])
    yield kafka_acls(bootstrap_servers)


def kafka_tls(hosts: Sequence[str]) -> Check:
    """``hosts``: where the brokers say that they are."""
    if away := sorted({host for host in hosts if not is_loopback(host)}):
        remedy = (
            "Tidegate's Kafka clients speak no TLS yet: give each broker a listener that advertises the near end, on loopback, "
            "of a TLS tunnel beside each process (stunnel, Envoy)"
        )
        return Check(KAFKA_TLS, "fail", f"plain text to {', '.join(away)}: who is on the way reads every event", remedy)
    return Check(KAFKA_TLS, "ok", "plain text, which does not leave this machine")


def kafka_acls(bootstrap_servers: str) -> Check:
    """Whether an authorizer stands before the brokers; one that will not show us its rules does."""
    remedy = "set authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer and add rules by kafka-acls.sh"
    try:
        code, rules = asyncio.run(_rules(bootstrap_servers))
    except (StreamError, *PASSING) as error:
        return Check(KAFKA_ACLS, "fail", f"not told: {str(error) or type(error).__name__}", remedy)
    if code == NO_AUTHORIZER:
        return Check(KAFKA_ACLS, "fail", "no authorizer: everybody may read and write everything", remedy)
    if code == NOT_AUTHORIZED:
        return Check(KAFKA_ACLS, "ok", "on; this client may not see the rules")
    if code or not rules:
        return Check(KAFKA_ACLS, "fail", f"error {code}" if code else "an authorizer without a rule", remedy)
    return Check(KAFKA_ACLS, "ok", f"on, {rules} rule{'' if rules == 1 else 's'}")


async def _rules(bootstrap_servers: str) -> tuple[int, int]:
    """The error code and the number of rules.

    Asked by aiokafka: librdkafka (2.16) drops the error, and gives an empty list where there is no authorizer.
    """
    connection = await Connection.open(bootstrap_servers)
    try:
        everything = DescribeAclsRequest(ANY, None, ANY, None, None, ANY, ANY)
        answer = await connection.send(connection.nodes[0], everything)
        return int(answer.error_code), sum(len(resource[-1]) for resource in answer.resources)
    finally:
        await connection.close()


def redis_tls(url: str) -> Check:
    parts = urlsplit(url)
    if parts.scheme == "rediss":
        return Check(REDIS_TLS, "ok", f"on, to {without_password(url)}")
    if parts.scheme == "unix" or is_loopback(parts.hostname or ""):
        return Check(REDIS_TLS, "ok", "plain text, which does not leave this machine")
    found = f"plain text to {without_password(url)}: who is on the way reads every feature, and the password"
    return Check(
        REDIS_TLS, "fail", found, "turn TLS on in redis.conf (tls-port, tls-cert-file, tls-key-file); REDIS_URL=rediss://..."
    )


def redis_acls(url: str) -> Check:
    """Whether who reaches the server without a password gets nowhere. redis.RedisError where it does not answer."""
    import redis

    with redis.Redis.from_url(url, socket_timeout=ANSWER_SECONDS, socket_connect_timeout=ANSWER_SECONDS) as client:
        try:
            user, default = _text(client.execute_command("ACL", "WHOAMI")), client.acl_getuser(DEFAULT_USER)
        except redis.exceptions.NoPermissionError:
            return Check(REDIS_ACLS, "ok", "on; this user may not see them")
    flags = {_text(flag) for flag in (default or {}).get("flags", ())}
    if {"on", "nopass"} <= flags:
        remedy = (
            "ACL SETUSER tidegate on '>PASSWORD' ~* &* +@all, ACL SETUSER default off; REDIS_URL=rediss://tidegate:PASSWORD@..."
        )
        return Check(REDIS_ACLS, "fail", "the default user has no password: who reaches it may change every feature", remedy)
    return Check(REDIS_ACLS, "ok", f"as user {user}; the default user {'has a password' if 'on' in flags else 'is off'}")


def is_loopback(host: str) -> bool:
    """
    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("kafka")
    (True, True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
