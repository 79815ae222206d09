"""Faust's pitfalls at micro-batch speed: the tests that stand nowhere else, and that docs/decisions.md names real ones."""

from __future__ import annotations

import ast
import asyncio
import configparser
import importlib.metadata
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import faust.streams
import pytest
from faust.types.enums import ProcessingGuarantee

from monitors.metrics import WorkerMetrics
from streams import faust_app
from streams.chunk import Chunk, Chunking
from streams.errors import CompiledStreamsMissing
from streams.faust_app import AppSettings, MicroBatchApp, create_app
from streams.fetching import pace_fetches

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (\d+|also) \|.*\| (`tests/[^|]*) \|$", re.MULTILINE)


async def ignore(chunk: Chunk) -> None:
    return None


@pytest.fixture
def app(loop: asyncio.AbstractEventLoop) -> MicroBatchApp:
    return create_app(AppSettings(app_id="a", bootstrap_servers="b:1"), ["t"], ignore)


def table() -> dict[str, list[str]]:
    """Test ids per pitfall, as the table in docs/decisions.md names them."""
    found: dict[str, list[str]] = {}
    for number, tests in ROW.findall((ROOT / "docs/decisions.md").read_text()):
        found.setdefault(number, []).extend(re.findall(r"`([^`]+)`", tests))
    return found


def test_every_pitfall_has_its_tests() -> None:
    assert list(table()) == [*(str(n) for n in range(1, 19)), "also"]


@pytest.mark.parametrize("test", [test for tests in table().values() for test in tests])
def test_the_tests_that_the_table_names_exist(test: str) -> None:
    path, _, name = test.partition("::")
    functions = {node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)}
    assert any(function.startswith("test_") for function in functions)
    assert not name or name in functions


def test_what_is_fetched_and_buffered_is_bounded(app: MicroBatchApp) -> None:
    """Pitfall 11: None would drain everything prefetched, and the stream's buffer counts chunks of thousands."""
    assert app.conf.broker_max_poll_records == 8000
    assert app.conf.stream_buffer_maxsize == 4
    assert app.chunking.max_buffered_events == 16_000


def test_a_timers_error_is_counted() -> None:
    """Pitfall 12."""
    errors: list[Exception] = []

    async def broken() -> None:
        raise ValueError("broken")

    run = faust_app.guarded(broken, errors.append)

    async def scenario() -> None:
        await run()

    asyncio.run(scenario())
    assert [str(error) for error in errors] == ["broken"]


def test_a_worker_reports_no_lag() -> None:
    """Pitfall 13: Faust's end offsets stand still when the worker does, which is when lag matters."""
    metrics = WorkerMetrics("p", ["g"], ["malformed"])
    assert not [family.name for family in metrics.registry.collect() if "lag" in family.name.split("_")]


def test_the_version_of_faust_is_bounded_below() -> None:
    """Pitfall 14: rebalances failed wholesale before 0.15.2, latencies were 1000 times off before 0.15.3."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    assert "faust-streaming>=0.15.3,<0.16" in setup["options"]["install_requires"].split("\n")
    assert tuple(int(part) for part in importlib.metadata.version("faust-streaming").split(".")[:3]) >= (0, 15, 3)


def test_a_chunk_is_bounded(app: MicroBatchApp) -> None:
    """Pitfall 15: 2,000 events are 100 to 200 ms of work."""
    assert app.chunking.max_chunk_events == 2000
    assert AppSettings(app_id="a", bootstrap_servers="b:1").max_chunk_events == 2000


def test_fausts_transactions_are_not_used(app: MicroBatchApp) -> None:
    """Pitfall 16."""
    assert app.conf.processing_guarantee is ProcessingGuarantee.AT_LEAST_ONCE
    assert not app.in_transaction


def test_an_app_without_compiled_streams_does_not_start(
    app: MicroBatchApp, loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pitfall 17."""
    assert not app.conf.cython_optimizations
    monkeypatch.setattr(faust.streams, "_CStreamIterator", None)
    with pytest.raises(CompiledStreamsMissing):
        loop.run_until_complete(app.on_start())


def test_a_worker_that_cannot_stop_ends_hard() -> None:
    """Pitfall 18: a timer in a thread of its own, armed by the stop, ends the process when its loop does not."""
    script = """
import asyncio, sys, time
from types import SimpleNamespace
from streams import running
running.CLOSE_SECONDS = 0.2
worker = running.Worker.__new__(running.Worker)
worker.app, worker._deadline = SimpleNamespace(chunking=SimpleNamespace(drain_seconds=0.1)), None
worker._arm()
time.sleep(300)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "The worker did not stop within 0 s and ends now." in done.stderr


def test_the_settings_that_faust_is_given(app: MicroBatchApp) -> None:
    """Commits by time alone; nothing waits for tables or leaders; no pages of Faust's; the session as told."""
    conf = app.conf
    assert (conf.broker_commit_interval, conf.broker_commit_every) == (1.0, faust_app.NEVER)
    assert conf.stream_wait_empty
    assert (conf.table_standby_replicas, conf.topic_disable_leader, conf.topic_allow_declare) == (0, True, False)
    assert not conf.web_enabled
    assert (conf.broker_session_timeout, conf.broker_heartbeat_interval) == (30.0, 3.0)
    assert conf.broker_max_poll_interval > 60


def test_the_fetch_is_paced() -> None:
    """15 ms for 100 kB while records flow, 250 ms for the first byte after a silence; Faust fixes 1,500 ms."""
    fetcher = SimpleNamespace(_records={}, _get_actions_per_node=lambda assignment: [], _prefetch_backoff=0.1)
    chunking = Chunking(topics=frozenset(), handler=ignore, hooks=faust_app.NoHooks())
    pace_fetches(fetcher, chunking)
    fetcher._records = {"some": "records"}
    fetcher._get_actions_per_node(None)
    assert (fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes) == (15, 100_000)
    fetcher._records = {}
    time.sleep(0.04)  # the silence itself is what is measured
    fetcher._get_actions_per_node(None)
    assert (fetcher._fetch_max_wait_ms, fetcher._fetch_min_bytes) == (250, 1)
    assert fetcher._prefetch_backoff == 0.015
