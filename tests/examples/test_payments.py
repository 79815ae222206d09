"""The generated payments: same seed, same bytes; as many and as skewed as said; and fraud that windows can tell."""

from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pytest

from examples.payments.events import Outcome, Payment
from examples.payments.generate import BLOCK, Columns, Stream, outcomes, payments, records, write_parquet
from examples.payments.pipeline import pipeline
from featurestore.definitions import seconds
from featurestore.parquet import read_history
from featurestore.plan import compile_plan


def _values(stream: Stream) -> list[bytes]:
    return [value for _, values in records(stream) for value in values]


def test_a_longer_stream_begins_with_the_shorter_one() -> None:
    """Blocks are drawn apart, so that the number of events changes nothing about those before."""
    long, short = _values(Stream(BLOCK + 300)), _values(Stream(700))
    assert len(long) == BLOCK + 300
    assert long[:700] == short


def test_another_seed_is_another_stream() -> None:
    assert _values(Stream(10, seed=1)) != _values(Stream(10, seed=2))


def test_records_keep_their_contract_in_order_of_event_time() -> None:
    decoded = [msgspec.json.decode(value, type=Payment) for value in _values(Stream(BLOCK + 100, rate=500.0))]
    times = [payment.at for payment in decoded]
    assert times == sorted(times)
    assert times[-1] - times[0] == pytest.approx((BLOCK + 100) / 500.0, rel=0.01)
    assert len({payment.payment_id for payment in decoded}) == len(decoded)
    assert len(Payment.__struct_fields__) == 9


def test_events_are_about_as_large_as_the_workload_says() -> None:
    values = _values(Stream(1_000))
    assert 200 <= np.mean([len(value) for value in values]) <= 240


def test_users_follow_zipf() -> None:
    """The hottest user makes about 1 / H(100,000) of the payments at exponent 0.99: 7.7 %."""
    block = next(Stream(BLOCK).blocks())
    (_, hottest), *_ = Counter(block.user.tolist()).most_common(1)
    assert 0.06 < hottest / BLOCK < 0.1


def test_outcomes_come_within_the_labels_maturity() -> None:
    block = next(Stream(5_000).blocks())
    known = outcomes(block)
    assert [one.at for one in known] == sorted(one.at for one in known)
    assert {one.payment_id for one in known} == set(block.ids)
    delays = block.known_at - block.at
    assert delays.min() > 0
    assert delays.max() <= seconds(pipeline.label.maturity)


def test_both_kinds_of_fraud_are_there() -> None:
    """Takeovers are dear, bursts are cheap: no threshold on the amount finds both."""
    block = next(Stream(BLOCK).blocks())
    frauds = block.amount[block.fraud]
    assert 0.02 < block.fraud.mean() < 0.08
    assert (frauds > 200).mean() > 0.1
    assert (frauds < 5).mean() > 0.3


def test_a_change_drifts_what_comes_after_it() -> None:
    def inflation(block: Columns, _: np.random.Generator) -> None:
        if block.first >= BLOCK:
            block.amount *= 2

    plain, drifted = Stream(BLOCK + 50), Stream(BLOCK + 50, changes=[inflation])
    for before, after in zip(plain.blocks(), drifted.blocks(), strict=True):
        factor = 2 if before.first else 1
        assert after.amount == pytest.approx(before.amount * factor)


def test_parquet_files_are_what_training_reads(tmp_path: Path) -> None:
    write_parquet(tmp_path, Stream(500))
    read = read_history(tmp_path, [Payment, Outcome])
    assert read[0].events == payments(next(Stream(500).blocks()))
    assert len(read[1]) == 500


def test_the_workload_has_the_inputs_that_benchmarks_promise() -> None:
    plan = compile_plan(pipeline.name, pipeline.score, pipeline.features, pipeline.shards)
    assert len(plan.schema) == 49
    assert [group.length for group in plan.groups] == [2 + 3 + 3 * 15 * 4] * 3
