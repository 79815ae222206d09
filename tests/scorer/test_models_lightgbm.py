"""What is LightGBM's own: encoding of categories and missing values, names it refuses, texts that are not ours."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.schema import FeatureColumn, FeatureKind, FeatureSchema
from scorer.errors import ModelFileError, SchemaMismatchError
from scorer.models.encoding import Encoder, Encoding, Vocabulary, collisions, fit_encoding
from scorer.models.lightgbm import LightGBMModel, column_names
from scorer.training import TrainedModel
from tests.scorer.rows import SCHEMA, SHOPS, code, rows

TWO_CATEGORIES = FeatureSchema(tuple(FeatureColumn(name, FeatureKind.CATEGORY) for name in ("a", "b")))
CODES = st.integers(0, 2**32 - 1)


def test_a_vocabulary_keeps_sorted_codes_and_the_texts_that_are_known() -> None:
    vocabulary = fit_encoding(rows().matrix, SCHEMA, {"shop": SHOPS[:2]}).vocabularies["shop"]
    assert vocabulary.codes == sorted(int(code(text)) for text in SHOPS)
    assert {text for text in vocabulary.texts if text} == {"north", "south"}


@given(known=st.tuples(st.sets(CODES), st.sets(CODES)), asked=st.lists(st.tuples(CODES, CODES), min_size=1))
def test_codes_become_their_positions_and_others_missing(known: tuple[set[int], set[int]], asked: list[tuple[int, int]]) -> None:
    tables = [sorted(codes) for codes in known]
    encoding = Encoding({name: Vocabulary(table, [None] * len(table)) for name, table in zip("ab", tables, strict=True)})
    encoded = Encoder(encoding, TWO_CATEGORIES).encode(np.array(asked, dtype=np.float64))
    expected = [[table.index(c) if c in table else np.nan for table, c in zip(tables, row, strict=True)] for row in asked]
    np.testing.assert_array_equal(encoded, np.array(expected, dtype=np.float64))


def test_a_number_never_missing_in_training_is_filled_with_its_median() -> None:
    """LightGBM would read NaN as 0 there, whatever 0 means to the feature."""
    encoding = fit_encoding(rows().matrix, SCHEMA)
    assert set(encoding.fills) == {"amount", "count"}
    encoded = Encoder(encoding, SCHEMA).encode(np.array([[np.nan, code("north"), np.nan, np.nan]]))
    assert encoded[0, 0] == encoding.fills["amount"]
    assert np.isnan(encoded[0, 2])


def test_rows_that_need_no_encoding_are_not_copied() -> None:
    numbers = FeatureSchema((SCHEMA.columns[0], SCHEMA.columns[3]))
    matrix = np.ones((5, 2))
    assert Encoder(fit_encoding(matrix, numbers), numbers).encode(matrix) is matrix


def test_texts_with_one_code_are_reported() -> None:
    assert collisions({"shop": ["plumless", "north", "buckeroo"]}) == [
        "column 'shop': 'buckeroo', 'plumless' have the same CRC-32 and count as one category; change one of the texts"
    ]
    assert collisions({"shop": SHOPS}) == []


def test_names_that_lightgbm_refuses_are_made_plain_and_distinct() -> None:
    names = ["mean(a, 1h)", "mean(a: 1h)", "plain"]
    schema = FeatureSchema(tuple(FeatureColumn(name, FeatureKind.NUMBER) for name in names))
    assert column_names(schema) == ["mean_a_1h__0", "mean_a_1h__1", "plain"]


def test_a_text_of_other_columns_is_refused_naming_one(trained: TrainedModel) -> None:
    text = trained.model.text.replace("feature_names=amount", "feature_names=price")
    with pytest.raises(SchemaMismatchError, match="'price' in column 0, where the schema has 'amount'"):
        LightGBMModel(text, SCHEMA, "binary", trained.model.encoding)


def test_a_text_of_another_task_is_refused(trained: TrainedModel) -> None:
    with pytest.raises(ModelFileError, match="objective binary"):
        LightGBMModel(trained.model.text, SCHEMA, "regression", trained.model.encoding)


def test_a_text_that_lightgbm_cannot_read_is_refused() -> None:
    with pytest.raises(ModelFileError, match=re.escape("fetch the version again")):
        LightGBMModel("no model", SCHEMA, "binary", Encoding())


def test_more_threads_score_the_same_bits(trained: TrainedModel) -> None:
    matrix = rows(500, seed=4).matrix
    two = LightGBMModel(trained.model.text, SCHEMA, "binary", trained.model.encoding, threads=2)
    assert two.score(matrix).tobytes() == trained.model.score(matrix).tobytes()
