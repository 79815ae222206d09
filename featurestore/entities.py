"""Entity ids: from fields of events to the rows of a chunk's states and the shards that hold them."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featurestore.events import Ints


@dataclass(frozen=True, slots=True)
class Entities:
    """Distinct entities of one group: ids as stored, and each one's shard (int64)."""

    ids: list[bytes]
    shards: Ints

    def __len__(self) -> int:
        return len(self.ids)


NO_ENTITIES = Entities([], np.empty(0, dtype=np.int64))


class _Rows(dict[Any, int]):
    """Gives each new value the next row; values put in beforehand keep theirs."""

    def __init__(self, missing: Sequence[str | int | None]) -> None:
        super().__init__(dict.fromkeys(missing, -1))
        self.reserved = len(self)

    def __missing__(self, value: Any) -> int:
        row = self[value] = len(self) - self.reserved
        return row


class Interner:
    """Numbers distinct entities: the same entity always gets the same row, in order of appearance; -1 is a missing entity."""

    def __init__(self, shards: int, missing: tuple[str | int, ...]) -> None:
        self._shards = shards
        self._missing = frozenset((None, *missing))
        self._rows = _Rows(list(self._missing))

    def rows(self, columns: Sequence[list[Any]]) -> Ints:
        """The row of each event's entity, int64 (n,); columns holds the entity's fields, each a list of n values."""
        rows = self._rows
        if len(columns) == 1:
            return np.array([rows[value] for value in columns[0]], dtype=np.int64)
        missing = self._missing
        values = zip(*columns, strict=True)
        return np.array([rows[value] if missing.isdisjoint(value) else -1 for value in values], dtype=np.int64)

    def entities(self) -> Entities:
        """Every entity numbered so far, in order of rows."""
        ids = [encode_entity(value) for value, row in self._rows.items() if row >= 0]
        return Entities(ids, np.array([shard_of(id, self._shards) for id in ids], dtype=np.int64))


def encode_entity(value: Any) -> bytes:
    r"""An entity's id as stored: the field's text; several fields joined by "|" ("|" and "\" within them escaped).

    >>> encode_entity(("JFK", "a|b"))
    b'JFK|a\\|b'
    """
    if isinstance(value, tuple):
        return "|".join(str(part).replace("\\", "\\\\").replace("|", "\\|") for part in value).encode()
    return str(value).encode()


def decode_entity(id: bytes) -> tuple[str, ...]:
    r"""The fields' texts of an id as stored: encode_entity the other way round.

    >>> decode_entity(b'JFK|a\\|b')
    ('JFK', 'a|b')
    """
    parts, escaped = [""], False
    for character in id.decode():
        if character == "|" and not escaped:
            parts.append("")
        elif character != "\\" or escaped:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return tuple(parts)


def shard_of(id: bytes, shards: int) -> int:
    """The shard an entity lives in: CRC-32 of its id, the same in every process and version."""
    return zlib.crc32(id) % shards
