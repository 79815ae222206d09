"""Figures from rounds: medians, ratios of neighbours in time, and what is written takes nobody else's place."""

from pathlib import Path

import msgspec
import pytest

from benchmarks import profile, report
from benchmarks.contenders import OVERLAPPED, SEQUENTIAL, WORKER, last_pair, quantiles
from benchmarks.drain import Drain
from benchmarks.parts import PARTS
from benchmarks.parts.payments import BARS
from benchmarks.report import Row

OURS = WORKER.name
ROOT = Path(__file__).resolve().parents[2]


def _drain(events_per_second: float, cpu: float = 10.0) -> Drain:
    return Drain(events_per_second, cpu, 5.0, 1000.0, 2000.0, 2.0, 300.0)


RESULTS = {
    OURS: [_drain(50.0), _drain(30.0), _drain(40.0, 20.0)],
    OVERLAPPED.name: [_drain(100.0), _drain(30.0), _drain(50.0)],
    SEQUENTIAL.name: [_drain(25.0), _drain(30.0), _drain(20.0)],
}


def _rows() -> dict[str, Row]:
    return {row.name: row for row in report.rows("payments", RESULTS, BARS)}


def test_a_figure_is_the_median_of_its_rounds() -> None:
    row = _rows()[f"payments/{OURS}/events_per_second"]
    assert (row.value, row.holds) == (40.0, None)


def test_a_ratio_is_taken_round_by_round() -> None:
    """50/100, 30/30, 40/50: the median is 0.8, and not the 40/50 of medians by accident of order."""
    row = _rows()[f"payments/{OURS} against {OVERLAPPED.name}"]
    assert (row.value, row.unit, row.bar, row.holds) == (0.8, "x", 0.75, True)


def test_a_ratio_without_a_bar_is_only_reported() -> None:
    row = _rows()[f"payments/{OURS} against {SEQUENTIAL.name}"]
    assert (row.value, row.bar, row.holds) == (2.0, None, None)


def test_a_missed_bar_says_so() -> None:
    slow = {OURS: [_drain(1.0, cpu=99.0)], OVERLAPPED.name: [_drain(2.0)]}
    found = {row.name: row for row in report.rows("payments", slow, BARS)}
    assert (found[f"payments/{OURS}/worker_cpu_us"].bar, found[f"payments/{OURS}/worker_cpu_us"].holds) == (15.0, False)
    assert found[f"payments/{OURS} against {OVERLAPPED.name}"].holds is False


def test_a_table_has_a_line_a_contender() -> None:
    lines = report.table(RESULTS, [WORKER, OVERLAPPED]).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| `tidegate worker`", "| hand-written loop, overlapped"]
    assert lines[2].endswith("|  |")
    assert lines[3].endswith("| 0.80 (0.50 to 1.00) x |")


def test_a_parts_rows_take_the_place_of_its_former_ones() -> None:
    """Another part's stay, whatever their names have in common; a new part's come last."""
    before = [Row("a/x", 1.0, "s"), Row("a/y", 2.0, "s"), Row("ab/x", 3.0, "s"), Row("c/x", 4.0, "s")]
    names = [row.name for row in report.merged(before, "a", [Row("a/z", 5.0, "s")])]
    assert names == ["a/z", "ab/x", "c/x"]
    assert [row.name for row in report.merged(before, "d", [Row("d/x", 5.0, "s")])] == [*(row.name for row in before), "d/x"]


def test_rows_are_merged_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "latest.json"
    report.write_rows(path, "payments", report.rows("payments", RESULTS, BARS))
    report.write_rows(path, "other", [Row("other/x", 1.0, "s")])
    report.write_rows(path, "payments", [Row("payments/x", 2.0, "s", 1.0, False)])
    assert msgspec.json.decode(path.read_bytes(), type=list[Row]) == [
        Row("payments/x", 2.0, "s", 1.0, False),
        Row("other/x", 1.0, "s"),
    ]


def test_only_what_lies_between_the_parts_markers_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "document.md"
    (begin, end), others = report.markers("a"), "\n".join(report.markers("ab"))
    path.write_text(f"before\n{begin}\nold\n{end}\nafter\n{others}\n")
    report.write_between_markers(path, "a", "new")
    assert path.read_text() == f"before\n{begin}\nnew\n{end}\nafter\n{others}\n"
    path.write_text("no markers")
    with pytest.raises(ValueError, match="make bench a: begin"):
        report.write_between_markers(path, "a", "new")


def test_every_part_has_its_place_in_the_document() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    assert [part for part in PARTS if not all(marker in text for marker in report.markers(part))] == []


def test_the_bars_are_told_in_one_table() -> None:
    rows = [Row("a/x", 1.0, "s"), Row("a/y", 31.5, "us/event", 15.0, False), Row("b/z", 0.98, "x", 0.75, True)]
    assert report.bars(rows).splitlines()[2:] == ["| a/y | 31.5 us/event | 15 | **missed** |", "| b/z | 0.98 x | 0.75 | holds |"]


def test_chunk_quantiles_are_interpolated_within_their_bucket() -> None:
    metrics = "\n".join(
        f'tidegate_chunk_events_bucket{{le="{bound}",pipeline="p",topic="t"}} {count}'
        for bound, count in (("1.0", 0), ("1000.0", 2), ("2000.0", 4), ("+Inf", 4))
    )
    assert quantiles(metrics, (0.5, 0.75)) == (1000.0, 1500.0)


def test_printed_chunk_sizes_are_found_behind_a_banner() -> None:
    assert last_pair(b"banner\n[900.0, 1000.0]\nbye\n") == (900.0, 1000.0)
    assert last_pair(b"killed before it printed") == (0.0, 0.0)


def test_samples_are_folded_by_stage() -> None:
    raw = "\n".join(
        [
            "main (x.py:1);Flow.__call__ (streams/flow.py:80);ServingModel.judge (streams/serving.py:40);predict (basic.py:9) 3",
            "main (x.py:1);Flow.__call__ (streams/flow.py:80);RedisStore.read (featurestore/redis_store.py:84) 2",
            "run (threading.py:9);select (selectors.py:1) 1",
        ]
    )
    assert profile.fold(raw) == {"score": 3, "read: Redis client": 2, "waiting": 1}
