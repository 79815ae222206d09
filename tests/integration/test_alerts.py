"""Faults put into running workers, monitor and lag process: the right alert comes, in its time, and nobody is woken for another.

Prometheus and Alertmanager are Debian's, the rules and routes those that a pipeline gets, with all times a twentieth as long.
"""

import pytest

from benchmarks.accept.alerts_drill import drain, drill
from benchmarks.accept.alerts_faults import FAULTS
from benchmarks.accept.alerts_pipeline import pipeline
from benchmarks.accept.alerts_servers import program
from benchmarks.accept.alerts_world import world
from streams.embedded.errors import MissingPart

TIME_SCALE = 1 / 20
BACKLOG_ORDERS = 30_000  # make accept drains 100,000
BEHIND_SECONDS = pipeline.objectives.lag_seconds  # from there on a backlog is one to the rules


@pytest.mark.integration
@pytest.mark.drill
@pytest.mark.timeout(800)  # 300 s on two quiet cores
def test_a_fault_is_told_of_in_time_and_nothing_else_is(subtests: pytest.Subtests) -> None:
    """One test, and none beside it: shortened waits are a few seconds, which a busy machine takes for a process to start."""
    try:
        for name in ("prometheus", "prometheus-alertmanager"):
            program(name)
    except MissingPart as error:
        pytest.skip(str(error))
    with world(TIME_SCALE) as drilled:
        for fault in FAULTS:
            with subtests.test(fault.name):
                found = drill(drilled, fault, TIME_SCALE)
                labels = found.alert.labels
                assert (labels["severity"], labels["team"], labels["pipeline"]) == (fault.severity, pipeline.team, pipeline.name)
                assert found.seconds <= fault.within(TIME_SCALE)
                assert found.beside == []
                assert found.told == []
        with subtests.test("a backlog that drains"):
            lag_seconds, told = drain(drilled, BACKLOG_ORDERS)
            assert lag_seconds > BEHIND_SECONDS, "no backlog to speak of"
            assert told == []
