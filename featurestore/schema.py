"""The names, order and types of the features in a served vector: what a model is checked against."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import msgspec


class FeatureKind(StrEnum):
    """How a model reads a column: a number, or a category's code (the CRC-32 of its text)."""

    NUMBER = "number"
    CATEGORY = "category"


@dataclass(frozen=True, slots=True)
class FeatureColumn:
    """One column of the served vector."""

    name: str
    kind: FeatureKind


@dataclass(frozen=True, slots=True)
class FeatureSchema:
    """All columns, in the order of the vector."""

    columns: tuple[FeatureColumn, ...]

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def categories(self) -> list[int]:
        """Positions of the category columns."""
        return [i for i, column in enumerate(self.columns) if column.kind is FeatureKind.CATEGORY]

    @property
    def fingerprint(self) -> str:
        """16 hex digits that change with any name, order or type."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]

    def __len__(self) -> int:
        return len(self.columns)


def schema_to_json(schema: FeatureSchema) -> bytes:
    return msgspec.json.encode(schema)


def schema_from_json(data: bytes) -> FeatureSchema:
    """The schema that ``schema_to_json`` wrote; msgspec.DecodeError for anything else."""
    return msgspec.json.decode(data, type=FeatureSchema)
