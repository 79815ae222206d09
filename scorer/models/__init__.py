"""What scores: one port, and an adapter for each library. Libraries are imported when a model of theirs is loaded."""

from collections.abc import Mapping
from pathlib import Path

from featurestore.schema import FeatureSchema
from scorer.errors import ModelFileError
from scorer.models.port import Labels, Matrix, Model, OnlineModel, Scores

__all__ = ["Labels", "Matrix", "Model", "OnlineModel", "Scores", "load_model"]


def load_model(
    kind: str,
    files: Mapping[str, bytes],
    schema: FeatureSchema,
    *,
    threads: int = 1,
    key: bytes | None = None,
    answers: Path | None = None,
) -> Model:
    """The model that ``Model.files`` wrote, of one of the kinds "lightgbm" and "river".

    ``threads`` is how many a score may use; ``key`` verifies a River checkpoint's signature; ``answers`` is for a process that
    only scores, see LightGBMModel. SchemaMismatchError where the model was not trained on exactly ``schema``; ModelFileError
    where the files cannot be read; LibraryMissingError where LightGBM is needed and cannot be loaded.
    """
    if kind == "lightgbm":
        from scorer.models.lightgbm import LightGBMModel

        return LightGBMModel.load(files, schema, threads=threads, answers=answers)
    if kind == "river":
        from scorer.models.river import RiverModel

        return RiverModel.load(files, schema, key=key)
    raise ModelFileError(f"this Tidegate knows no model of kind {kind!r}, only lightgbm and river; upgrade the worker")
