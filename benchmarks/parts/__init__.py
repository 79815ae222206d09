"""The parts of `make bench`, in the order in which they run: a module each, and its function `measure` under the part's name."""

from benchmarks.part import Part
from benchmarks.parts import against_peers, burst, entities, latency, memory, payments, scoring

PARTS: dict[str, Part] = {
    "payments": payments.measure,
    "peers": against_peers.measure,
    "latency": latency.measure,
    "burst": burst.measure,
    "entities": entities.measure,
    "memory": memory.measure,
    "scoring": scoring.measure,
}
