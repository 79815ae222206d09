"""How runs are recorded where nothing can be: without Kafka not at all, with one that is away only as a warning, soon."""

import getpass
import os
import socket
import time
from collections.abc import Iterator

import pytest

from monitors.job_metrics import JobTotals
from streams import jobs
from streams.cli.options import user
from streams.jobs import JobRun, recorded, totals


def run(job: str, result: str, finished: float, pipeline: str = "fraud") -> JobRun:
    return JobRun(
        run_id=f"{job}-{finished}",
        pipeline=pipeline,
        job=job,  # type: ignore[arg-type]
        result=result,  # type: ignore[arg-type]
        who="tester",
        started=finished - 10,
        finished=finished,
        seconds=10.0,
    )


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that takes connections and never answers, as a broker that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_runs_are_counted_by_job_and_result_and_the_last_success_is_known() -> None:
    found = [
        run("train", "succeeded", 100.0),
        run("train", "failed", 200.0),
        run("train", "succeeded", 150.0),
        run("backfill", "failed", 300.0),
        run("train", "succeeded", 900.0, pipeline="other"),
    ]
    expected = {("train", "succeeded"): 2, ("train", "failed"): 1, ("backfill", "failed"): 1}
    assert totals(found, "fraud") == JobTotals(expected, {"train": 150.0})
    assert totals([], "fraud") == JobTotals()


def test_without_kafka_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[JobRun] = []
    monkeypatch.setattr(jobs, "write_run", lambda _, run: written.append(run))
    with recorded(None, "train", "fraud", "tester"):
        pass
    with pytest.raises(ZeroDivisionError), recorded(None, "train", "fraud", "tester"):
        raise ZeroDivisionError
    assert written == []


def test_a_broker_that_is_away_is_a_warning_and_soon(silent: str, caplog: pytest.LogCaptureFixture) -> None:
    """The work went well, and what it says of itself stays so."""
    for address in (silent, "127.0.0.1:1"):
        began = time.monotonic()
        with recorded(address, "train", "fraud", "tester"):
            pass
        assert time.monotonic() - began < 3 * jobs.WRITE_SECONDS
        assert "this run of tidegate train could not be recorded: Kafka did not answer within 3 s" in caplog.text
        caplog.clear()


def test_a_failed_run_keeps_its_error_though_it_cannot_be_recorded(silent: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError), recorded(silent, "backfill", "fraud", "tester"):
        raise ZeroDivisionError("of this one")
    assert "this run of tidegate backfill could not be recorded" in caplog.text


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container with a user id of the platform's choice; `tidegate train` must run there."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 1000710000")

    assert user() == getpass.getuser()
    monkeypatch.setattr("streams.cli.options.getuser", nameless)
    assert user() == f"uid {os.getuid()}"
