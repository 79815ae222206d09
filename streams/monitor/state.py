"""What a monitor finds again after a crash: positions, what was counted, open windows, and what is judged but not yet published.

All of it is one value (featurestore.checkpoints), so that no crash leaves positions without their counts. The seasons, a megabyte
where there are many features, are fields of their own, of which a window changes one.
"""

import msgspec

from monitors.drift.episode import FeatureMemory
from streams.errors import MonitorStateError
from streams.monitor.counts import StoredCounts
from streams.monitor.windows import Rate

STATE = b"state"
FORMAT = 1


class StoredWindow(msgspec.Struct, frozen=True):
    """A streams.monitor.windows.Window with its counts as bytes."""

    id: str
    version: int
    begun: int
    touched: int
    share: float
    end: float | None
    counts: StoredCounts


class Pending(msgspec.Struct):
    """What belongs to no row, and goes into the next window that is closed: repeated and late rows, rejects by kind."""

    repeats: int = 0
    late: int = 0
    rejects: dict[str, int] = {}


class Entry(msgspec.Struct, frozen=True):
    """A record that was judged; it leaves the outbox when the broker has it."""

    id: str
    key: str
    value: bytes


class State(msgspec.Struct):
    """``offsets``: by "topic/partition", the next to be read; ``topic_ids``: of these topics and of the source.

    ``times``: the newest event time of each partition; ``memory``: by reference. ``breaches``: see closing.breaches.
    """

    offsets: dict[str, int] = {}
    topic_ids: dict[str, str] = {}
    times: dict[str, float] = {}
    seen: dict[int, list[list[int]]] = {}
    windows: list[StoredWindow] = []
    rates: dict[int, Rate] = {}
    horizon: float = float("-inf")
    opened: int = 0
    memory: dict[str, list[FeatureMemory]] = {}
    pending: Pending = msgspec.field(default_factory=Pending)
    outbox: list[Entry] = []
    breaches: int | None = None
    format: int = FORMAT


def encode_state(state: State) -> bytes:
    return msgspec.msgpack.encode(state)


def decode_state(value: bytes, pipeline: str) -> State:
    """MonitorStateError for what is no state of this version of the monitor."""
    try:
        state = msgspec.msgpack.decode(value, type=State)
        if state.format != FORMAT:
            raise msgspec.DecodeError(f"its format is {state.format}, not {FORMAT}")
        return state
    except msgspec.DecodeError as error:
        raise MonitorStateError(
            f"what the monitor of {pipeline} kept in Redis cannot be read ({error}): another version of Tidegate wrote it, or "
            f"something else did. Run that version, or begin anew, without the open windows and the seasons: "
            f"redis-cli -u $REDIS_URL del 'tidegate:checkpoint:{{monitor:{pipeline}}}'"
        ) from error
