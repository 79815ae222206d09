"""Alerts for a real Alertmanager, put in as Prometheus does, and what it says of them."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.request import Request, urlopen

import msgspec
import pytest

from benchmarks.accept.alerts_servers import AlertmanagerServer, program
from streams.alertmanager import Alertmanager
from streams.embedded.errors import MissingPart

LABELS = {"pipeline": "payment-fraud", "family": "lag", "team": "airline", "severity": "page"}


@contextmanager
def alertmanager(configuration: str) -> Iterator[AlertmanagerServer]:
    try:
        program("prometheus-alertmanager")
    except MissingPart as error:
        pytest.skip(str(error))
    with AlertmanagerServer(configuration) as server:
        yield server


def fire(url: str, *names: str, **labels: str) -> None:
    """Alerts of these names, labelled as LABELS says and `labels` corrects."""
    begin = datetime.now(UTC)
    common = {"startsAt": begin, "endsAt": begin + timedelta(hours=1), "annotations": {"summary": "a test's"}}
    alerts = [common | {"labels": LABELS | labels | {"alertname": name}} for name in names]
    request = Request(f"{url}/api/v2/alerts", msgspec.json.encode(alerts), {"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def inhibited(url: str, *expected: str, seconds: float = 20) -> set[str]:
    """The names of inhibited alerts, as soon as they are the expected ones and every alert was looked at, else at the end."""
    deadline = time.monotonic() + seconds
    while True:
        found = Alertmanager(url).alerts()
        names = {one.name for one in found if one.status.inhibited_by}
        if (names == set(expected) and all(one.status.state != "unprocessed" for one in found)) or time.monotonic() > deadline:
            return names
