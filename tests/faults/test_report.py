"""The committed table is the one that the committed rows make, and a row replaces its fault's former one only."""

import threading
from pathlib import Path

import msgspec

from tests.faults import report
from tests.faults.__main__ import load_scenarios
from tests.faults.registry import FAULTS

DOCUMENT = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"


def row(name: str, runs: int = 3) -> report.Row:
    return report.Row(fault=name, runs=runs, violations=0, recovery_seconds_median=1.0, recovery_seconds_max=2.25)


def test_the_table_in_the_document_is_made_from_the_rows() -> None:
    assert report.committed_table() == report.table(report.read())


def test_every_fault_has_had_its_full_number_of_runs_without_a_violation() -> None:
    load_scenarios()
    rows = {one.fault: one for one in report.read()}
    assert rows.keys() == FAULTS.keys()
    assert [name for name, one in rows.items() if one.violations or one.runs < FAULTS[name].runs] == []


def test_a_row_takes_the_place_of_its_faults_former_one(tmp_path: Path) -> None:
    results, document = tmp_path / "faults.json", tmp_path / "guarantees.md"
    document.write_text(DOCUMENT)
    for one in (row("b"), row("a"), row("b", 9)):
        report.keep(one, results, document)
    assert [(one.fault, one.runs) for one in report.read(results)] == [("a", 3), ("b", 9)]
    assert document.read_text().startswith(f"before\n{report.BEGIN}\n| fault |")
    assert document.read_text().endswith(f"{report.END}\nafter\n")
    assert report.committed_table(document) == report.table(report.read(results))


def test_runs_that_end_at_once_keep_each_others_rows(tmp_path: Path) -> None:
    results, document = tmp_path / "faults.json", tmp_path / "guarantees.md"
    document.write_text(DOCUMENT)
    threads = [threading.Thread(target=report.keep, args=(row(f"fault{n}"), results, document)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(report.read(results)) == 20


def test_rows_have_the_keys_that_others_read(tmp_path: Path) -> None:
    results, document = tmp_path / "faults.json", tmp_path / "guarantees.md"
    document.write_text(DOCUMENT)
    report.keep(row("kill"), results, document)
    (found,) = msgspec.json.decode(results.read_bytes())
    assert {"fault", "runs", "violations", "recovery_seconds_median", "recovery_seconds_max"} <= found.keys()
