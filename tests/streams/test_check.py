"""`tidegate check` shows what is declared of decay, freshness and groups of others; `tidegate train` asks for their history."""

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from streams.cli import main
from streams.loading import load_pipeline
from streams.testing import TestDriver

PIPELINE = """
from typing import Annotated
from msgspec import Meta
from streams import Count, Event, Freshness, Label, Last, Mean, On, Pipeline, Raw, Shared

class Payment(Event, topic="payments", key="user", id="payment_id", time="paid_at"):
    payment_id: str
    user: str
    amount: Annotated[float, Meta(ge=0, le=50_000)]
    paid_at: float

class Login(Event, topic="logins", key="user", id="login_id", time="at"):
    login_id: str
    user: str
    risk: Annotated[float, Meta(ge=0, le=1)] | None
    at: float

LOGINS = On(Login, by="user", fields={"risk": [Last]}, windows=["1h"], freshness=Freshness("6h", otherwise=0.5))
pipeline = Pipeline(
    name="card-fraud", owner="r", team="p", task="binary", score=Payment, model="card-fraud",
    features=[
        On(Payment, by="user", fields={"amount": [Mean]}, aggregates=[Count], windows=["24h"], half_life="2h",
           freshness={"amount.mean.24h": Freshness("30m", otherwise="refuse")}),
        Shared(LOGINS, pipeline="logins-risk"),
        Raw("amount"),
    ],
    label=Label(Payment, id="payment_id", value=lambda payment: True, maturity="7d"),
)
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "payments.py").write_text(PIPELINE)
    return str(tmp_path / "payments.py")


def test_check_shows_decay_freshness_and_owners(file: str) -> None:
    found = CliRunner().invoke(main, ["check", file])
    assert found.exit_code == 0, found.output
    lines = [" ".join(line.split()) for line in found.output.splitlines()]
    for line in (
        "payment_by_user payments user 24h, half-life 2h 832",
        "login_by_user logins user 1h 744, kept by logins-risk",
        "1 payment_by_user.amount.mean.24h number older than 30m, or missing: refuse to score",
        "3 payment_by_user.amount.decayed_mean.2h number",
        "4 login_by_user.risk.last.1h number older than 6h, or missing: 0.5",
        "logins not read: logins-risk does; training needs its history",
    ):
        assert line in lines, found.output


def test_training_a_reader_needs_the_history_of_shared_groups(file: str, tmp_path: Path) -> None:
    columns = {"payment_id": ["a"], "user": ["u"], "amount": [1.0], "paid_at": np.array([time.time() - 86_400])}
    pq.write_table(pa.table(columns), tmp_path / "payments.parquet")
    found = CliRunner().invoke(main, ["train", file, "--data", str(tmp_path)])
    assert found.exit_code == 1
    assert "has no logins.parquet" in found.output


def test_a_refused_event_gets_no_prediction_but_counts(file: str) -> None:
    pipeline = load_pipeline(file)

    def payment(number: int, at: float) -> dict[str, object]:
        return {"payment_id": f"p{number}", "user": "ann", "amount": 10.0, "paid_at": at}

    start = 1_700_000_000.0
    with TestDriver(pipeline, model=lambda vectors: np.zeros(len(vectors))) as driver:
        events = [payment(0, start), payment(1, start + 1_800), payment(2, start + 3_601), payment(3, start + 3_602)]
        driver.send(*[pipeline.score(**event) for event in events])
        assert [p.event_id for p in driver.predictions()] == ["p1", "p3"]
        assert [(letter.reason, letter.offset) for letter in driver.dead_letters()] == [("refused", 0), ("refused", 2)]
        assert driver.features_of("p3")["payment_by_user.count.24h"] == 3.0
        assert driver.features_of("p3")["login_by_user.risk.last.1h"] == 0.5
