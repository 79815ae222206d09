"""The compiled kernel: the one place where features are computed, for the worker, for training and in the tests.

Sequential over events in the order given, arrays in and out, no Python objects. The layout's arrays (see featurestore.layout)
come with every call, so that one compiled function, cached on disk, serves every group.
"""

import math

import numba as nb
import numpy as np

from featurestore.definitions import Aggregate

AGGREGATES = {name: code for code, name in enumerate(Aggregate)}
_COUNT, _SUM, _MEAN, _STD, _MIN, _MAX, _LAST, _RATE, _SECONDS_SINCE_LAST = (AGGREGATES[a] for a in Aggregate)
_NEWEST, _HEADS = 1, 2  # featurestore.layout's header, as literals for the compiler

# Decay (docs/decisions.md, "Decay reads tiles"). The weight of a tile k quarters of a half-life ago, from literals and halving:
# bit-equal on every machine, which a library's pow() is not. They stand here because Numba's cache follows this file alone.
HALF_LIVES, HALF_LIFE_TILES = 8, 4
_WEIGHTS = np.array(
    [
        quarter * 0.5**whole
        for whole in range(HALF_LIVES + 1)
        for quarter in (1.0, 0.8408964152537145, 0.7071067811865476, 0.5946035575013605)
    ]
)


@nb.njit(cache=True)
def _follow(cells, at, addends, other, ops, leaders):  # type: ignore[no-untyped-def]
    """Takes over each leader with its followers where they are the larger tuple: one event's values, never a mixture.

    The cell begins at cells[at], what is added at addends[other]: slices given to a function that is not inlined would be
    counted references, which cost more than all the rest.
    """
    for leader in leaders:
        end = leader + 1
        while end < len(ops) and ops[end] == 4:
            end += 1
        for s in range(leader, end):
            if addends[other + s] != cells[at + s]:
                if addends[other + s] > cells[at + s]:
                    cells[at + leader : at + end] = addends[other + leader : other + end]
                break


@nb.njit(cache=True, inline="always")
def _combine(cell, addend, ops, leaders):  # type: ignore[no-untyped-def]
    """Combines slot by slot, leaders aside. `leaders` is None where there are none: compiled apart, this loop is the hottest."""
    for s in range(len(ops)):
        if ops[s] == 0:
            cell[s] += addend[s]
        elif ops[s] == 1:
            cell[s] = min(cell[s], addend[s])
        elif leaders is None or ops[s] == 2:
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
def _apply(state, time, contribution, tile_seconds, rings, starts, ops, leaders):  # type: ignore[no-untyped-def]
    """Adds one event to a state; returns how many windows have dropped its tile, so that it does not count in them."""
    width, dropped = len(ops), 0
    state[_NEWEST] = max(state[_NEWEST], time)
    for w in range(len(rings)):
        tile = math.floor(time / tile_seconds[w])
        if _open_tile(state, w, tile, rings[w], starts[w], ops):
            at = starts[w] + int(tile) % rings[w] * width
            _combine(state[at : at + width], contribution, ops, leaders)
            if leaders is not None:
                _follow(state, at, contribution, 0, ops, leaders)
        else:
            dropped += 1
    return dropped


@nb.njit(cache=True)
def _weighted(state, last, oldest, newest, ring, start, ops, total):  # type: ignore[no-untyped-def]
    """Adds what is added in the tiles from `oldest` to `newest`, each weighted by its age at the tile `last`."""
    width = len(ops)
    for tile in range(oldest, newest + 1):
        at, weight = start + tile % ring * width, _WEIGHTS[last - tile]
        for s in range(width):
            if ops[s] == 0:
                total[s] += weight * state[at + s]


@nb.njit(cache=True)
def _window(state, w, time, tile_seconds, span, ring, decays, start, ops, leaders, total):  # type: ignore[no-untyped-def]
    """Totals the tiles of window w at `time` into `total`; True if tiles that belong to it are no longer kept.

    If it decays, what is added is weighted by its tile's age; the rest means nothing.
    """
    width = len(ops)
    _clear(total, ops)
    head = state[_HEADS + w]
    if head == -math.inf:
        return False
    last = math.floor(time / tile_seconds)
    first = last - span
    oldest, newest = int(max(first, head - ring + 1)), int(min(last, head))
    if decays:
        _weighted(state, int(last), oldest, newest, ring, start, ops, total)
    else:
        for tile in range(oldest, newest + 1):
            at = start + tile % ring * width
            _combine(total, state[at : at + width], ops, leaders)
            if leaders is not None:
                _follow(total, 0, state, at, ops, leaders)
    return first <= head - ring


@nb.njit(cache=True)
def _aggregate(kind, total, count_slot, sum_slot, square_slot, mid, time, length):  # type: ignore[no-untyped-def]
    """One aggregate of a window's totals at `time`; sum_slot is the slot of the value for those that are no sums."""
    count = total[count_slot]
    if kind == _COUNT:
        return count
    if kind == _SUM:
        return count * mid + total[sum_slot]
    if kind == _RATE:
        return (count * mid + total[sum_slot]) / length
    if count == 0.0:
        return math.nan
    if kind == _MEAN:
        return mid + total[sum_slot] / count
    if kind == _STD:
        if count == 1.0:  # the squares' grid would show as a deviation of up to half-range * 2^-15
            return 0.0
        mean = total[sum_slot] / count
        return math.sqrt(max(0.0, total[square_slot] / count - mean * mean))
    if kind == _SECONDS_SINCE_LAST:
        return max(0.0, time - total[sum_slot])
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
    decays,
    starts,
    ops,
    leaders,
    columns,
    mids,
    out,
    ages,
    late,
):
    """One pass over events in order: each reads the states of its predecessors, then adds itself.

    states float64 (entities, length), changed in place; readers and writers int64 (n,), the row each event reads or adds to, or
    -1; times float64 (n,), seconds; contributions float64 (n, slots); columns int64 (c, 5): window, aggregate, slots of count,
    value and square; mids float64 (c,); leaders int64 or None, and the other arrays, as in featurestore.layout.Group. Fills out
    float64 (n, c), ages float64 (n,) (seconds since the entity's newest event, NaN if never seen) and sets late bool (n,) where
    a window's tail is no longer kept.
    """
    total = np.empty(len(ops))
    for i in range(len(times)):
        if including_self and writers[i] >= 0:
            _apply(states[writers[i]], times[i], contributions[i], tile_seconds, rings, starts, ops, leaders)
        if readers[i] >= 0:
            state = states[readers[i]]
            if state[_NEWEST] > -math.inf:
                ages[i] = max(0.0, times[i] - state[_NEWEST])
            window, length = -1, 0.0
            for c in range(len(columns)):
                w = columns[c, 0]
                if w != window:  # columns come sorted by window
                    window = w
                    length = tile_seconds[w] * spans[w]
                    if _window(
                        state, w, times[i], tile_seconds[w], spans[w], rings[w], decays[w], starts[w], ops, leaders, total
                    ):
                        late[i] = True
                out[i, c] = _aggregate(
                    columns[c, 1], total, columns[c, 2], columns[c, 3], columns[c, 4], mids[c], times[i], length
                )
        if not including_self and writers[i] >= 0:
            _apply(states[writers[i]], times[i], contributions[i], tile_seconds, rings, starts, ops, leaders)


@nb.njit(cache=True)
def accumulate(states, writers, times, contributions, tile_seconds, rings, starts, ops, leaders):  # type: ignore[no-untyped-def]
    """Adds each event to the state in row writers[i] (-1: to none). Into empty states this makes a chunk's deltas.

    Returns how often an event found its tile dropped, counted by window.
    """
    dropped = 0
    for i in range(len(times)):
        if writers[i] >= 0:
            dropped += _apply(states[writers[i]], times[i], contributions[i], tile_seconds, rings, starts, ops, leaders)
    return dropped


@nb.njit(cache=True)
def merge(state, delta, rings, starts, ops, leaders):  # type: ignore[no-untyped-def]
    """Adds the state `delta` to `state` in place. Commutative and associative up to the last bit.

    Returns how many events were in tiles that `state` has dropped, counted by window.
    """
    width, dropped = len(ops), 0.0
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
                _combine(state[source : source + width], delta[source : source + width], ops, leaders)
                if leaders is not None:
                    _follow(state, source, delta, source, ops, leaders)
            else:
                dropped += delta[source]
    return dropped


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


__all__ = ["AGGREGATES", "HALF_LIFE_TILES", "HALF_LIVES", "accumulate", "merge", "pack", "serve"]
