"""Recorded events in Parquet: a folder with one file a topic, named ``<topic>.parquet``, a column for each field of the event.

Rows pass the same contract as records from Kafka do; a row that breaks it is an error here, not a dead letter.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurestore.broken import expectation
from featurestore.errors import HistoryError
from featurestore.events import Event, EventBatch, Source, contract
from featurestore.personal import Pseudonyms, hider

BATCH_ROWS = 50_000
DIGESTED_BYTES = 2**20
DAY_SECONDS = 86_400.0
Progress = Callable[[str, int, int], None]  # topic, rows read, rows in the file


def quiet(topic: str, read: int, rows: int) -> None:
    """The progress callback that shows nothing."""


def read_history(
    folder: Path,
    events: Sequence[type[Event]],
    first: float = 0.0,
    last: float = np.inf,
    progress: Progress = quiet,
    pseudonyms: Pseudonyms | None = None,
) -> list[EventBatch]:
    """The events of these kinds with first <= event time < last (seconds since the epoch), for featurestore.offline.

    Offsets are row numbers, the partition is 0; personal fields are hashed as in the worker. HistoryError where a file is missing
    or a row breaks its contract, HashKeyError where there are personal fields and no key.
    """
    return [batch for event in events for batch in _read_topic(folder, event, first, last, progress, pseudonyms)]


def _read_topic(
    folder: Path, event: type[Event], first: float, last: float, progress: Progress, pseudonyms: Pseudonyms | None
) -> list[EventBatch]:
    topic, batches = contract(event).topic, []
    for batch, read, rows in parts(folder, event, first, last, pseudonyms=pseudonyms):
        batches.append(batch)
        progress(topic, read, rows)
    return [batch for batch in batches if len(batch)]


def parts(
    folder: Path,
    event: type[Event],
    first: float = 0.0,
    last: float = np.inf,
    begin: int = 0,
    size: int = BATCH_ROWS,
    pseudonyms: Pseudonyms | None = None,
) -> Iterator[tuple[EventBatch, int, int]]:
    """A topic's file in parts of at most `size` rows, from row `begin` on: the events with first <= event time < last among them
    (maybe none), the rows read so far, the rows in the file.
    """
    hide = hider(event, pseudonyms)
    path = file_of(folder, event)
    fields = list(event.__struct_fields__)
    with _opened(path) as file:
        absent = set(fields) - set(file.schema_arrow.names)
        if absent:
            raise HistoryError(f"{path} lacks the columns {', '.join(sorted(absent))} of {event.__name__}")
        groups, row = _row_groups(file, begin)
        for part in file.iter_batches(size, row_groups=groups, columns=fields):
            passed = min(max(begin - row, 0), len(part))
            row += passed
            rows = part.slice(passed).to_pylist()
            if rows:
                batch = _batch(event, path, row, _convert(event, path, row, rows), first, last)
                if hide is not None:
                    hide(batch.events)
                row += len(rows)
                yield batch, row, file.metadata.num_rows


def _row_groups(file: pq.ParquetFile, begin: int) -> tuple[list[int], int]:
    """The row groups that hold row `begin` and later ones, and the number of the first row in them."""
    first, skipped = 0, 0
    for number in range(file.metadata.num_row_groups):
        rows = file.metadata.row_group(number).num_rows
        if first + rows > begin:
            break
        first, skipped = first + rows, number + 1
    return list(range(skipped, file.metadata.num_row_groups)), first


def file_of(folder: Path, event: type[Event]) -> Path:
    """Where a topic's events are expected; HistoryError where there is no such file."""
    path = folder / f"{contract(event).topic}.parquet"
    if not path.is_file():
        raise HistoryError(f"{folder} has no {path.name}; write one Parquet file a topic, with the fields of {event.__name__}")
    return path


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file's rows, its newest event time (seconds since the epoch; -inf of none), and a digest of its content."""

    rows: int
    newest: float
    digest: str


def facts(folder: Path, event: type[Event]) -> FileFacts:
    """Reads the time column alone. The digest is of the file's size and end, where Parquet keeps every column's statistics."""
    path, time = file_of(folder, event), contract(event).time
    newest = -np.inf
    with _opened(path) as file:
        if time not in file.schema_arrow.names:
            raise HistoryError(f"{path} lacks the column {time} of {event.__name__}")
        for part in file.iter_batches(BATCH_ROWS, columns=[time]):
            found = pc.max(part.column(0)).as_py()
            newest = newest if found is None else max(newest, float(found))
        rows = file.metadata.num_rows
    with path.open("rb") as raw:
        size = raw.seek(0, 2)
        raw.seek(max(0, size - DIGESTED_BYTES))
        return FileFacts(rows, newest, hashlib.sha256(b"%d:" % size + raw.read()).hexdigest()[:16])


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise HistoryError(f"{path} is not a Parquet file ({error}); write it with pyarrow, pandas or DuckDB") from error


def _convert(event: type[Event], path: Path, row: int, rows: list[dict[str, object]]) -> list[Event]:
    try:
        return msgspec.convert(rows, list[event])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        field, expected = expectation(error)
        found = re.match(r"\$\[(\d+)\]", field or "")
        where, field = (row + int(found.group(1)), f"${(field or '')[found.end() :]}") if found else (row, field)
        # Not `from error`: its message may quote a value.
        raise HistoryError(
            f"{path}, row {where}, breaks the contract of {event.__name__}: {expected} - at {field}; leave such rows out, or "
            f"widen the contract"
        ) from None


def _batch(event: type[Event], path: Path, row: int, rows: list[Event], first: float, last: float) -> EventBatch:
    agreed = contract(event)
    times = np.array([getattr(one, agreed.time) for one in rows], dtype=np.float64)
    wrong = np.flatnonzero(~((times >= 0) & (times <= time.time() + DAY_SECONDS)))
    if len(wrong):
        raise HistoryError(
            f"{path}, row {row + wrong[0]}: {agreed.time} is {times[wrong[0]]:g}, before 1970 or in the future; "
            "seconds since the epoch are expected (milliseconds? divide by 1000)"
        )
    kept = np.flatnonzero((times >= first) & (times < last))
    return EventBatch(
        event=event,
        source=Source(agreed.topic, 0),
        offsets=row + kept,
        ingested=times[kept],
        times=times[kept],
        keys=[None] * len(kept),
        events=[rows[i] for i in kept.tolist()],
    )
