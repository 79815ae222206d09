"""From served vectors to what LightGBM reads: categories as small whole numbers, and a value for the unexpectedly missing.

The served vector holds a category as the CRC-32 of its text; LightGBM wants numbers from 0. The vocabulary belongs to the model,
so that training and every worker encode alike. Which texts a stream brings is left to the caller.
"""

import binascii
from collections.abc import Collection, Mapping

import msgspec
import numpy as np

from featurestore.schema import FeatureKind, FeatureSchema
from scorer.models.port import Matrix

# Codes are below 2^32, so that column * 2^33 + code orders all columns' codes in one array, exact in a double.
_STRIDE = 2.0**33


class Vocabulary(msgspec.Struct, frozen=True):
    """A category column's codes as training saw them, ascending: a code's position is what the model reads.

    ``texts`` holds each code's text where it was known (several texts of one code are joined by " | "), else null.
    """

    codes: list[int]
    texts: list[str | None]


class Encoding(msgspec.Struct, frozen=True):
    """How one model reads its columns.

    ``fills`` has a value for every number column that never missed one in training: LightGBM reads NaN there as 0, which may be
    a wild value, so the training median is given instead.
    """

    vocabularies: dict[str, Vocabulary] = {}
    fills: dict[str, float] = {}


def fit_encoding(matrix: Matrix, schema: FeatureSchema, texts: Mapping[str, Collection[str]] | None = None) -> Encoding:
    """The encoding of training rows, shape (n, features); ``texts`` are the texts that each category column is known to hold."""
    texts = texts or {}
    vocabularies, fills = {}, {}
    for position, column in enumerate(schema.columns):
        values = matrix[:, position]
        if column.kind is FeatureKind.CATEGORY:
            vocabularies[column.name] = _vocabulary(values, texts.get(column.name, ()))
        elif len(values) and not np.isnan(values).any():
            fills[column.name] = float(np.median(values))
    return Encoding(vocabularies, fills)


def _vocabulary(values: Matrix, texts: Collection[str]) -> Vocabulary:
    codes = [int(code) for code in np.unique(values[~np.isnan(values)])]
    known = texts_by_code(texts)
    return Vocabulary(codes, [" | ".join(known[code]) if code in known else None for code in codes])


def texts_by_code(texts: Collection[str]) -> dict[int, list[str]]:
    """The texts of each code, sorted."""
    found: dict[int, list[str]] = {}
    for text in sorted(set(texts)):
        found.setdefault(binascii.crc32(text.encode()), []).append(text)
    return found


def collisions(texts: Mapping[str, Collection[str]]) -> list[str]:
    """A warning for every group of different texts of a column that have one code, and are therefore one category to a model.

    >>> collisions({"word": ["plumless", "buckeroo"]})
    ["column 'word': 'buckeroo', 'plumless' have the same CRC-32 and count as one category; change one of the texts"]
    """
    return [
        f"column {name!r}: {', '.join(map(repr, group))} have the same CRC-32 and count as one category; change one of the texts"
        for name, known in texts.items()
        for group in texts_by_code(known).values()
        if len(group) > 1
    ]


class Encoder:
    """An encoding made ready for one schema: one binary search for all category columns of all rows."""

    def __init__(self, encoding: Encoding, schema: FeatureSchema) -> None:
        self._categories = np.array([i for i in schema.categories if schema.names[i] in encoding.vocabularies], dtype=np.intp)
        tables = [np.array(encoding.vocabularies[schema.names[i]].codes, dtype=np.float64) for i in self._categories]
        sizes = [len(table) for table in tables]
        self._strides = np.arange(len(tables)) * _STRIDE
        self._starts = np.cumsum([0, *sizes])[:-1].astype(np.float64)
        joined = [table + stride for table, stride in zip(tables, self._strides, strict=True)]
        self._codes = np.concatenate([*joined, [np.inf]])  # the end is found by NaN and by codes past the last
        self._filled = np.array([i for i, name in enumerate(schema.names) if name in encoding.fills], dtype=np.intp)
        self._fills = np.array([encoding.fills[schema.names[i]] for i in self._filled])

    def encode(self, matrix: Matrix) -> Matrix:
        """The rows as the model reads them, C-contiguous; the very matrix where nothing had to change."""
        values = matrix[:, self._filled]
        missing = np.isnan(values)
        fill = len(self._filled) > 0 and bool(missing.any())
        if not fill and not len(self._categories):
            return np.ascontiguousarray(matrix)
        encoded = matrix.copy(order="C")
        if len(self._categories):
            encoded[:, self._categories] = self._dense(matrix[:, self._categories])
        if fill:
            encoded[:, self._filled] = np.where(missing, self._fills, values)
        return encoded

    def _dense(self, codes: Matrix) -> Matrix:
        keys = codes + self._strides
        places = np.minimum(self._codes.searchsorted(keys), len(self._codes) - 1)
        known = self._codes[places] == keys
        dense: Matrix = np.where(known, places - self._starts, np.nan)
        return dense
