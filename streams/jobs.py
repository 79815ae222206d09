"""The topic ``tidegate.jobs``: how each run of `tidegate train` and `tidegate backfill` ended, for the monitor and for people.

A run is recorded once, when it ends; one that is killed leaves no record, so that only the time of the last success tells of it.
What was done is in other topics: deployments, and in the audit what was filled from files.
"""

import logging
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from monitors.job_metrics import SUCCEEDED, JobTotals
from streams.chunk import TP
from streams.errors import JobsError
from streams.small_topic import append, kept_topic, read_all
from streams.topic_facts import TopicFacts
from streams.topics import ensure_topics

Job = Literal["train", "backfill"]

log = logging.getLogger(__name__)

TOPIC = "tidegate.jobs"
SPEC = kept_topic(TOPIC)
# For the topic, and again for the record. A broker that is there takes milliseconds; nobody waits longer for one that is not.
WRITE_SECONDS = 3.0


class JobRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a job on a pipeline. Times are seconds since the epoch, UTC. Fields are only ever added, with defaults.

    ``seconds`` is how long it took, by a clock that is never set. ``why``: the class of the error that a run failed with (never
    its message, which may name events); KeyboardInterrupt is Ctrl-C; null where it succeeded.
    """

    run_id: str
    pipeline: str
    job: Job
    result: Literal["succeeded", "failed"]
    who: str
    started: float
    finished: float
    seconds: float
    why: str | None = None


@contextmanager
def recorded(bootstrap_servers: str | None, job: Job, pipeline: str, who: str) -> Iterator[None]:
    """Records how the block ended; what it raises passes. Nothing is recorded where there is no Kafka (None).

    A record that cannot be written is a warning, after a few seconds at most: it says nothing of the work.
    """
    if bootstrap_servers is None:
        yield
        return
    started, clock, why = time.time(), time.monotonic(), None
    try:
        yield
    except BaseException as error:  # Ctrl-C, too
        why = type(error).__name__
        raise
    finally:
        run = JobRun(
            run_id=uuid.uuid4().hex,
            pipeline=pipeline,
            job=job,
            result="succeeded" if why is None else "failed",
            who=who,
            started=started,
            finished=time.time(),
            seconds=time.monotonic() - clock,
            why=why,
        )
        try:
            write_run(bootstrap_servers, run)
        except Exception as error:  # whatever it is, the work is done, or has failed for a reason of its own
            log.warning("this run of tidegate %s could not be recorded: %s", job, error)


def write_run(bootstrap_servers: str, run: JobRun) -> None:
    """Writes a run and waits until every replica has it, but not long; JobsError or TopicError otherwise."""
    ensure_topics(bootstrap_servers, [SPEC], timeout_seconds=WRITE_SECONDS)
    append(bootstrap_servers, TOPIC, run.pipeline, msgspec.json.encode(run), JobsError, WRITE_SECONDS)


def read_runs(bootstrap_servers: str) -> list[JobRun]:
    """Every run, in order; unreadable records are logged and skipped. The topic must be there."""
    return read_all(bootstrap_servers, TOPIC, _decode, msgspec.DecodeError, JobsError)


def _decode(value: bytes) -> JobRun:
    return msgspec.json.decode(value, type=JobRun)


class NewRuns:
    """Reads the runs whenever there are more."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._bootstrap_servers, self._facts = bootstrap_servers, TopicFacts(bootstrap_servers)
        self._end: int | None = None

    def __call__(self) -> list[JobRun] | None:
        """Every run, the first time and where the topic is another than when this was last asked; else None."""
        end = self._facts.ends([TP(TOPIC, 0)])[TP(TOPIC, 0)]
        if end == self._end:
            return None
        runs = read_runs(self._bootstrap_servers)
        self._end = end
        return runs


def totals(runs: Iterable[JobRun], pipeline: str) -> JobTotals:
    """How often a pipeline's jobs ended how, and when each last succeeded."""
    mine = [run for run in runs if run.pipeline == pipeline]
    last: dict[str, float] = {}
    for run in mine:
        if run.result == SUCCEEDED:
            last[run.job] = max(run.finished, last.get(run.job, 0.0))
    return JobTotals(Counter((run.job, run.result) for run in mine), last)
