"""What PSI does without drift, learnt from the reference itself: chunks of it, held out in turn, against the rest.

Neighbouring events of a stream resemble each other, so that a window of n of them knows less than n independent ones, and its
PSI is larger by chance than theory says. Chunks of neighbours know just as little: their PSIs are the null.

scipy.special, not scipy.stats: the same functions without 45 MiB of others.
"""

import msgspec
import numpy as np
from scipy.special import chdtrc, chdtri

from monitors.drift.statistics import Counts, expected_psi, psis

CHUNKS_MIN = 50  # a variance of 50 chunks is known to 20 %; fewer make p-values below 0.001 a guess
CHUNKS_MAX = 200
CHUNK_EVENTS_MIN = 20  # two rows a bin; below, the half row added to every bin is most of what is measured


class Null(msgspec.Struct, frozen=True):
    """PSI without drift is distributed as ``scale`` x chi2 with ``dof`` degrees of freedom, for a chunk against the rest.

    ``inflation`` is by how much chunks vary more than independent rows would; ``psis`` are those that it was fitted to.
    """

    scale: float
    dof: float
    chunk_events: int
    rest_events: int
    inflation: float
    psis: list[float]

    def scale_for(self, n: float, m: float) -> float:
        """The scale for a window of ``n`` events against ``m``: PSI's spread goes with 1/n + 1/m."""
        return self.scale * (1 / n + 1 / m) / (1 / self.chunk_events + 1 / self.rest_events)

    def p(self, psi: float, n: float, m: float) -> float:
        """How often a window without drift has at least this PSI."""
        return float(chdtrc(self.dof, psi / self.scale_for(n, m)))

    def critical(self, p: float) -> float:
        """The PSI that a chunk without drift reaches with probability ``p``."""
        return float(self.scale * chdtri(self.dof, p))

    def effective(self, n: int) -> float:
        """How many independent events know as much as ``n`` of the stream; never more than ``n``."""
        return n / max(self.inflation, 1.0)


def fit_null(chunks: Counts, reference: Counts) -> Null | None:
    """The null of chunks (chunks, bins) of a reference (bins,); None where they are too few or too small.

    Mean and variance of the PSIs give scale and degrees of freedom (Satterthwaite 1946). A feature that varies less than
    independent rows would (a constant, a strict rotation) gets the null of independent rows: caution, and never a division by 0.
    """
    events = int(chunks[0].sum()) if len(chunks) else 0
    if len(chunks) < CHUNKS_MIN or events < CHUNK_EVENTS_MIN:
        return None
    used = reference > 0
    rest = int(reference.sum()) - events
    found = psis(chunks[:, used], (reference - chunks)[:, used])
    bins = max(int(used.sum()), 2)
    independent = expected_psi(bins, events, rest)
    mean, variance = float(found.mean()), float(found.var(ddof=1))
    inflation = mean / independent
    if inflation <= 1 or variance <= 0:
        return Null(1 / events + 1 / rest, bins - 1.0, events, rest, inflation, found.tolist())
    return Null(variance / (2 * mean), 2 * mean**2 / variance, events, rest, inflation, found.tolist())


def chunk_events(rows: int, wanted: int) -> int:
    """Events of a chunk: the window's, or fewer where the reference would not give `CHUNKS_MIN` chunks."""
    return min(wanted, rows // CHUNKS_MIN)


def chunk_starts(rows: int, events: int) -> Counts:
    """Where chunks of consecutive rows begin: all of them, or `CHUNKS_MAX` spread over the whole time."""
    chunks = rows // events if events else 0
    kept = np.unique(np.linspace(0, chunks - 1, min(chunks, CHUNKS_MAX)).astype(np.int64)) if chunks else np.zeros(0, np.int64)
    found: Counts = kept * events
    return found
