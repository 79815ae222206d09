"""Personal fields in a worker: behind decoding only hashes are seen, in vectors, predictions, keys, states and dead letters."""

import json
from dataclasses import replace
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
from msgspec import Meta

from featurestore import offline
from featurestore.admission import entity_hash
from featurestore.definitions import Category, Count, Mean, On
from featurestore.errors import DefinitionError, HashKeyError
from featurestore.events import Event, EventBatch, Source
from featurestore.personal import Pseudonyms, key_id, spared_values
from scorer.labels import check_join
from scorer.pipeline import Label, Pipeline
from streams.audit import Act, erasures
from streams.codec import Decoder
from streams.errors import ErasedUnknown, SettingsError
from streams.personal import pseudonyms
from streams.settings import Settings
from streams.testing import TEST_KEY, TestDriver, feature_names
from tests.streams.records import chunk

START = 1_700_000_000.0
KEY = b"k" * 32
Amount = Annotated[float, Meta(ge=0, le=100)]


class Visit(Event, topic="visits", key="user", id="id", time="at", personal=("user", "id")):
    id: str
    user: str | None
    shop: str
    amount: Amount
    at: float


class Call(Event, topic="calls", key="shop", id="id", time="at", personal=("caller",)):
    id: str
    caller: str
    shop: str
    at: float


class Verdict(Event, topic="verdicts", key="id", id="id", time="at", personal=("id",)):
    id: str
    bad: bool
    at: float


FEATURES = [
    On(Visit, by="user", fields={"amount": [Mean]}, aggregates=[Count], windows=["10m"]),
    On(Visit, by=("user", "shop"), aggregates=[Count], windows=["10m"]),
    On(Call, by="caller", read_by="user", aggregates=[Count], windows=["10m"]),
    Category("user"),
]
PIPELINE = Pipeline(
    name="visits-risk",
    owner="tests",
    team="tests",
    task="binary",
    score=Visit,
    features=FEATURES,
    label=Label(Verdict, id="id", value=lambda verdict: verdict.bad, maturity="1h"),
    model="visits-risk",
)
COUNT = feature_names(PIPELINE).index("visit_by_user.count.10m")
USERS = ["ann@example.org", "bob@example.org", "unknown", None]


def visits(n: int) -> list[Visit]:
    return [Visit(id=f"order {i} of ann", user=USERS[i % 4], shop=f"s{i % 3}", amount=i % 90, at=START + i) for i in range(n)]


def hashed(plan: Any, events: list[Visit], key: bytes = TEST_KEY) -> EventBatch:
    kept = [msgspec.structs.replace(event) for event in events]
    Pseudonyms(key, spared_values(plan.groups)).hide(Visit)(kept)
    times = np.array([event.at for event in events])
    return EventBatch(Visit, Source("visits", 0), np.arange(len(events)), times, times, [None] * len(events), kept)


def raw(text: str) -> bool:
    return any(word in text for word in ("ann", "bob", "example.org"))


def test_vectors_are_those_of_training_and_nothing_published_or_stored_holds_a_raw_value() -> None:
    events = visits(40)
    with TestDriver(PIPELINE, model=lambda vectors: np.nan_to_num(vectors[:, COUNT]) / 100, max_chunk_events=7) as driver:
        driver.send(*events)
        driver.send(Call(id="c", caller="ann@example.org", shop="s1", at=START + 50), b'{"id":"ann","user":4}')
        driver.send(msgspec.structs.replace(events[0], id="last", at=START + 60))
        assert driver.features_of("last")["call_by_caller.count.10m"] == 1
        assert driver.features_of(events[4])["visit_by_user.count.10m"] == 1
        served = np.array([list(row.values()) for row in driver.features().values()])[:40]
        history = offline.compute(driver.plan, [hashed(driver.plan, events)])
        assert served.tobytes() == history.served.vectors.tobytes()
        found = driver.predictions()
        assert [p.key for p in found[:4]] == [driver.hashed(USERS[0] or ""), driver.hashed(USERS[1] or ""), "unknown", None]
        assert [p.event_id for p in found[:2]] == [driver.hashed("order 0 of ann"), driver.hashed("order 1 of ann")]
        assert len(driver._publisher.records) > 40
        assert not any(raw(f"{key!r} {value!r}") for _, key, value in driver._publisher.records)
        stored = repr(driver._store._states)
        assert driver.hashed("ann@example.org") in stored
        assert not raw(stored)


def test_a_record_keyed_by_something_else_does_not_pass_its_key_on() -> None:
    """One with the key's text, one by something else, one by nothing: all are published under the entity's hash."""
    with TestDriver(PIPELINE, model=lambda vectors: vectors[:, COUNT] / 100) as driver:
        for number, key in enumerate((b"ann@example.org", b"4111 1111", None)):
            event = Visit(id=str(number), user="ann@example.org", shop="s", amount=1.0, at=START + number)
            driver.send(msgspec.to_builtins(event) | {"other": 1}, key=key)
        keys = {key for topic, key, _ in driver._publisher.records if topic == "visits-risk.predictions"}
        assert keys == {driver.hashed("ann@example.org").encode()}


def test_a_key_that_is_not_personal_is_the_fields_own_and_never_the_records() -> None:
    decode = Decoder(Call, 300.0, Pseudonyms(KEY))
    value = msgspec.json.encode(Call(id="c", caller="ann", shop="s1", at=START))
    batch, _ = decode(chunk([value]))
    assert batch.keys == [b"s1"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"user": 5551234}, "contract"),
        ({"amount": "ann"}, "contract"),
        ({"at": START + 9_999}, "future"),
        ({"id": "ann" * 999}, "oversize"),
    ],
)
def test_a_dead_letter_keeps_reason_and_position_only(broken: dict[str, Any], reason: str) -> None:
    sound = msgspec.to_builtins(visits(1)[0])
    with TestDriver(PIPELINE) as driver:
        driver.send(sound | broken, key=b"ann", at=START)
        (letter,) = driver.dead_letters()
        assert (letter.reason, letter.payload, letter.offset) == (reason, None, 0)
        ((key, value),) = [(key, value) for topic, key, value in driver._publisher.records if "dead" in topic]
        assert key is None
        assert not raw(value.decode())
        assert "5551234" not in json.dumps(msgspec.to_builtins(letter))


def test_an_event_that_cannot_be_scored_is_a_dead_letter_without_its_values() -> None:
    def fails(vectors: Any) -> Any:
        raise ValueError("ann@example.org")

    with TestDriver(PIPELINE, model=fails) as driver:
        driver.send(*visits(3))
        assert {(letter.reason, letter.payload) for letter in driver.dead_letters()} == {("scoring", None)}
        assert not any(raw(f"{key!r} {value!r}") for topic, key, value in driver._publisher.records)


def test_states_are_the_same_after_a_crash() -> None:
    with TestDriver(PIPELINE, partitions=3) as driver:
        driver.send(*visits(10), crash="merged")
        driver.restart()
        driver.send(msgspec.structs.replace(visits(1)[0], id="last", at=START + 60))
        assert driver.features_of("last")["visit_by_user.count.10m"] == 3


def test_a_pipeline_with_personal_fields_needs_its_key(tmp_path: Any) -> None:
    plan = TestDriver(PIPELINE).plan
    without, having = (Settings.from_environment(e, tmp_path) for e in ({}, {"TIDEGATE_HASH_KEY": KEY.decode()}))
    words = r"TIDEGATE_HASH_KEY is not set.*visits: user, id; calls: caller; verdicts: id.*openssl rand -hex 32"
    with pytest.raises(HashKeyError, match=words):
        pseudonyms(without, PIPELINE, plan)
    found = pseudonyms(having, PIPELINE, plan)
    assert found is not None
    with pytest.raises(SettingsError, match=r"has 3 bytes, and needs 32 at least.*openssl"):
        Settings.from_environment({"TIDEGATE_HASH_KEY": "abc"}, tmp_path)
    assert found.hash("ann") == Pseudonyms(KEY).hash("ann")
    with pytest.raises(HashKeyError, match="TIDEGATE_HASH_KEY"):
        Decoder(Visit, 300.0)


def test_labels_are_joined_by_ids_hashed_on_both_sides() -> None:
    class Odd(Event, topic="odd", key="id", id="id", time="at"):
        id: str
        bad: bool
        at: float

    check_join(PIPELINE)
    label = Label(Odd, id="id", value=lambda odd: odd.bad, maturity="1h")
    with pytest.raises(DefinitionError, match="'id' of Visit and 'id' of Odd are the same id, and only one is personal"):
        check_join(replace(PIPELINE, label=label))


def act(values: dict[str, str], when: float, personal: tuple[str, ...]) -> Act:
    hashing = Pseudonyms(KEY)
    hashed = {name: hashing.hash(value) if name in personal else value for name, value in values.items()}
    return Act(
        act="forget",
        act_id="1",
        pipeline=PIPELINE.name,
        fields=tuple(sorted(values)),
        hash=entity_hash(KEY, values),
        key_id=key_id(KEY),
        who="w",
        when=when,
        why="request 4711",
        namespaces=[],
        personal=list(personal),
        personal_hash=entity_hash(KEY, hashed) if personal else None,
    )


def kept(acts: list[Act], plan: Any, events: list[Visit], tmp_path: Any) -> list[str]:
    """The ids of events that the erasure log leaves."""
    found = erasures(Settings.from_environment({"TIDEGATE_HASH_KEY": KEY.decode()}, tmp_path), plan, acts)
    assert found is not None
    batch = hashed(plan, events, KEY)
    return [event.id for event, left in zip(events, found.kept(batch).tolist(), strict=True) if left]


def test_the_forgotten_are_known_by_their_hashes_under_every_name(tmp_path: Any) -> None:
    plan, events = TestDriver(PIPELINE).plan, visits(8)
    without_ann = [event.id for event in events if event.user != USERS[0]]
    for name in ("user", "caller"):
        assert kept([act({name: USERS[0] or ""}, 4e9, (name,))], plan, events, tmp_path) == without_ann
    both = [event.id for event in events if (event.user, event.shop) != (USERS[0], "s1")]
    assert both != without_ann
    assert kept([act({"user": USERS[0] or "", "shop": "s1"}, 4e9, ("user",))], plan, events, tmp_path) == both
    assert kept([act({"shop": "s1"}, 4e9, ())], plan, events, tmp_path) == [e.id for e in events if e.shop != "s1"]


def test_an_act_from_before_a_field_was_personal_asks_to_forget_once_more(tmp_path: Any) -> None:
    plan, events = TestDriver(PIPELINE).plan, visits(8)
    before, again = act({"user": USERS[0] or ""}, 1e9, ()), act({"user": USERS[0] or ""}, 4e9, ("user",))
    with pytest.raises(ErasedUnknown, match=r"\(request 4711\) forgot an entity by user.*forget the same entity once more"):
        kept([before], plan, events, tmp_path)
    assert kept([before, again], plan, events, tmp_path) == [event.id for event in events if event.user != USERS[0]]
