"""Trained once a session: models are read-only to the tests that share them."""

from pathlib import Path

import pytest

from scorer.artifact import write_artifact
from scorer.training import TrainedModel, train
from tests.scorer.rows import HOUR, SCHEMA, SHOPS, SMALL, rows


@pytest.fixture(scope="session")
def trained() -> TrainedModel:
    made = rows()
    return train(
        made.matrix,
        made.labels,
        made.times,
        SCHEMA,
        task="binary",
        seed=3,
        gap_seconds=HOUR,
        params=SMALL,
        rounds_max=40,
        texts={"shop": SHOPS},
    )


@pytest.fixture
def version(trained: TrainedModel, tmp_path: Path) -> Path:
    """The folder of a freshly written version."""
    folder = tmp_path / "written"
    facts = trained.facts(pipeline="payments", model_name="fraud", owner="risk", created=1_700_000_000.0)
    write_artifact(folder, trained.model, trained.golden, facts, extra={"reference.json": b"{}"})
    return folder
