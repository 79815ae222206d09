"""The parts of `make bench`, in the order in which they run: a module each, and its function `measure` under the part's name."""

from benchmarks.part import Part
from benchmarks.parts import against_peers, payments, scoring

PARTS: dict[str, Part] = {
    "payments": payments.measure,
    "peers": against_peers.measure,
    "scoring": scoring.measure,
}
