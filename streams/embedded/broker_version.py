"""Which release of Kafka a cluster runs, at least: from the feature levels that a broker tells every client that asks.

No client library hands them out, so the one request is written here: ApiVersions, version 3 (KIP-482 and KIP-584). A cluster's
`metadata.version` is raised by hand after an upgrade, so brokers may be newer than it says.
"""

import socket
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

TIMEOUT_SECONDS = 5.0
API_VERSIONS, VERSION, CORRELATION = 18, 3, 1
NAME = "tidegate-doctor"
FINALIZED = 2  # the tag of the features that the whole cluster is at
METADATA = "metadata.version"
# `kafka-storage.sh version-mapping --release-version ...` of Kafka 4.1.
LEVELS = ((7, "3.3"), (8, "3.4"), (11, "3.5"), (14, "3.6"), (19, "3.7"), (20, "3.8"), (21, "3.9"), (25, "4.0"), (27, "4.1"))


def metadata_level(host: str, port: int, timeout_seconds: float = TIMEOUT_SECONDS) -> int | None:
    """The cluster's `metadata.version`; None where the broker names none (older than 3.3). OSError where it does not answer."""
    with socket.create_connection((host, port), timeout_seconds) as connection:
        connection.sendall(_request())
        answer = connection.makefile("rb")
        (length,) = struct.unpack(">i", _whole(answer.read(4), 4))
        body = _whole(answer.read(length), length)
    return _level(_Reader(body))


def release(level: int) -> str:
    """
    >>> release(27), release(26), release(99)
    ('4.1', '4.0', 'newer than 4.1')
    """
    if level > LEVELS[-1][0]:
        return f"newer than {LEVELS[-1][1]}"
    place = bisect_right(LEVELS, level, key=lambda pair: pair[0])
    return LEVELS[place - 1][1] if place else f"older than {LEVELS[0][1]}"


def _request() -> bytes:
    name = NAME.encode()
    header = struct.pack(">hhih", API_VERSIONS, VERSION, CORRELATION, len(name)) + name + b"\0"
    compact = bytes([len(name) + 1]) + name
    body = header + compact + bytes([2]) + b"1" + b"\0"  # software, its version, no tags
    return struct.pack(">i", len(body)) + body


def _whole(data: bytes, length: int) -> bytes:
    if len(data) < length:
        raise ConnectionError("the connection was closed before the answer was whole; is it a listener for TLS?")
    return data


def _level(reader: "_Reader") -> int | None:
    reader.skip(4)  # correlation id
    if reader.number(">h"):  # an error: brokers that do not know this version answer in version 0
        return None
    for _ in range(reader.varint() - 1):  # key, least, greatest version of each request
        reader.skip(6)
        reader.skip_tags()
    reader.skip(4)  # throttled for so many milliseconds
    for tag, value in reader.tags():
        if tag == FINALIZED:
            return dict(_features(_Reader(value))).get(METADATA)
    return None


def _features(reader: "_Reader") -> Iterator[tuple[str, int]]:
    for _ in range(reader.varint() - 1):
        name = reader.take(reader.varint() - 1).decode()
        level = reader.number(">h")
        reader.skip(2)
        reader.skip_tags()
        yield name, level


@dataclass(slots=True)
class _Reader:
    """Kafka's flexible encoding, front to back."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        self.at += count
        return _whole(self.data[self.at - count : self.at], count)

    skip = take

    def number(self, form: str) -> int:
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(value)

    def varint(self) -> int:
        value = shift = 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def tags(self) -> Iterator[tuple[int, bytes]]:
        for _ in range(self.varint()):
            tag = self.varint()
            yield tag, self.take(self.varint())

    def skip_tags(self) -> None:
        for _ in self.tags():
            pass
