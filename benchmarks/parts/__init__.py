"""The parts of `make bench`, in the order in which they run: a module each, and its function `measure` under the part's name."""

from benchmarks.part import Part
from benchmarks.parts import against_peers, chunk_size, partitions, payments, startup, workers

PARTS: dict[str, Part] = {
    "payments": payments.measure,
    "peers": against_peers.measure,
    "chunk_size": chunk_size.measure,
    "partitions": partitions.measure,
    "workers": workers.measure,
    "startup": startup.measure,
}
