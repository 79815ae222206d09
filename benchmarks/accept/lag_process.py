"""`tidegate lag` as a process of its own: started, scraped, killed. What it shows is taken from /metrics and nowhere else."""

import math
import os
import re
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from streams.chunk import TP

COMMAND = "from streams.cli import main; main()"
START_SECONDS = 60.0
POLL_SECONDS = 0.02
SECONDS = "tidegate_consumer_lag_seconds"


@dataclass(frozen=True, slots=True)
class Scrape:
    """One page: the look it is of, its lag in seconds by group and partition, all groups named, and how many values are NaN."""

    looked_at: float
    look_seconds: float
    lag_seconds: dict[tuple[str, TP], float]
    groups: frozenset[str]
    nans: int


class LagProcess:
    """Running from the beginning; `kill` is SIGKILL."""

    def __init__(self, bootstrap_servers: str, interval: str) -> None:
        command = [sys.executable, "-c", COMMAND, "lag", "--web-port", "0", "--interval", interval]
        environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers}
        self._process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        told = self._process.stderr.readline()
        found = re.search(r"(http://\S+/metrics)", told)
        if found is None:
            self.kill()
            raise RuntimeError(f"tidegate lag did not start: {told}")
        self._url = found[1]
        self.started_at = time.time()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()

    def scrape(self) -> Scrape:
        with urllib.request.urlopen(self._url, timeout=5) as answer:
            text = answer.read().decode()
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        own = {sample.name: sample.value for sample in samples if not sample.labels}
        lags = {
            (one.labels["group"], TP(one.labels["topic"], int(one.labels["partition"]))): one.value
            for one in samples
            if one.name == SECONDS
        }
        return Scrape(
            own["tidegate_lag_last_look_timestamp_seconds"],
            own["tidegate_lag_look_duration_seconds"],
            lags,
            frozenset(sample.labels["group"] for sample in samples if "group" in sample.labels),
            sum(math.isnan(sample.value) for sample in samples),
        )

    def next_look(self, after: float) -> Scrape:
        """The first page of a look later than the one at `after`."""
        deadline = time.monotonic() + START_SECONDS
        while (found := self.scrape()).looked_at <= after:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no look at all of Kafka within {START_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)
        return found
