"""What changes under a monitor: its declaration, its topics, producers' clocks, and records that are none of ours."""

from dataclasses import replace

import pyarrow as pa
import pytest

from benchmarks.gauge_feed import START, Feed
from scorer.monitoring import Monitoring
from streams.monitor.rows import UnreadableRows, decode_rows
from streams.vectors import decode_vectors
from tests.streams.monitor.test_watching import summaries
from tests.streams.monitor.watched import LOGGED, NAMES, Watched

FEATURES = NAMES.features


def restarted(watched: Watched, monitoring: Monitoring) -> None:
    """The next owner reads another declaration."""
    watched.checkpoint()
    watched.monitoring = monitoring
    watched.crash()


def test_smaller_windows_close_the_one_that_is_fuller_already() -> None:
    watched, feed = Watched(monitoring=Monitoring(window=1_000, minimum_events=100)), Feed("", rows_a_record=100)
    for value in feed.values(900):
        watched.log(value)
    watched.drain()
    restarted(watched, Monitoring(window=300, minimum_events=100))
    for value in feed.values(600):
        watched.log(value)
    watched.drain()
    watched.publish()
    assert [s.n for s in summaries(watched)] == [900, 300, 300]


def test_another_kind_of_window_closes_what_was_open() -> None:
    watched, feed = Watched(monitoring=Monitoring(window=1_000, minimum_events=100)), Feed("", rows_a_record=100)
    for value in feed.values(900):
        watched.log(value)
    watched.drain()
    restarted(watched, Monitoring(window="5m", minimum_events=100, lateness="1s"))
    for value in feed.values(900):
        watched.log(value)
    watched.drain()
    watched.publish()
    assert [s.n for s in summaries(watched)] == [900, 300, 300]  # and one that is open


def test_a_clock_that_is_ahead_does_not_end_everybodys_windows() -> None:
    watched = Watched(monitoring=Monitoring(window="5m", minimum_events=100, lateness="1s"))
    (fast,) = Feed("", rows_a_record=1, start=LOGGED + 3_600.0).values(1)
    (mad,) = replace(Feed("", rows_a_record=1, start=2e11), sent=1).values(1)
    watched.log(fast)
    watched.log(mad)
    watched.drain()
    for value in replace(Feed("", rows_a_record=100, start=LOGGED), sent=2).values(10):
        watched.log(value)
    watched.drain()
    assert watched.watching.state.pending.late == 0
    assert watched.watching._windows.horizon <= LOGGED + 60.0


def test_a_source_that_was_created_anew_has_new_rows_and_its_vectors_new_positions() -> None:
    watched = Watched()
    for value in Feed("", rows_a_record=100).values(500):
        watched.log(value)
    watched.watching.replaced({FEATURES: "a", "gauges.readings": "b"})
    watched.drain()
    watched.watching.replaced({FEATURES: "a", "gauges.readings": "c"})
    for value in Feed("", rows_a_record=100, seed=5).values(500):
        watched.log(value)
    watched.drain()
    watched.publish()
    assert [(s.n, s.repeats) for s in summaries(watched)] == [(500, 0)] * 2
    watched.watching.replaced({FEATURES: "d", "gauges.readings": "c"})
    assert not [name for name in watched.watching.state.offsets if name.startswith(FEATURES)]


def strange() -> dict[str, bytes]:
    """Records that are no served vectors, or not as workers write them."""
    (value,) = Feed("", rows_a_record=3).values(3)
    batch = decode_vectors(value)

    def stream(changed: pa.RecordBatch) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, changed.schema) as writer:
            writer.write_batch(changed)
        return bytes(sink.getvalue().to_pybytes())

    def column(name: str, values: pa.Array) -> bytes:
        place = batch.schema.get_field_index(name)
        return stream(batch.set_column(place, pa.field(name, values.type), values))

    return {
        "empty": b"",
        "garbage": b"garbage",
        "truncated": value[: len(value) // 2],
        "no metadata": stream(batch.replace_schema_metadata({})),
        "null flags": column("late", pa.array([True, None, False])),
        "ids of another type": column("event_id", pa.array([1, 2, 3], pa.int32())),
        "vectors of another type": column("vector", pa.array([1.0, 2.0, 3.0])),
        "a column missing": stream(batch.drop_columns(["source_offset"])),
    }


@pytest.mark.parametrize("what", list(strange()))
def test_what_is_no_served_vectors_is_told_as_such(what: str) -> None:
    with pytest.raises(UnreadableRows):
        decode_rows(strange()[what])


def test_a_record_without_rows_is_nothing() -> None:
    watched = Watched()
    (value,) = Feed("", rows_a_record=3).values(3)
    batch, sink = decode_vectors(value).slice(0, 0), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    watched.log(bytes(sink.getvalue().to_pybytes()))
    watched.drain()
    assert watched.watching.state.offsets[f"{FEATURES}/0"] == 1
    assert START < LOGGED


def test_a_window_whose_reference_was_replaced_is_closed_and_says_so() -> None:
    """A registry that was set up anew counts versions from 1 again."""
    watched, feed = Watched(), Feed("", rows_a_record=100)
    for value in feed.values(300):
        watched.log(value)
    watched.drain()
    watched.checkpoint()
    watched.rows = 10_000  # another training, another reference
    watched.crash()
    for value in feed.values(500):
        watched.log(value)
    watched.drain()
    watched.publish()
    first, second = summaries(watched)
    assert (first.n, first.state, first.reference) == (300, "unknown", None)
    assert first.why is not None
    assert "is gone" in first.why
    assert (second.n, second.state) == (500, "ok")
