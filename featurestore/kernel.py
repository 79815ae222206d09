"""The compiled kernel: the one place where features are computed, for the worker, for training and in the tests.

Sequential over events in the order given, arrays in and out, no Python objects. The layout's arrays (see featurestore.layout)
come with every call, so that one compiled function, cached on disk, serves every group.
"""

import math

import numba as nb
import numpy as np

from featurestore.definitions import Aggregate

AGGREGATES = {name: code for code, name in enumerate(Aggregate)}
_COUNT, _SUM, _MEAN, _STD, _MIN, _MAX = (AGGREGATES[a] for a in Aggregate)
_NEWEST, _HEADS = 1, 2  # featurestore.layout's header, as literals for the compiler


@nb.njit(cache=True, inline="always")
def _combine(cell, addend, ops):  # type: ignore[no-untyped-def]
    for s in range(len(ops)):
        if ops[s] == 0:
            cell[s] += addend[s]
        elif ops[s] == 1:
            cell[s] = min(cell[s], addend[s])
        else:
            cell[s] = max(cell[s], addend[s])


@nb.njit(cache=True, inline="always")
def _clear(cell, ops):  # type: ignore[no-untyped-def]
    for s in range(len(ops)):
        cell[s] = 0.0 if ops[s] == 0 else (math.inf if ops[s] == 1 else -math.inf)


@nb.njit(cache=True, inline="always")
def _open_tile(state, w, tile, ring, start, ops):  # type: ignore[no-untyped-def]
    """Moves the window's head to `tile` if that is newer, clearing the tiles it passes; False if the ring has dropped `tile`."""
    head = state[_HEADS + w]
    if tile > head:
        width = len(ops)
        fresh = int(min(float(ring), tile - head)) if head > -math.inf else 0
        for k in range(fresh):
            at = start + (int(tile) - k) % ring * width
            _clear(state[at : at + width], ops)
        state[_HEADS + w] = tile
        return True
    return tile > head - ring


@nb.njit(cache=True)
def _apply(state, time, contribution, tile_seconds, rings, starts, ops):  # type: ignore[no-untyped-def]
    """Adds one event to a state."""
    width = len(ops)
    state[_NEWEST] = max(state[_NEWEST], time)
    for w in range(len(rings)):
        tile = math.floor(time / tile_seconds[w])
        if _open_tile(state, w, tile, rings[w], starts[w], ops):
            at = starts[w] + int(tile) % rings[w] * width
            _combine(state[at : at + width], contribution, ops)


@nb.njit(cache=True)
def _window(state, w, time, tile_seconds, span, ring, start, ops, total):  # type: ignore[no-untyped-def]
    """Totals the tiles of window w at `time` into `total`; True if tiles that belong to it are no longer kept."""
    width = len(ops)
    _clear(total, ops)
    head = state[_HEADS + w]
    if head == -math.inf:
        return False
    last = math.floor(time / tile_seconds)
    first = last - span
    for tile in range(int(max(first, head - ring + 1)), int(min(last, head)) + 1):
        at = start + tile % ring * width
        _combine(total, state[at : at + width], ops)
    return first <= head - ring


@nb.njit(cache=True)
def _aggregate(kind, total, count_slot, sum_slot, square_slot, mid):  # type: ignore[no-untyped-def]
    """One aggregate of a window's totals; sum_slot is the slot of the minimum or maximum for those."""
    count = total[count_slot]
    if kind == _COUNT:
        return count
    if kind == _SUM:
        return count * mid + total[sum_slot]
    if count == 0.0:
        return math.nan
    if kind == _MEAN:
        return mid + total[sum_slot] / count
    if kind == _STD:
        if count == 1.0:  # the squares' grid would show as a deviation of up to half-range * 2^-15
            return 0.0
        mean = total[sum_slot] / count
        return math.sqrt(max(0.0, total[square_slot] / count - mean * mean))
    return total[sum_slot]


@nb.njit(cache=True)
def serve(  # type: ignore[no-untyped-def]
    states,
    readers,
    writers,
    times,
    contributions,
    including_self,
    tile_seconds,
    spans,
    rings,
    starts,
    ops,
    columns,
    mids,
    out,
    ages,
    late,
):
    """One pass over events in order: each reads the states of its predecessors, then adds itself.

    states float64 (entities, length), changed in place; readers and writers int64 (n,), the row each event reads or adds to, or
    -1; times float64 (n,), seconds; contributions float64 (n, slots); columns int64 (c, 5): window, aggregate, slots of count,
    value and square; mids float64 (c,). Fills out float64 (n, c), ages float64 (n,) (seconds since the entity's newest event,
    NaN if never seen) and sets late bool (n,) where a window's tail is no longer kept.
    """
    total = np.empty(len(ops))
    for i in range(len(times)):
        if including_self and writers[i] >= 0:
            _apply(states[writers[i]], times[i], contributions[i], tile_seconds, rings, starts, ops)
        if readers[i] >= 0:
            state = states[readers[i]]
            if state[_NEWEST] > -math.inf:
                ages[i] = max(0.0, times[i] - state[_NEWEST])
            window = -1
            for c in range(len(columns)):
                w = columns[c, 0]
                if w != window:  # columns come sorted by window
                    window = w
                    if _window(state, w, times[i], tile_seconds[w], spans[w], rings[w], starts[w], ops, total):
                        late[i] = True
                out[i, c] = _aggregate(columns[c, 1], total, columns[c, 2], columns[c, 3], columns[c, 4], mids[c])
        if not including_self and writers[i] >= 0:
            _apply(states[writers[i]], times[i], contributions[i], tile_seconds, rings, starts, ops)


@nb.njit(cache=True)
def accumulate(states, writers, times, contributions, tile_seconds, rings, starts, ops):  # type: ignore[no-untyped-def]
    """Adds each event to the state in row writers[i] (-1: to none). Into empty states this makes a chunk's deltas."""
    for i in range(len(times)):
        if writers[i] >= 0:
            _apply(states[writers[i]], times[i], contributions[i], tile_seconds, rings, starts, ops)


@nb.njit(cache=True)
def merge(state, delta, rings, starts, ops):  # type: ignore[no-untyped-def]
    """Adds the state `delta` to `state` in place. Commutative and associative up to the last bit."""
    width = len(ops)
    state[_NEWEST] = max(state[_NEWEST], delta[_NEWEST])
    for w in range(len(rings)):
        head = delta[_HEADS + w]
        if head == -math.inf:
            continue
        for k in range(rings[w] - 1, -1, -1):
            tile = head - k
            source = starts[w] + int(tile) % rings[w] * width
            if delta[source] == 0.0:  # slot 0 counts events: an empty tile
                continue
            if _open_tile(state, w, tile, rings[w], starts[w], ops):
                _combine(state[source : source + width], delta[source : source + width], ops)


@nb.njit(cache=True)
def pack(deltas, rings, starts, ops, out, ends):  # type: ignore[no-untyped-def]
    """Writes each delta's touched tiles one after the other: newest, then for each window the tile count and (tile, slots).

    The oldest tile comes first. Fills out float64 and ends int64 (deltas,), the position after each delta; returns the doubles
    written. out must hold len(deltas) * (1 + windows + tiles * (1 + slots)) doubles.
    """
    width = len(ops)
    at = 0
    for d in range(len(deltas)):
        delta = deltas[d]
        out[at] = delta[_NEWEST]
        at += 1
        for w in range(len(rings)):
            head = delta[_HEADS + w]
            length = at
            out[length] = 0.0
            at += 1
            if head > -math.inf:
                for k in range(rings[w] - 1, -1, -1):
                    tile = head - k
                    source = starts[w] + int(tile) % rings[w] * width
                    if delta[source] != 0.0:
                        out[length] += 1.0
                        out[at] = tile
                        out[at + 1 : at + 1 + width] = delta[source : source + width]
                        at += 1 + width
        ends[d] = at
    return at


__all__ = ["AGGREGATES", "accumulate", "merge", "pack", "serve"]
