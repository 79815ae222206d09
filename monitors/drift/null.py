"""What PSI does without drift, learnt from the reference itself: chunks of it, held out in turn, against the rest.

Neighbouring events of a stream resemble each other, so that a window of n of them knows less than n independent ones, and its
PSI is larger by chance than theory says. Chunks of neighbours know just as little: their PSIs are the null.

scipy.special, not scipy.stats: the same functions without 45 MiB of others.
"""

import math

import msgspec
import numpy as np
from scipy.special import chdtrc, chdtri

from monitors.drift.statistics import Counts, Floats, expected_psi, psis

CHUNKS_MIN = 50  # a variance of 50 chunks is known to 20 %; fewer make p-values below 0.001 a guess
CHUNKS_MAX = 200
PARTS = 4  # of a chunk, by which its memory is measured
CHUNK_EVENTS_MIN = 20  # two rows a bin; below, the half row added to every bin is most of what is measured


class Null(msgspec.Struct, frozen=True):
    """PSI without drift is distributed as ``scale`` x chi2 with ``dof`` degrees of freedom, for a chunk against the rest.

    ``inflation`` is by how much chunks vary more than independent rows would; with their events this falls as events^-``decay``:
    1 where memory is short, near 0 where it is longer than a chunk. ``psis`` are those that all this was fitted to.
    """

    scale: float
    dof: float
    chunk_events: int
    rest_events: int
    inflation: float
    decay: float
    psis: list[float]

    def ratio(self, n: float, m: float) -> float:
        """How much larger PSI is by chance for a window of ``n`` events against ``m`` than for a chunk.

        It goes with 1/n + 1/m; but a window larger than a chunk, whose like the reference does not have, gains with n only what
        larger chunks gained over smaller ones.
        """
        return (1 / n + 1 / m) / (1 / self.chunk_events + 1 / self.rest_events) * self._memory(n)

    def p(self, psi: float, n: float, m: float) -> float:
        """How often a window without drift has at least this PSI."""
        return float(chdtrc(self.dof, psi / (self.scale * self.ratio(n, m))))

    def critical(self, p: float) -> float:
        """The PSI that a chunk without drift reaches with probability ``p``."""
        return float(self.scale * chdtri(self.dof, p))

    def effective(self, n: int) -> float:
        """How many independent events know as much as ``n`` of the stream; never more than ``n``."""
        return n / max(self.inflation * self._memory(n), 1.0)

    def _memory(self, n: float) -> float:
        return float(max(n / self.chunk_events, 1.0) ** (1 - self.decay))


def fit_null(parts: Counts, reference: Counts) -> Null | None:
    """The null of a reference (bins,) from ``parts`` (chunks, `PARTS`, bins): the counts of chunks, each in consecutive parts.

    None where chunks are too few or too small. Mean and variance of the chunks' PSIs give scale and degrees of freedom
    (Satterthwaite 1946). A feature that varies less than independent rows would (a constant, a strict rotation) gets the null of
    independent rows: caution, and never a division by 0.
    """
    chunks = parts.sum(axis=1)
    events = int(chunks[0].sum()) if len(chunks) else 0
    if len(chunks) < CHUNKS_MIN or events < CHUNK_EVENTS_MIN:
        return None
    rest, bins = int(reference.sum()) - events, max(int((reference > 0).sum()), 2)
    found = _held_out(chunks, reference)
    mean, variance = float(found.mean()), float(found.var(ddof=1))
    inflation = mean / expected_psi(bins, events, rest)
    if inflation <= 1 or variance <= 0:
        return Null(1 / events + 1 / rest, bins - 1.0, events, rest, inflation, 1.0, found.tolist())
    smaller = float(_held_out(parts.reshape(-1, parts.shape[2]), reference).mean())
    decay = min(max(math.log(smaller / mean) / math.log(PARTS), 0.0), 1.0)
    return Null(variance / (2 * mean), 2 * mean**2 / variance, events, rest, inflation, decay, found.tolist())


def _held_out(chunks: Counts, reference: Counts) -> Floats:
    """PSI of each chunk (chunks, bins) against the reference (bins,) without it."""
    used = reference > 0
    return psis(chunks[:, used], (reference - chunks)[:, used])


def chunk_events(rows: int, wanted: int) -> int:
    """Events of a chunk, whole `PARTS`: the window's, or fewer where the reference would not give `CHUNKS_MIN` chunks."""
    return min(wanted, rows // CHUNKS_MIN) // PARTS * PARTS


def chunk_starts(rows: int, events: int) -> Counts:
    """Where chunks of consecutive rows begin: all of them, or `CHUNKS_MAX` spread over the whole time."""
    chunks = rows // events if events else 0
    kept = np.unique(np.linspace(0, chunks - 1, min(chunks, CHUNKS_MAX)).astype(np.int64)) if chunks else np.zeros(0, np.int64)
    found: Counts = kept * events
    return found
