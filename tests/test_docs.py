"""What the docs promise of records holds for live ones, and the schemas committed are the code's."""

import io
import json
import os
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import jsonschema
import msgspec
import pytest
from rich.console import Console

from scorer.deployments import Deployment
from streams.audit import Act
from streams.cli.check import check_pipeline
from streams.drift.table import print_window
from streams.jobs import JobRun
from streams.loading import load_pipeline
from streams.monitor.records import (
    Check,
    DriftRecord,
    FeatureDrift,
    FeatureSkew,
    Feed,
    SkewReport,
    WindowSummary,
    encode_drift,
)
from streams.records import REASONS, Prediction, PredictionPart, PredictionRest, json_schemas
from tests.streams.drift_world import example, log
from tests.streams.records import chunk, event_chunk
from tests.streams.test_flow import World, sales, serving

DOCS = Path(__file__).resolve().parents[1] / "docs"


def schema(name: str) -> dict[str, object]:
    loaded: dict[str, object] = json.loads((DOCS / "schemas" / f"{name}.json").read_text())
    return loaded


@pytest.mark.parametrize("name", ["predictions", "dead-letters", "deployments", "audit", "jobs", "drift"])
def test_committed_schemas_are_the_codes(name: str) -> None:
    others = {"deployments": Deployment, "audit": Act, "jobs": JobRun, "drift": DriftRecord}
    assert schema(name) == (json_schemas() | {kind: msgspec.json.schema(type) for kind, type in others.items()})[name]


def test_live_records_keep_their_schemas() -> None:
    world = World(serving())
    world.run(event_chunk(sales(20)), chunk([b"broken"], first=20))
    for name in ("predictions", "dead-letters"):
        values = world.publisher.values(f"world.{name}")
        assert values
        for value in values:
            jsonschema.validate(json.loads(value), schema(name))


def test_the_encoded_parts_make_a_whole_prediction() -> None:
    """Predictions are encoded in two parts, what a chunk has in common and what it has not."""
    fields = [*PredictionPart.__struct_fields__, *PredictionRest.__struct_fields__]
    assert sorted(fields) == sorted(Prediction.__struct_fields__)
    types = msgspec.structs.fields(PredictionPart) + msgspec.structs.fields(PredictionRest)
    assert {f.name: f.type for f in types} == {f.name: f.type for f in msgspec.structs.fields(Prediction)}


def test_every_reason_is_described() -> None:
    text = (DOCS / "topics.md").read_text()
    assert all(f"| `{reason}` |" in text for reason in REASONS)


def test_every_field_of_a_prediction_is_described() -> None:
    text = (DOCS / "topics.md").read_text()
    definition = next(iter(schema("predictions")["$defs"].values()))  # type: ignore[attr-defined]
    assert all(f"`{name}`" in text for name in definition["properties"])


def test_every_field_of_a_drift_record_is_described() -> None:
    section = (DOCS / "topics.md").read_text().split("## `<pipeline>.drift`")[1].split("\n## ")[0]
    kinds = dict(zip(("feature", "window", "skew"), section.split("\n`kind` `")[1:], strict=True))
    parts = {"feature": [FeatureDrift], "window": [WindowSummary, Check, Feed], "skew": [SkewReport, FeatureSkew]}
    for kind, structs in parts.items():
        for struct in structs:
            names = [field.name for field in fields(struct)] if is_dataclass(struct) else struct.__struct_fields__
            assert [name for name in names if f"`{name}`" not in kinds[kind]] == [], struct


def test_drift_records_keep_their_schema() -> None:
    latest, skew = log().latest, log().skew
    nothing = dict.fromkeys(("psi", "psi_excess", "p", "q", "effective_n", "unseen_ratio", "alarm_since"))
    unknown = msgspec.structs.replace(latest.features[0], state="unknown", **nothing)
    assert skew is not None
    records: list[DriftRecord] = [*latest.features, latest.summary, unknown, skew]
    validator = jsonschema.Draft202012Validator(schema("drift"))
    for record in records:
        validator.validate(json.loads(encode_drift(record)))


def test_the_example_of_a_drift_table_is_the_codes() -> None:
    out = io.StringIO()
    print_window(Console(file=out, width=100, highlight=False), example().latest, example().skew)
    printed = "\n".join(line.rstrip() for line in out.getvalue().splitlines())
    assert printed in (DOCS / "reading-drift.md").read_text()


def test_the_guides_pipeline_passes_the_check(tmp_path: Path) -> None:
    text = (DOCS / "guide.md").read_text()
    (tmp_path / "guide_payments.py").write_text(text.split("```python\n")[1].split("```")[0])
    plan = check_pipeline(load_pipeline(str(tmp_path / "guide_payments.py")))
    assert {"payment_by_user.amount.mean.1h", "payment_by_user.count.5m"} <= set(plan.schema.names)


def test_the_guides_tests_pass_on_its_pipeline(tmp_path: Path) -> None:
    """As a reader saves them: payments.py and test_payments.py in one folder, run by pytest."""
    blocks = [block.split("```")[0] for block in (DOCS / "guide.md").read_text().split("```python\n")[1:]]
    (tmp_path / "payments.py").write_text(blocks[0])
    (tmp_path / "test_payments.py").write_text(next(block for block in blocks if "TestDriver" in block))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(DOCS.parent)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout
    assert "PytestCollectionWarning" not in done.stdout
