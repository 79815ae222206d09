"""Where one group stands in one partition, from what Kafka told: records and seconds behind, then the verdict. Asks nothing."""

import msgspec

from monitors.lag import History, Status, age_seconds, pace, retention_used, verdict
from monitors.lag_snapshot import PartitionLag
from streams.chunk import TP
from streams.lag.heads import Head
from streams.lag.logs import Log, TopicSettings


def standing(
    group: str, tp: TP, at: float, committed: int | None, log: Log, head: Head | None, settings: TopicSettings
) -> PartitionLag:
    """Without verdict and pace. `head` is of the committed offset, or of the log's start if that is later.

    An offset past the log's end is of another log, whose topic was deleted or whose records were lost: like none, it does not say
    what the group will read.
    """
    placed = committed is not None and committed <= log.end
    lost = max(0, log.start - committed) if committed is not None and placed else 0
    lag = _records(committed, log, head) if committed is not None and placed else None
    seconds = _seconds(at, lag, head)
    return PartitionLag(
        group=group,
        topic=tp.topic,
        partition=tp.partition,
        status=Status.UNKNOWN,
        at=at,
        committed=committed,
        start=log.start,
        end=log.end,
        lag_records=lag,
        lag_seconds=seconds,
        head_of_line_seconds=0.0,
        records_per_second=None,
        drain_seconds=None,
        retention_used=retention_used(seconds, lost, settings.retention_seconds),
        lost_records=lost,
        producer_time=settings.producer_time,
    )


def _records(committed: int, log: Log, head: Head | None) -> int:
    """Offsets still to be read, as Kafka's own tools count; none where they are all markers of transactions."""
    marked = head is not None and not head.waits and head.until >= log.end
    return 0 if marked else log.end - max(committed, log.start)


def _seconds(at: float, lag: int | None, head: Head | None) -> float | None:
    """None where nothing was committed, or the record could not be read."""
    if lag == 0:
        return 0.0
    if lag is None or head is None or head.timestamp is None:
        return None
    return age_seconds(at, head.timestamp)


def judged(row: PartitionLag, history: History, *, owned: bool, window_seconds: float) -> PartitionLag:
    """The row with what its history says."""
    speed = pace(history, window_seconds)
    return msgspec.structs.replace(
        row,
        status=verdict(history, owned=owned, window_seconds=window_seconds),
        head_of_line_seconds=speed.head_of_line_seconds,
        records_per_second=speed.records_per_second,
        drain_seconds=speed.drain_seconds,
    )
