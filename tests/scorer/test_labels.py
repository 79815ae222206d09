"""Labels are joined by id, the first one wins, and only what came within its maturity counts."""

from featurestore import offline
from featurestore.plan import compile_plan
from scorer.labels import join, known_labels
from scorer.pipeline import Label, Pipeline
from tests.featurestore.world import FEATURES, START, Refund, Sale, batch

PIPELINE = Pipeline(
    name="p",
    owner="o",
    team="t",
    task="binary",
    score=Sale,
    features=FEATURES,
    label=Label(Refund, id="id", value=lambda refund: None if refund.amount is None else refund.amount > 10, maturity="1m"),
    model="p",
)
PLAN = compile_plan("p", Sale, FEATURES)


def sale(id: str, at: float) -> Sale:
    return Sale(id=id, user="ann", shop=id, amount=1.0, at=START + at)


def refund(id: str, amount: float | None, at: float) -> Refund:
    return Refund(id=id, user="ann", shop="s", amount=amount, at=START + at)


def test_rows_with_a_label_in_time_are_kept_in_order() -> None:
    sales = [sale("a", 0), sale("b", 1), sale("c", 2), sale("d", 3), sale("e", 4)]
    refunds = [refund("b", 5.0, 30), refund("a", 50.0, 60), refund("c", 50.0, 63), refund("d", None, 5)]
    batches = [batch(sales), batch(refunds)]
    found = join(PIPELINE, PLAN, offline.compute(PLAN, batches), batches)
    assert found.times.tolist() == [START, START + 1]  # c came a second late, d says nothing, e has none
    assert found.labels.tolist() == [1.0, 0.0]
    assert found.texts == {"shop": {"a", "b"}}
    assert found.between(START + 1, START + 2).labels.tolist() == [0.0]


def test_the_first_label_of_an_id_wins_whatever_the_order_of_batches() -> None:
    early, late = batch([refund("a", 50.0, 1)]), batch([refund("a", 1.0, 2)])
    assert known_labels(PIPELINE.label, [late, early]) == known_labels(PIPELINE.label, [early, late]) == {"a": (START + 1, 1.0)}
