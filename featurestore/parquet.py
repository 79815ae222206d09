"""Recorded events in Parquet: a folder with one file a topic, named ``<topic>.parquet``, a column for each field of the event.

Rows pass the same contract as records from Kafka do; a row that breaks it is an error here, not a dead letter.
"""

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from featurestore.errors import HistoryError
from featurestore.events import Event, EventBatch, Source, contract

BATCH_ROWS = 50_000
DAY_SECONDS = 86_400.0
Progress = Callable[[str, int, int], None]  # topic, rows read, rows in the file


def quiet(topic: str, read: int, rows: int) -> None:
    """The progress callback that shows nothing."""


def read_history(
    folder: Path, events: Sequence[type[Event]], first: float = 0.0, last: float = np.inf, progress: Progress = quiet
) -> list[EventBatch]:
    """The events of these kinds with first <= event time < last (seconds since the epoch), for featurestore.offline.

    Offsets are row numbers, the partition is 0. HistoryError where a file is missing or a row breaks its contract.
    """
    return [batch for event in events for batch in _read_topic(folder, event, first, last, progress)]


def _read_topic(folder: Path, event: type[Event], first: float, last: float, progress: Progress) -> list[EventBatch]:
    agreed = contract(event)
    path = folder / f"{agreed.topic}.parquet"
    if not path.is_file():
        raise HistoryError(f"{folder} has no {path.name}; write one Parquet file a topic, with the fields of {event.__name__}")
    batches, row = [], 0
    with _opened(path) as file:
        absent = set(event.__struct_fields__) - set(file.schema_arrow.names)
        if absent:
            raise HistoryError(f"{path} lacks the columns {', '.join(sorted(absent))} of {event.__name__}")
        for part in file.iter_batches(BATCH_ROWS, columns=list(event.__struct_fields__)):
            batches.append(_batch(event, path, row, _convert(event, path, row, part.to_pylist()), first, last))
            row += len(part)
            progress(agreed.topic, row, file.metadata.num_rows)
    return [batch for batch in batches if len(batch)]


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as error:
        raise HistoryError(f"{path} is not a Parquet file ({error}); write it with pyarrow, pandas or DuckDB") from error


def _convert(event: type[Event], path: Path, row: int, rows: list[dict[str, object]]) -> list[Event]:
    try:
        return msgspec.convert(rows, list[event])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        found = re.search(r"\$\[(\d+)\]", str(error))
        where = row + int(found.group(1)) if found else row
        raise HistoryError(
            f"{path}, row {where}, breaks the contract of {event.__name__}: {error}; leave such rows out, or widen the contract"
        ) from error


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
