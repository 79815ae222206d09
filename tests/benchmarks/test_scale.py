"""Several processes as one, more partitions, starts: what is pure of it."""

import math

import pytest

from benchmarks import report, starts
from benchmarks.contenders import has_partitions, mean, quantiles
from benchmarks.drain import Drain, Sample, steady, steady_of_all
from benchmarks.parts import chunk_size, startup
from benchmarks.parts.workers import ONE, TWO
from tests.faults.report import Row as Fault

READY = "p: model p v1, http://127.0.0.1:1/readyz; partitions of"


def _samples(*each: tuple[int, ...], assigned_from: int = 0) -> list[Sample]:
    return [Sample(float(i), one, 0.0, 0.0, i >= assigned_from) for i, one in enumerate(each)]


def _drain(events_per_second: float, cpu: float) -> Drain:
    return Drain(events_per_second, cpu, 5.0, 1000.0, 2000.0, 2.0, 300.0, 700.0)


def test_steady_is_from_a_tenth_to_95_percent_of_all() -> None:
    first, last = steady(_samples((0, 0), (4, 5), (5, 5), (50, 44), (50, 45), (50, 50)), 100)
    assert (first.at, last.at) == (2.0, 4.0)


def test_several_are_steady_while_all_have_partitions_and_work() -> None:
    """Of 50 each, the first partition is at 48 when the second has 40: its worker has no more to do."""
    samples = _samples((0, 0), (10, 0), (15, 1), (48, 40), (50, 47), (50, 50), assigned_from=2)
    first, last = steady_of_all(samples)
    assert (first.at, last.at) == (2.0, 3.0)


def test_several_that_hardly_worked_together_were_not_measured() -> None:
    late = _samples((0, 0), (10, 10), (40, 40), (50, 50), assigned_from=2)
    never = _samples((0, 0), (10, 10), (40, 40), (50, 50), assigned_from=9)
    for samples in (late, never):
        with pytest.raises(RuntimeError, match="of 100 events only"):
            steady_of_all(samples)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", False),
        (f"{READY} payments 0 1", True),
        (f"{READY} none (others have them all)\n{READY} payments 3\n", True),
        (f"{READY} payments 0 1\n{READY} none (others have them all)\na warning\n", False),
    ],
)
def test_what_a_worker_said_last_of_its_partitions_counts(said: str, expected: bool) -> None:
    assert has_partitions(said) is expected


def test_histograms_of_two_workers_are_added_up() -> None:
    line = 'tidegate_chunk_events_{}{{pipeline="p",topic="t"{}}} {}\n'
    one = "".join(line.format("bucket", f',le="{bound}"', count) for bound, count in (("100.0", 1), ("200.0", 1), ("+Inf", 1)))
    two = "".join(line.format("bucket", f',le="{bound}"', count) for bound, count in (("100.0", 0), ("200.0", 3), ("+Inf", 3)))
    assert quantiles(one + two, (0.25, 1.0)) == (100.0, 200.0)
    totals = [line.format(name, "", value) for name, value in (("sum", 90), ("count", 1), ("sum", 510), ("count", 3))]
    assert mean("".join(totals)) == 150.0
    assert math.isnan(mean(""))


def test_figures_are_compared_round_by_round() -> None:
    ones, others = [_drain(50.0, 10.0), _drain(30.0, 30.0)], [_drain(100.0, 5.0), _drain(30.0, 10.0)]
    assert report.by_round(ones, others, "worker_cpu_us") == report.Spread(2.5, 2.0, 3.0)


def test_a_bar_is_the_most_or_the_least_that_is_good() -> None:
    assert [report.at_most("a", value, "s", 2.0).holds for value in (2.0, 2.1)] == [True, False]
    assert [report.at_least("a", value, "x", 2.0).holds for value in (2.0, 1.9)] == [True, False]
    assert report.at_most("a", 1.0, "s").holds is None


def test_costs_are_throughput_and_cpu() -> None:
    rows = report.costs("workers", {ONE.name: [_drain(50.0, 10.0)], TWO.name: [_drain(60.0, 11.0)]})
    assert [row.name for row in rows[:3]] == [
        "workers/one worker/events_per_second",
        "workers/one worker/worker_cpu_us",
        "workers/one worker/redis_cpu_us",
    ]
    assert (len(rows), rows[4].value) == (6, 11.0)


def test_a_table_of_costs_has_a_line_a_circumstance() -> None:
    table = report.cost_table("workers", {ONE.name: [_drain(50.0, 10.0)]}, [ONE]).splitlines()
    assert table[2] == "| one | 50 (50 to 50) | 10.0 (10.0 to 10.0) | 5.0 (5.0 to 5.0) | 700 |"


def test_sizes_of_chunks_are_the_workers_option() -> None:
    one = chunk_size.contender(chunk_size.DEFAULT)
    assert (one.command[-2:], one.title) == (("--max-chunk-events", "2000"), "2,000 (default)")
    assert chunk_size.DEFAULT in chunk_size.SIZES


def test_phases_of_a_start_add_up() -> None:
    moments = {"begin": 0.0, "pages": 1.0, "model": 1.5, "kernel": 1.5, "redis": 2.0, "partitions": 2.25, "prediction": 3.0}
    found = starts.durations(moments)
    assert (found["pages"], found["kernel"], found["prediction"]) == (1.0, 0.0, 0.75)
    assert (list(found), sum(found.values())) == (list(starts.PHASES), 3.0)


def test_a_page_that_does_not_answer_says_nothing() -> None:
    assert starts.done(None) == []


def test_recovery_after_a_kill_is_told_where_it_was_measured() -> None:
    kill = Fault(fault="kill", runs=7, violations=0, recovery_seconds_median=6.89, recovery_seconds_max=8.58)
    assert "6.9 s in the median and 8.6 s at most ([7 kills of `make faults`](guarantees.md))" in startup.after_a_kill([kill])
    assert startup.after_a_kill([]) == ""
