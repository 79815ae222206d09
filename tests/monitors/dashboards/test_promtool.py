"""Prometheus' own parser reads every expression of the dashboards."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.monitors.dashboards.promql import filled
from tests.monitors.dashboards.test_dashboards import DASHBOARDS, expressions


def checked(expressions: list[str], tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """What promtool says of a file with a rule for each."""
    if (promtool := shutil.which("promtool")) is None:
        pytest.skip("no promtool: apt-get install prometheus")
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(expressions)]
    file = tmp_path / "panels.rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    return subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("uid", list(DASHBOARDS))
def test_promtool_reads_every_expression(uid: str, tmp_path: Path) -> None:
    done = checked([filled(expr) for expr in expressions(DASHBOARDS[uid])], tmp_path)
    assert done.returncode == 0, done.stderr


def test_promtool_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    done = checked(["sum(rate(tidegate_events_total[1m])"], tmp_path)
    assert done.returncode != 0
    assert "unclosed left parenthesis" in done.stderr
