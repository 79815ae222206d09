"""The flights go on after their year: in order, on the same weekdays, under new ids."""

from datetime import UTC, datetime
from itertools import islice, pairwise, takewhile

import msgspec

from examples.flights import dataset
from examples.flights.rounds import ROUND_SECONDS, endless
from featurestore.events import contract

DAY = 86_400.0
BEGIN = dataset.month_start(1)
EVENTS = {contract(event).topic: event for event in dataset.TOPICS}


def test_before_the_first_round_ends_they_are_the_year() -> None:
    assert list(islice(endless(BEGIN - 1), 1_000)) == list(islice(dataset.replay_order(), 1_000))


def test_a_round_follows_the_other_in_order_and_without_a_gap() -> None:
    around = list(takewhile(lambda one: one.time < BEGIN + ROUND_SECONDS + DAY, endless(BEGIN + ROUND_SECONDS - DAY)))
    times = [one.time for one in around]
    assert times == sorted(times)
    departures = [one.time for one in around if one.topic == "flights.departures"]
    assert max(later - earlier for earlier, later in pairwise(departures)) < DAY / 3  # a night
    assert len(departures) > 1_000


def test_a_later_round_is_the_year_on_the_same_weekdays_under_other_ids() -> None:
    first, second = list(islice(endless(BEGIN - 1), 500)), list(islice(endless(BEGIN + ROUND_SECONDS - 1), 2_000))
    second = [one for one in second if one.time >= BEGIN + ROUND_SECONDS][:500]
    for one, again in zip(first, second, strict=True):
        before, after = (msgspec.json.decode(each.value, type=EVENTS[each.topic]) for each in (one, again))
        agreed = contract(type(before))
        assert getattr(after, agreed.time) == again.time == one.time + ROUND_SECONDS
        assert getattr(after, agreed.id) == f"{getattr(before, agreed.id)}+1"
        assert (again.topic, again.key) == (one.topic, one.key)
        assert datetime.fromtimestamp(again.time, UTC).weekday() == datetime.fromtimestamp(one.time, UTC).weekday()


def test_they_go_on_right_behind_a_time() -> None:
    whole = list(islice(endless(BEGIN - 1), 3_000))
    after = whole[1_500].time
    assert list(islice(endless(after), 100)) == [one for one in whole if one.time > after][:100]
