"""One monitor process on the gauges, and what its checkpoint says."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from benchmarks.gauges import pipeline
from featurestore.checkpoints import Checkpoint
from streams.monitor.state import STATE, State, decode_state
from streams.outputs import TopicNames

COMMAND = [sys.executable, "-c", "from streams.cli import main; main()", "monitor"]
AT_WORK = ": at work;"
WAIT_SECONDS = 60.0
SESSION_SECONDS = 6.0  # Kafka takes no less


class MonitorProcess:
    """`tidegate monitor` on one of the gauges' pipelines; what it says goes to a file."""

    def __init__(self, environment: dict[str, str], log: Path, which: str = "pipeline") -> None:
        self._log = log
        with log.open("ab") as out:
            self._began = out.tell()
            command = [*COMMAND, f"benchmarks.gauges:{which}", "--web-port", "0", "--session-timeout", str(SESSION_SECONDS)]
            self._process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=out, stderr=out)

    @property
    def pid(self) -> int:
        return self._process.pid

    def said(self) -> str:
        return self._log.read_bytes()[self._began :].decode(errors="replace")

    def wait_until_at_work(self) -> None:
        wait_for(lambda: AT_WORK in self.said() or self._ended(), "the monitor to be at work")

    def _ended(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"the monitor ended by itself: {self.said()}")
        return False

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def end(self) -> None:
        """Kills it, unless it has ended."""
        if self._process.poll() is None:
            self.kill()

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self._process.terminate()
        try:
            return self._process.wait(20.0)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


def wait_for(condition: Callable[[], bool], what: str, seconds: float = WAIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.05)


def read_state(environment: dict[str, str]) -> State:
    """The monitor's own checkpoint."""

    async def read() -> State:
        checkpoint = Checkpoint(environment["REDIS_URL"], f"monitor:{pipeline.name}")
        try:
            fields = await checkpoint.read()
        finally:
            await checkpoint.close()
        return decode_state(fields[STATE], pipeline.name) if STATE in fields else State()

    return asyncio.run(read())


def drained(environment: dict[str, str]) -> bool:
    consumer = Consumer({"bootstrap.servers": environment["KAFKA_BOOTSTRAP_SERVERS"], "group.id": "benchmark"})
    try:
        topic, state = TopicNames.of(pipeline.name).features, read_state(environment)
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in partitions}
    finally:
        consumer.close()
    return not state.outbox and all(state.offsets.get(f"{topic}/{p}") == end for p, end in ends.items())
