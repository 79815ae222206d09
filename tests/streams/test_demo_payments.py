"""The payments story without a broker: its history, its replay with outcomes at their own time, and fraud that changes."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from examples.payments import changes
from examples.payments.economy import TOWN
from examples.payments.events import Outcome, Payment
from examples.payments.generate import BLOCK, OUTCOME_MAX_SECONDS, Stream
from examples.payments.replay import Record, replay_order, time_of
from streams.demo.stories.payments import HISTORY_EVENTS, RATE, Payments
from streams.demo.story import OwnDrift

HOUR = 3_600.0
STREAM = Stream(BLOCK + 10_000, RATE, economy=TOWN)
END = STREAM.start + STREAM.events / RATE


def payments_of(records: Iterator[Record] | list[Record]) -> dict[str, Payment]:
    found = [msgspec.json.decode(record.value, type=Payment) for record in records if record.topic == "payments"]
    return {payment.payment_id: payment for payment in found}


def outcomes_of(records: list[Record]) -> dict[str, Outcome]:
    found = [msgspec.json.decode(record.value, type=Outcome) for record in records if record.topic == "payments.outcomes"]
    return {outcome.payment_id: outcome for outcome in found}


@pytest.fixture(scope="module")
def replayed() -> list[Record]:
    """All of STREAM, two blocks."""
    return list(replay_order(STREAM))


def test_everything_is_sent_in_the_order_in_which_it_is_known(replayed: list[Record]) -> None:
    times = [record.time for record in replayed]
    assert times == sorted(times)
    payments, outcomes = payments_of(replayed), outcomes_of(replayed)
    assert len(replayed) == 2 * STREAM.events
    assert payments.keys() == outcomes.keys()
    assert all(payments[id].at < outcome.at <= payments[id].at + OUTCOME_MAX_SECONDS + 1 for id, outcome in outcomes.items())
    for record in replayed[::1_000]:
        fields = msgspec.json.decode(record.value)
        assert (record.key, record.time) == (fields["user"].encode(), fields["at"])


def test_a_replay_that_begins_later_sends_the_same_from_there_on(replayed: list[Record]) -> None:
    """Outcomes of payments before its beginning among them, even of the block before."""
    for since in (STREAM.start + 5_000.0, STREAM.start + BLOCK / RATE + 10.0):
        assert list(replay_order(STREAM, since)) == [record for record in replayed if record.time >= since]


def test_the_time_of_a_record_is_that_of_the_changed_stream_too(replayed: list[Record]) -> None:
    since = STREAM.start + HOUR
    later = [record for record in replayed if record.time >= since]
    assert time_of(STREAM, since, 1_234) == later[1_234].time


def test_more_takeovers_come_from_their_moment_on_and_nothing_changes_before(replayed: list[Record]) -> None:
    since = STREAM.start + 5_000.0
    drifted = list(replay_order(Stream(STREAM.events, RATE, economy=TOWN, changes=[changes.takeovers(0.2, since, TOWN)])))
    usual, changed = payments_of(replayed), payments_of(drifted)
    dearer = {id for id, payment in usual.items() if changed[id].amount != payment.amount}
    assert {id for id in dearer if usual[id].at < since} == set()
    late = [id for id, payment in usual.items() if payment.at >= since]
    assert len(dearer) / len(late) == pytest.approx(0.2 * 0.96, rel=0.05)
    assert all(2.9 * usual[id].amount <= changed[id].amount <= max(8.1 * usual[id].amount, 50_000.0) for id in dearer)
    before, after = outcomes_of(replayed), outcomes_of(drifted)
    assert {id for id in after if after[id].fraud != before[id].fraud} == dearer
    assert [record.time for record in drifted] == [record.time for record in replayed]


def test_quiet_fraud_changes_outcomes_alone(replayed: list[Record]) -> None:
    since = STREAM.start + 5_000.0
    drifted = list(replay_order(Stream(STREAM.events, RATE, economy=TOWN, changes=[changes.quiet_fraud(0.1, since)])))
    assert payments_of(drifted) == (usual := payments_of(replayed))
    before, after = outcomes_of(replayed), outcomes_of(drifted)
    became = {id for id in after if after[id].fraud and not before[id].fraud}
    assert min(usual[id].at for id in became) >= since
    assert len(became) / sum(payment.at >= since for payment in usual.values()) == pytest.approx(0.096, rel=0.1)


def test_the_replay_begins_where_the_history_ends(tmp_path: Path) -> None:
    story = Payments()
    span = story.write_history(tmp_path)
    history = pq.read_table(tmp_path / "payments.parquet")
    assert len(history) == HISTORY_EVENTS
    source = story.source()
    assert source.begin == span.end
    assert span.settled - HOUR == pytest.approx(history["at"][0].as_py(), abs=5.0)
    recent = {id.as_py() for id, at in zip(history["payment_id"], history["at"], strict=True) if at.as_py() >= span.end - HOUR}
    assert set(payments_of([Record(r.topic, r.key or b"", r.value, r.time) for r in source.warm_up])) == recent
    first = next(record for record in source.records if record.topic == "payments")
    assert msgspec.json.decode(first.value)["payment_id"] not in set(history["payment_id"].to_pylist())


def test_the_same_story_is_told_each_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Payments().write_history(tmp_path / name)
    for topic in ("payments", "payments.outcomes"):
        assert (tmp_path / "one" / f"{topic}.parquet").read_bytes() == (tmp_path / "two" / f"{topic}.parquet").read_bytes()
    sources = [Payments().source() for _ in range(2)]
    assert sources[0].warm_up == sources[1].warm_up
    heads = [list(itertools.islice(source.records, 5_000)) for source in sources]
    assert heads[0] == heads[1]


def test_fraud_drifts_with_the_very_record_that_was_asked_for() -> None:
    plain = list(itertools.islice(Payments().source().records, 6_000))
    drifted = list(itertools.islice(Payments().source([OwnDrift("fraud", 1.0, 4_000)]).records, 6_000))
    assert drifted[:4_000] == plain[:4_000]
    different = [place for place in range(6_000) if plain[place] != drifted[place]]
    assert 4_000 <= different[0] < 4_010
    assert len(different) > 900  # payments; outcomes of those before 4,000 stay
