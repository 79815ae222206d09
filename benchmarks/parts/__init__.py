"""The parts of `make bench`, in the order in which they run: a module each, and its function `measure` under the part's name."""

from benchmarks.part import Part
from benchmarks.parts import (
    against_peers,
    burst,
    chunk_size,
    entities,
    latency,
    memory,
    monitor,
    partitions,
    payments,
    scoring,
    stages,
    startup,
    workers,
)

PARTS: dict[str, Part] = {
    "payments": payments.measure,
    "peers": against_peers.measure,
    "stages": stages.measure,
    "scoring": scoring.measure,
    "latency": latency.measure,
    "burst": burst.measure,
    "chunk_size": chunk_size.measure,
    "partitions": partitions.measure,
    "workers": workers.measure,
    "entities": entities.measure,
    "memory": memory.measure,
    "startup": startup.measure,
    "monitor": monitor.measure,
}
