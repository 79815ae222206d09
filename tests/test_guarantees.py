"""docs/guarantees.md names for each promise what proves it; those faults and tests exist."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/guarantees.md").read_text().split("<!-- faults:begin -->")[0]
NO_PROOFS = """
    future_skew_seconds lateness_tiles max_age including_self prediction_id event_id degrade_max_events
    scoring refused oversize future late degraded noeviction saw_own_future
"""


def named() -> set[str]:
    return set(re.findall(r"`([a-z0-9_]+)`", PAGE)) - set(NO_PROOFS.split())


def test_every_fault_and_test_that_is_named_exists() -> None:
    sources = {path: path.read_text() for path in (ROOT / "tests").rglob("*.py")}
    faults = {name for text in sources.values() for name in re.findall(r'@fault\(\s*"(\w+)"', text)}
    tests = {name for text in sources.values() for name in re.findall(r"^def (test_\w+)", text, re.MULTILINE)}
    assert faults
    assert named() - faults - tests == set()


def test_every_file_that_is_named_exists() -> None:
    paths = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
