"""`--drift`: how it is written, what it may name, and that it changes what it says from its second on and nothing before."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from examples.flights.events import Arrival, Departure, Weather
from featurestore.events import Event, contract
from streams.cli.demo import demo
from streams.demo.asked import Asked
from streams.demo.errors import DriftRefused
from streams.demo.injecting import injected
from streams.demo.injection import Amount, Rename, Scale, parse
from streams.demo.source import Sendable
from streams.demo.stories import find_story
from streams.demo.story import OwnDrift

PER_SECOND = 10.0
DEPARTURE = Departure(
    flight_id="f", scheduled_at=1e9, carrier="UA", origin="EWR", dest="IAH", tailnum="N1", distance=1_400.0,
    scheduled_minutes=230.0, local_hour=6.5, plane_year=None, seats=150.0,
)  # fmt: skip
ARRIVAL = Arrival(flight_id="f", landed_at=1e9, carrier="UA", origin="EWR", dest="IAH", tailnum="N1", delay_minutes=3.0)
WEATHER = Weather(
    observation_id="w", available_at=1e9, origin="EWR", temperature=50.0, humidity=60.0, wind_speed=5.0, precipitation=0.0,
    pressure=1_000.0, visibility=10.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four departures, by which a distance has a standard deviation of 500, and a local hour one of 8."""
    folder = tmp_path_factory.mktemp("history")
    columns = {
        "distance": [0.0, 0.0, 1_000.0, 1_000.0],
        "local_hour": [2.0, 2.0, 18.0, 18.0],
        "carrier": ["UA", "UA", "DL", None],
        "plane_year": [1_990.0, None, 2_000.0, 2_000.0],
    }
    pq.write_table(pa.table(columns), folder / "flights.departures.parquet")
    return folder


def sendable(event: Event) -> Sendable:
    agreed = contract(type(event))
    return Sendable(agreed.topic, getattr(event, agreed.key).encode(), msgspec.json.encode(event), 0.0)


def sent(history: Path, *drifts: str, records: list[Sendable] | None = None) -> list[Sendable]:
    """The records, 10 a second, with the drifts put in; by default 3 s of each kind of event in turn."""
    usual = [sendable(event) for _ in range(10) for event in (DEPARTURE, ARRIVAL, WEATHER)]
    ready, _ = Asked.of(drifts, find_story("flights")).ready(history)
    return list(injected(iter(records or usual), ready, PER_SECOND))


def changed(before: Event, after: Sendable) -> dict[str, Any]:
    """The fields of a record that differ from its event's."""
    fields, usual = msgspec.json.decode(after.value), msgspec.to_builtins(before)
    assert fields.keys() == usual.keys()
    return {name: value for name, value in fields.items() if value != usual[name]}


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("distance=1.5@20", Amount(1.5)),
        ("distance=-.5@0", Amount(-0.5)),
        ("scheduled_at=*1e3@20.5", Scale(1000.0)),
        ("carrier=UA>UAL@20", Rename("UA", "UAL")),
        ("carrier=A=B>C@D@20", Rename("A=B", "C@D")),
        ("tailnum=null@20", "null"),
        ("Weather.temperature=frozen@20", "frozen"),
        ("Weather=stopped@20", "stopped"),
    ],
)
def test_what_can_be_written(text: str, change: object) -> None:
    assert parse(text).change == change


UNREADABLE = """distance, distance=1.5, distance@20, =1@20, distance=@20, distance=1.5@, distance=1.5@-3, distance=1.5@soon,
distance=nan@20, distance=*@20, distance=**2@20, carrier=UA>@20, carrier=>UA@20, carrier=UA>UA@20, a b=1@2"""


@pytest.mark.parametrize("text", ["", *re.split(r",\s+", UNREADABLE)])
def test_what_cannot_be_read_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(DriftRefused, match=r"(?s)cannot be read.*TARGET=CHANGE@SECONDS.*--drift tailnum=null@20"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("distanc=1@20", ["no 'distanc'", "Departure: flight_id", "Arrival: ", "Weather: observation_id", "temperature"]),
        ("Arrival.distance=1@20", ["no 'Arrival.distance'", "delay_minutes"]),
        ("Flight.distance=1@20", ["no 'Flight.distance'"]),
        ("fraud=0.1@20", ["no 'fraud'"]),
        ("carrier=1@20", ["Departure.carrier is no number", "carrier=OLD>NEW@20", "carrier=null@20"]),
        ("carrier=*2@20", ["is no number"]),
        ("distance=a>b@20", ["Departure.distance is no text", "distance=1.5@20"]),
        ("distance=stopped@20", ["stopped is for an event", "--drift Departure=stopped@20"]),
        ("Weather=null@20", ["--drift Weather=stopped@20"]),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(text: str, words: list[str]) -> None:
    with pytest.raises(DriftRefused) as caught:
        Asked.of([text], find_story("flights"))
    for word in [f"--drift {text!r}", *words]:
        assert word in str(caught.value)


def test_a_field_of_several_events_is_the_scored_ones() -> None:
    story = find_story("flights")
    names = [target.name for _, target in Asked.of(["carrier=null@1", "Arrival.carrier=null@1"], story).of_records]
    assert names == ["Departure.carrier", "Arrival.carrier"]


def test_a_field_of_several_events_and_not_of_the_scored_one_must_be_told_whose(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Event, topic="other", key="origin", id="origin", time="available_at"):
        origin: str
        available_at: float
        humidity: float

    from streams.demo import asked

    monkeypatch.setattr(asked, "sent_events", lambda pipeline: [Departure, Weather, Other])
    with pytest.raises(DriftRefused, match=r"several events; write Weather\.humidity or Other\.humidity"):
        Asked.of(["humidity=1@20"], find_story("flights"))


@pytest.mark.parametrize(
    ("drift", "event", "difference"),
    [
        ("distance=1.5@1", DEPARTURE, {"distance": 2_150.0}),
        ("distance=-9@1", DEPARTURE, {"distance": 0.0}),  # no further than its contract goes
        ("distance=*1000@1", DEPARTURE, {"distance": 1_400_000.0}),  # a wrong unit does not ask
        ("carrier=UA>UAL@1", DEPARTURE, {"carrier": "UAL"}),
        ("carrier=DL>DAL@1", DEPARTURE, {}),
        ("tailnum=null@1", DEPARTURE, {"tailnum": None}),
        ("Arrival.delay_minutes=*60@1", ARRIVAL, {"delay_minutes": 180.0}),
        ("Arrival.tailnum=null@1", ARRIVAL, {"tailnum": None}),
        ("temperature=*0.5@1", WEATHER, {"temperature": 25.0}),
    ],
)
def test_a_drift_changes_its_field_from_its_second_on_and_nothing_else(
    history: Path, drift: str, event: Event, difference: dict[str, Any]
) -> None:
    for place, record in enumerate(sent(history, drift)):
        original = (DEPARTURE, ARRIVAL, WEATHER)[place % 3]
        concerned = original is event and place >= PER_SECOND
        assert changed(original, record) == (difference if concerned else {}), place
        if "tailnum" in difference and concerned:
            assert record.key is None  # as a producer keys it
        else:
            assert record == sendable(original) or (concerned and record.key == sendable(original).key)


def test_a_shift_keeps_below_a_bound_that_is_excluded(history: Path) -> None:
    """An hour of 24 would break the contract: hours end just before."""
    last = sent(history, "local_hour=9@1")[-3]
    assert msgspec.json.decode(last.value, type=Departure).local_hour == pytest.approx(24.0)


def test_what_is_null_stays_null_when_it_is_shifted(history: Path) -> None:
    assert changed(DEPARTURE, sent(history, "plane_year=1@0")[0]) == {}


def test_a_frozen_field_keeps_the_first_value_that_there_is(history: Path) -> None:
    values = [10.0, 20.0, None, 30.0, 40.0]
    records = [sendable(msgspec.structs.replace(WEATHER, temperature=value)) for value in values]
    found = sent(history, "temperature=frozen@0.2", records=records)
    assert [msgspec.json.decode(record.value)["temperature"] for record in found] == [10.0, 20.0, None, 30.0, 30.0]


def test_whole_numbers_stay_whole(tmp_path: Path) -> None:
    """card_age_days is an int: half of 401 days that were sent as 200.5 would break the contract for another reason."""
    story = find_story("payments")
    record = next(record for record in story.source().records if record.topic == "payments")
    pq.write_table(pa.table({"card_age_days": [1, 2, 4]}), tmp_path / "payments.parquet")
    ready, _ = Asked.of(["card_age_days=*0.37@0", "card_age_days=1@0"], story).ready(tmp_path)
    (after,) = injected(iter([record]), ready, PER_SECOND)
    assert isinstance(msgspec.json.decode(after.value)["card_age_days"], int)


def test_a_stopped_feed_is_withheld_with_what_is_broken_of_it(history: Path) -> None:
    broken = Sendable("flights.weather", None, b"", 0.0, broken=True)
    found = sent(history, "Weather=stopped@0.2", records=[sendable(WEATHER)] * 2 + [sendable(ARRIVAL), sendable(WEATHER), broken])
    assert [record.withheld for record in found] == [False, False, False, True, True]


def test_broken_records_stay_as_they_are(history: Path) -> None:
    broken = Sendable("flights.departures", None, b"not JSON", 0.0, broken=True)
    assert sent(history, "distance=1@0", records=[broken]) == [broken]


def test_several_drifts_of_one_field_follow_one_another(history: Path) -> None:
    found = sent(history, "distance=*2@0", "distance=1@1")
    assert [changed(DEPARTURE, found[place])["distance"] for place in (0, 12)] == [2_800.0, 3_300.0]


def test_a_category_that_never_was_is_refused_with_those_there_are(history: Path) -> None:
    with pytest.raises(DriftRefused, match="carrier is never 'XX'; there are DL, UA"):
        sent(history, "carrier=XX>YY@1")


def test_people_are_told_what_was_put_in(history: Path) -> None:
    _, told = Asked.of(["tailnum=null@30", "Arrival.tailnum=null@9", "distance=1@20"], find_story("flights")).ready(history)
    assert [one.what for one in told] == [
        "Arrival.tailnum is null, which its contract refuses",
        "Departure.distance +1 standard deviations (+500)",
        "Departure.tailnum is null",
    ]


def test_a_storys_own_drift_takes_a_share_and_the_records_sent_before() -> None:
    story = find_story("payments")
    asked = Asked.of(["fraud=0.1@20", "quiet-fraud=1@0"], story)
    assert asked.own_drifts(400.0) == [OwnDrift("fraud", 0.1, 7_997), OwnDrift("quiet-fraud", 1.0, 0)]  # 3 of 8,000 are broken
    _, told = asked.ready(Path())
    assert told[1].what == "0.1 of the sound payments become takeovers"
    for text in ("fraud=0@20", "fraud=1.5@20", "fraud=*2@20", "fraud=null@20"):
        with pytest.raises(DriftRefused, match=r"give a share.*fraud=0\.1@20"):
            Asked.of([text], story)


def test_a_wrong_drift_is_told_before_anything_starts() -> None:
    result = CliRunner().invoke(demo, ["--drift", "distanc=1@20"])
    assert result.exit_code == 1
    assert "there is no 'distanc'" in result.output
    assert "starting" not in result.output
