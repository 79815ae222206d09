"""A model that fails: its events become dead letters, every other one is predicted as if nothing had happened."""

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore import offline
from featurestore.compute import Served
from featurestore.events import Floats
from featurestore.session import Joint
from streams.scoring import FAILING_EVENTS, LOG_SECONDS, Judge
from streams.serving import ServingModel
from tests.featurestore.world import PLAN, START, Sale, batch
from tests.streams.records import event_chunk
from tests.streams.test_flow import AmountModel, World, sales, serving

AMOUNT = PLAN.schema.names.index("amount")
SECRET = 4242.0


class Faulty(AmountModel):
    """Spoils the scores of some events, or raises, and counts its calls."""

    def __init__(self, bad: Callable[[Floats], Any], how: str = "raise", task: str = "binary") -> None:
        self.bad, self.how, self.task, self.calls = bad, how, task, 0

    def score(self, matrix: Floats) -> Floats:
        self.calls += 1
        scores, bad = super().score(matrix), self.bad(matrix)
        if bad.any() and self.how == "raise":
            raise ValueError(f"what an amount: {matrix[bad][0, AMOUNT]}")
        if bad.any() and self.how == "shape":
            return scores[:-1]
        scores[bad] = {"nan": np.nan, "inf": -np.inf}.get(self.how, 0.0)
        return np.stack([1 - scores, scores], axis=1) if self.task == "multiclass" else scores


def served_by(model: AmountModel) -> ServingModel:
    whole = serving()
    manifest = dataclasses.replace(whole.loaded, model=model)
    return dataclasses.replace(whole, loaded=manifest)


def of_amounts(*amounts: float) -> Callable[[Floats], Any]:
    return lambda matrix: np.isin(matrix[:, AMOUNT], amounts)


def vectors(n: int) -> Served:
    out = Served.unfilled(n, PLAN)
    out.vectors[:, AMOUNT] = np.arange(n)
    return out


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("raise", "raised ValueError"),
        ("nan", "gave a score that is not a number"),
        ("inf", "gave a score that is not a number"),
        ("shape", "gave scores of a wrong shape"),
    ],
)
def test_only_the_events_at_fault_go_without_a_prediction(how: str, why: str) -> None:
    harmed, unharmed, events = World(served_by(Faulty(of_amounts(300.0, 4200.0), how))), World(serving()), sales(60)
    harmed.run(event_chunk(events))
    unharmed.run(event_chunk(events))
    assert harmed.predictions() == [p for p in unharmed.predictions() if p.event_id not in ("s3", "s42")]
    assert harmed.vectors() == unharmed.vectors()
    letters = harmed.letters()
    assert [(letter.offset, letter.reason) for letter in letters] == [(3, "scoring"), (42, "scoring")]
    assert letters[0].detail == f"world version 7 {why}"
    assert letters[0].payload == event_chunk(events).records[3].value
    for group in PLAN.written_by("sales"):
        states = [asyncio.run(world.store.dump(PLAN.namespace(group))) for world in (harmed, unharmed)]
        assert states[0] == states[1] == offline.compute(PLAN, [batch(events)]).states[group.name]
    assert harmed.value("tidegate_events_total", outcome="failed") == 2
    assert harmed.value("tidegate_events_total", outcome="scored") == 58
    assert harmed.value("tidegate_events_total", outcome="rejected") == 0
    assert harmed.value("tidegate_dead_letters_total", reason="scoring") == 2


def test_a_dead_letter_never_quotes_what_the_model_said() -> None:
    world = World(served_by(Faulty(of_amounts(SECRET))))
    world.run(event_chunk([Sale(id="s", user="u", shop="p", amount=SECRET, at=START)]))
    assert world.letters()[0].detail == "world version 7 raised ValueError"


def test_a_sound_chunk_costs_one_call() -> None:
    model = Faulty(of_amounts())
    judged = Judge()(served_by(model), vectors(1000))
    assert model.calls == 1
    assert (judged.places == np.arange(1000)).all()
    assert not judged.unscored


def test_one_event_at_fault_costs_a_bisection() -> None:
    model = Faulty(of_amounts(777.0))
    judged = Judge()(served_by(model), vectors(1024))
    assert list(judged.unscored) == [777]
    assert model.calls == 1 + 2 * 10  # both halves, ten times


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 70),
    bad=st.sets(st.integers(0, 69)),
    refused=st.sets(st.integers(0, 69)),
    how=st.sampled_from(["raise", "nan", "shape"]),
    task=st.sampled_from(["binary", "multiclass", "regression"]),
)
def test_every_event_is_judged_once_whatever_fails(n: int, bad: set[int], refused: set[int], how: str, task: Any) -> None:
    bad, refused = {i for i in bad if i < n}, {i for i in refused if i < n}
    served = vectors(n)
    served.refused[list(refused)] = True
    model = served_by(Faulty(of_amounts(*bad), how, task))
    manifest = dataclasses.replace(model.loaded, manifest=_with_task(model, task))
    judged = Judge()(dataclasses.replace(model, loaded=manifest), served)
    sound = [i for i in range(n) if i not in bad | refused]
    assert judged.places.tolist() == sound
    assert {place for place, why in judged.unscored.items() if why[0] == "refused"} == refused
    assert {place for place, why in judged.unscored.items() if why[0] == "scoring"} == bad - refused
    scores = [i / 10_000 for i in sound]
    assert judged.verdicts.scores == ([max(s, 1 - s) for s in scores] if task == "multiclass" else scores)
    assert all(len(part) == len(sound) for part in (judged.verdicts.decisions, judged.verdicts.confidences))


def _with_task(model: ServingModel, task: Any) -> Any:
    return msgspec.structs.replace(model.loaded.manifest, task=task)


def test_a_model_that_fails_for_everything_stops_nothing_and_is_named() -> None:
    """The features go on, the metric counts, /readyz hears of it, and again when a good version serves."""
    told: list[str | None] = []
    world = World(served_by(Faulty(lambda matrix: np.ones(len(matrix), dtype=bool))))
    world.flow._judge = Judge(told.append)
    world.run(event_chunk(sales(FAILING_EVENTS - 1)))
    assert told == []
    world.run(event_chunk(sales(5), first=FAILING_EVENTS - 1))
    assert told == [
        f"world version 7 raised ValueError for each of the last {FAILING_EVENTS + 4} events; run: tidegate train --promote"
    ]
    world.flow.model = serving()
    world.run(event_chunk(sales(1), first=FAILING_EVENTS + 4))
    assert told[1:] == [None]
    assert len(world.predictions()) == 1
    assert world.value("tidegate_events_total", outcome="failed") == FAILING_EVENTS + 4


def test_the_log_says_it_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    judge = Judge(clock=lambda: now)
    model = served_by(Faulty(of_amounts(1.0)))
    with caplog.at_level(logging.WARNING):
        for _ in range(100):
            judge(model, vectors(4))
        assert [r.getMessage().split(";")[0] for r in caplog.records] == ["world version 7 raised ValueError"]
        now = LOG_SECONDS
        judge(model, vectors(4))
    assert "since the last such line: 100" in caplog.records[1].getMessage()


def test_refused_events_become_dead_letters_and_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    world, events, serve = World(serving()), sales(10), Joint.serve

    def with_policy(joint: Joint, view: Any) -> Served:
        out = serve(joint, view)
        out.refused[[2, 3]], out.stale[[2, 3, 4]] = True, True
        return out

    monkeypatch.setattr(Joint, "serve", with_policy)
    world.run(event_chunk(events))
    assert [(letter.offset, letter.reason) for letter in world.letters()] == [(2, "refused"), (3, "refused")]
    assert [p.event_id for p in world.predictions() if p.flags == ["stale"]] == ["s4"]
    assert len(world.predictions()) == 8
    assert world.value("tidegate_events_total", outcome="failed") == 2
    for group in PLAN.written_by("sales"):
        expected = offline.compute(PLAN, [batch(events)]).states[group.name]
        assert asyncio.run(world.store.dump(PLAN.namespace(group))) == expected
