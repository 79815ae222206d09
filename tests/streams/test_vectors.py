"""Served vectors survive Arrow bit for bit, and each record stays under its bound."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from featurestore.compute import Served
from featurestore.definitions import Raw
from featurestore.events import Floats
from featurestore.plan import compile_plan
from streams.vectors import Scored, VectorEncoder, VectorRows, decode_vectors, halves
from tests.featurestore.world import PLAN, Sale


def rows(n: int, id_characters: int = 5) -> VectorRows:
    dice = np.random.default_rng(1)
    vectors = dice.normal(size=(n, len(PLAN.schema)))
    vectors[dice.random(vectors.shape) < 0.3] = np.nan
    flags = dice.random((4, n)) < 0.5
    served = Served(vectors, dice.random((n, len(PLAN.reads))), *flags)
    scores = np.where(dice.random(n) < 0.1, np.nan, dice.random(n))
    return VectorRows(
        prediction_ids=[f"sales-0-{i}" for i in range(n)],
        event_ids=["é" * id_characters] * n,
        times=np.arange(n, dtype=np.float64),
        served=served,
        partitions=np.zeros(n, dtype=np.int64),
        offsets=np.arange(n, dtype=np.int64),
        scored=Scored(7, scores, np.where(np.isnan(scores), np.nan, scores >= 0.5), np.maximum(scores, 1 - scores)),
    )


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


def test_a_pipeline_without_groups_has_rows_without_ages() -> None:
    plan = compile_plan("plain", Sale, [Raw("amount")], 1)
    flags = np.zeros((4, 3), dtype=np.bool_)
    served = Served(np.arange(3.0).reshape(3, 1), np.zeros((3, 0)), *flags)
    given = VectorRows(["a", "b", "c"], ["a", "b", "c"], np.arange(3.0), served, np.arange(3), np.arange(3))
    (batch,) = map(decode_vectors, VectorEncoder(plan).encode(given))
    assert batch["ages"].to_pylist() == [[], [], []]
    assert batch["vector"].flatten().to_pylist() == [0.0, 1.0, 2.0]


def column(batch: pa.RecordBatch, name: str) -> Floats:
    values: Floats = batch[name].to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def test_the_models_word_stands_beside_the_vector_and_is_null_where_there_is_none() -> None:
    given = rows(300)
    (batch,) = map(decode_vectors, VectorEncoder(PLAN).encode(given))
    assert given.scored is not None
    np.testing.assert_array_equal(column(batch, "score"), given.scored.scores)
    np.testing.assert_array_equal(column(batch, "decision"), given.scored.decisions)
    np.testing.assert_array_equal(column(batch, "confidence"), given.scored.confidences)
    assert batch["score"].null_count == int(np.isnan(given.scored.scores).sum()) > 0
    assert set(batch["model_version"].to_pylist()) == {7}
    assert batch["source_offset"].to_pylist() == list(range(300))
    (unscored,) = map(decode_vectors, VectorEncoder(PLAN).encode(replace(given, scored=None)))
    assert all(unscored[name].null_count == 300 for name in ("model_version", "score", "decision", "confidence"))


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
