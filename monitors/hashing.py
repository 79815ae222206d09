"""64-bit hashes of strings, the same in every process: what samples by id, and what counts ids in bounded memory.

Eight bytes a step over all strings at once, mixed by the finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable
pseudorandom number generators", OOPSLA 2014), whose output passes for uniform. Not for secrets: trying texts finds the one.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Hashes = npt.NDArray[np.uint64]

_WORD = 8
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # SplitMix64's multipliers
_STEP = np.uint64(0x9E3779B97F4A7C15)  # and its increment
# What is kept of a word by how many bytes of it belong to the string.
_KEPT = np.array([(1 << 8 * n) - 1 for n in range(_WORD + 1)], dtype=np.uint64)


def hash_strings(strings: Any) -> Hashes:
    """The hash of each string of a pyarrow array or chunked array (string or large_string), uint64 (n,).

    A null has the hash of "". Equal strings have equal hashes, whatever the array's offset, chunks or type.

    >>> hash_strings(pa.array(["s1", "s2"])).tolist() == hash_strings(pa.array(["s0", "s1", "s2"])[1:]).tolist()
    True
    """
    if isinstance(strings, pa.ChunkedArray):
        parts = [hash_strings(chunk) for chunk in strings.chunks]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)
    starts, sizes, words = _layout(strings)
    out = sizes.astype(np.uint64) * _STEP
    shortest = int(sizes.min()) if len(sizes) else 0
    for at in range(0, int(sizes.max(initial=0)), _WORD):
        rows = slice(None) if shortest > at else np.flatnonzero(sizes > at)
        kept = _KEPT[np.minimum(sizes[rows] - at, _WORD)]
        out[rows] = _mixed(out[rows] ^ (words[starts[rows] + at] & kept))
    return _mixed(out)


def below(hashes: Hashes, share: float) -> npt.NDArray[np.bool_]:
    """Which of the hashes a sample of this share (0 to 1) takes, bool (n,); a smaller share takes some of the same."""
    if share >= 1.0:
        return np.ones(len(hashes), dtype=np.bool_)
    return hashes < np.uint64(share * 2.0**64)


def _layout(strings: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Hashes]:
    """Where each string begins, its bytes, and the eight bytes from every position of the data on."""
    n, width = len(strings), np.int64 if pa.types.is_large_string(strings.type) else np.int32
    if strings.type not in (pa.string(), pa.large_string()):
        raise TypeError(f"strings are hashed, not {strings.type}")
    _, bounds, data = strings.buffers()
    if n == 0 or bounds is None:
        return np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64), np.zeros(1, dtype=np.uint64)
    ends = np.frombuffer(bounds, dtype=width, count=strings.offset + n + 1)[strings.offset :].astype(np.int64)
    first, last = int(ends[0]), int(ends[-1])
    raw = (b"" if data is None else bytes(memoryview(data)[first:last])) + bytes(_WORD)
    words = np.ndarray(shape=(len(raw) - _WORD + 1,), dtype="<u8", buffer=raw, strides=(1,))
    sizes = np.diff(ends)
    if strings.null_count:
        sizes = np.where(np.asarray(strings.is_valid()), sizes, 0)
    return ends[:-1] - first, sizes, words


def _mixed(x: Hashes) -> Hashes:
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    mixed: Hashes = x ^ (x >> np.uint64(31))
    return mixed
