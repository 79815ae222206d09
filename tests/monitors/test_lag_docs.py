"""docs/lag.md says what the code does: the truth table row by row, every metric, every status with its code."""

import re
from pathlib import Path

from prometheus_client import generate_latest

from monitors.lag import CODES
from monitors.lag_metrics import registry_of
from monitors.lag_snapshot import Snapshot
from monitors.process_metrics import LIMIT
from tests.monitors.lag_table import ROWS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "lag.md").read_text()


def test_the_truth_table_is_the_tests() -> None:
    lines = TEXT.splitlines()
    begin = lines.index("| what is seen | looks: committed/end, every 6 s | a member has it | status | why |") + 2
    table = lines[begin : lines.index("", begin)]
    assert table == [row.markdown() for row in ROWS]


def test_every_metric_is_described_and_no_other_is_named() -> None:
    page = generate_latest(registry_of(Snapshot)).decode()
    found = set(re.findall(r"# TYPE (\w+) gauge", page)) | {LIMIT}  # a machine may have none
    assert set(re.findall(r"tidegate_(?:consumer|lag|process)_\w+", TEXT)) == found


def test_every_status_stands_with_its_code() -> None:
    assert all(f"| {code} | `{status.value}` |" in TEXT for status, code in CODES.items())
