"""Served vectors survive Arrow bit for bit, and each record stays under its bound."""

import numpy as np
import pytest

from featurestore.compute import Served
from streams.vectors import VectorEncoder, VectorRows, decode_vectors, halves
from tests.featurestore.world import PLAN


def rows(n: int, id_characters: int = 5) -> VectorRows:
    dice = np.random.default_rng(1)
    vectors = dice.normal(size=(n, len(PLAN.schema)))
    vectors[dice.random(vectors.shape) < 0.3] = np.nan
    flags = dice.random((4, n)) < 0.5
    served = Served(vectors, dice.random((n, len(PLAN.reads))), *flags)
    return VectorRows([f"sales-0-{i}" for i in range(n)], ["é" * id_characters] * n, np.arange(n, dtype=np.float64), served)


@pytest.mark.parametrize(("n", "id_characters"), [(1, 5), (3_000, 5), (3_000, 1_024)])
def test_records_are_bounded_and_hold_every_row_in_order(n: int, id_characters: int) -> None:
    given = rows(n, id_characters)
    values = list(VectorEncoder(PLAN).encode(given))
    assert max(map(len, values)) < 520_000
    batches = [decode_vectors(value) for value in values]
    assert [id for batch in batches for id in batch["prediction_id"].to_pylist()] == given.prediction_ids
    vectors = np.concatenate([batch["vector"].flatten().to_numpy().reshape(len(batch), -1) for batch in batches])
    assert vectors.tobytes() == given.served.vectors.tobytes()
    assert batches[0].schema.metadata[b"tidegate.fingerprint"] == PLAN.schema.fingerprint.encode()
    assert [late for batch in batches for late in batch["late"].to_pylist()] == given.served.late.tolist()


@pytest.mark.parametrize("n", [2, 7, 300])
def test_halves_hold_every_row_in_order(n: int) -> None:
    given = rows(n)
    (value,) = VectorEncoder(PLAN).encode(given)
    parts = [value]
    while any(halves(part) for part in parts):
        parts = [half for part in parts for half in halves(part) or [part]]
    assert len(parts) == n
    assert max(map(len, parts)) < len(value)
    batches = [decode_vectors(part) for part in parts]
    assert [id for batch in batches for id in batch["prediction_id"].to_pylist()] == given.prediction_ids
    assert b"".join(batch["vector"].flatten().to_numpy().tobytes() for batch in batches) == given.served.vectors.tobytes()
    assert all(batch.schema.equals(decode_vectors(value).schema, check_metadata=True) for batch in batches)
