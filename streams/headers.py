"""Records whose header keys are not UTF-8, which aiokafka cannot parse.

Its parser raises in the middle of a batch, and would at every try: one such record would stop every worker for good.
Here the partition is fetched again from where it stood and its batches go through aiokafka's Python parser with a
tolerant decoding, `\\xff` for a byte that is no text. Only partitions that held such a record pay for it.
"""

from __future__ import annotations

import collections
import logging
from collections.abc import Sequence
from typing import Any

from aiokafka.consumer import fetcher as aiokafka_fetcher
from aiokafka.record import default_records, memory_records

from streams.chunk import TP

logger = logging.getLogger(__name__)


class KeptRecords(memory_records.MemoryRecords):  # type: ignore[misc]
    """aiokafka's records of one fetch, with the bytes they are parsed from."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.raw = raw


class Results(collections.OrderedDict[Any, Any]):
    """The fetcher's results per partition, guarded against records that cannot be parsed."""

    def __init__(self) -> None:
        super().__init__()
        self._tolerant: set[TP] = set()

    def __setitem__(self, tp: Any, result: Any) -> None:
        records = getattr(result, "_partition_records", None)
        if records is not None:
            if tp in self._tolerant:
                records._records = TolerantRecords(records._records.raw)
            result.getall = self._guarded(tp, result)
        super().__setitem__(tp, result)

    def _guarded(self, tp: Any, result: Any) -> Any:
        parse = result.getall

        def getall(max_records: int | None = None) -> Sequence[Any]:
            try:
                found: Sequence[Any] = parse(max_records)
            except UnicodeDecodeError:
                logger.warning("%s[%d] holds a record with a header key that is not UTF-8", tp.topic, tp.partition)
                self._tolerant.add(TP(*tp))
                result._partition_records = None  # the position has not moved: fetched again
                return []
            return found

        return getall


def keep_raw_bytes() -> None:
    """Let aiokafka's fetchers of this process parse from KeptRecords."""
    aiokafka_fetcher.MemoryRecords = KeptRecords


class TolerantRecords(memory_records._MemoryRecordsPy):  # type: ignore[misc]
    def next_batch(self, *args: Any) -> Any:
        piece = self._next_slice
        if piece is None or piece[self.MAGIC_OFFSET] < 2:  # older formats have no headers
            return super().next_batch(*args)
        self._cache_next()
        return TolerantBatch(piece)


class TolerantBatch(default_records._DefaultRecordBatchPy):  # type: ignore[misc]
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: bytearray = TolerantBuffer(self._buffer)


class TolerantBuffer(bytearray):
    """Slices of it decode whatever they hold; the parser decodes header keys alone."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return TolerantBytes(found) if isinstance(key, slice) else found


class TolerantBytes(bytes):
    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")
