"""Figures from rounds: medians, ratios of neighbours in time, and text that goes between its markers only."""

from pathlib import Path

import msgspec
import pytest

from benchmarks import profile, report
from benchmarks.contenders import CONTENDERS, quantiles
from benchmarks.drain import Drain

OURS, _, OVERLAPPED = (contender.name for contender in CONTENDERS)


def _drain(events_per_second: float, cpu: float = 10.0) -> Drain:
    return Drain(events_per_second, cpu, 5.0, 1000.0, 2000.0, 2.0, 300.0)


RESULTS = {OURS: [_drain(50.0), _drain(30.0), _drain(40.0, 20.0)], OVERLAPPED: [_drain(100.0), _drain(30.0), _drain(50.0)]}


def test_a_figure_is_the_median_of_its_rounds() -> None:
    found = {row.name: row for row in report.rows(RESULTS)}
    assert found[f"payments/{OURS}/events_per_second"].value == 40.0
    assert found[f"payments/{OURS}/events_per_second"].holds is None


def test_a_ratio_is_taken_round_by_round() -> None:
    """50/100, 30/30, 40/50: the median is 0.8, and not the 40/50 of medians by accident of order."""
    row = next(row for row in report.rows(RESULTS) if row.unit == "x")
    assert (row.value, row.bar, row.holds) == (0.8, report.OVERLAPPED_BAR, True)


def test_a_missed_bar_says_so() -> None:
    slow = {OURS: [_drain(1.0, cpu=99.0)]}
    row = next(row for row in report.rows(slow) if row.name.endswith("worker_cpu_us"))
    assert (row.bar, row.holds) == (report.WORKER_CPU_BAR, False)


def test_rows_are_written_as_json(tmp_path: Path) -> None:
    path = tmp_path / "new" / "latest.json"
    report.write_rows(path, report.rows(RESULTS))
    assert msgspec.json.decode(path.read_bytes(), type=list[report.Row]) == report.rows(RESULTS)


def test_only_what_lies_between_the_markers_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "document.md"
    path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_between_markers(path, "new")
    assert path.read_text() == f"before\n{report.BEGIN}\nnew\n{report.END}\nafter\n"
    path.write_text("no markers")
    with pytest.raises(ValueError, match="make bench: begin"):
        report.write_between_markers(path, "new")


def test_chunk_quantiles_are_interpolated_within_their_bucket() -> None:
    metrics = "\n".join(
        f'tidegate_chunk_events_bucket{{le="{bound}",pipeline="p",topic="t"}} {count}'
        for bound, count in (("1.0", 0), ("1000.0", 2), ("2000.0", 4), ("+Inf", 4))
    )
    assert quantiles(metrics, (0.5, 0.75)) == (1000.0, 1500.0)


def test_samples_are_folded_by_stage() -> None:
    raw = "\n".join(
        [
            "main (x.py:1);Flow.__call__ (streams/flow.py:80);ServingModel.judge (streams/serving.py:40);predict (basic.py:9) 3",
            "main (x.py:1);Flow.__call__ (streams/flow.py:80);RedisStore.read (featurestore/redis_store.py:84) 2",
            "run (threading.py:9);select (selectors.py:1) 1",
        ]
    )
    assert profile.fold(raw) == {"score": 3, "read: Redis client": 2, "waiting": 1}
