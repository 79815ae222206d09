"""The world in which alerts are drilled: Kafka, Valkey, two workers, monitor and lag process, under Prometheus and Alertmanager.

All are real processes on loopback; what goes wrong with them is the drills' to do. Prometheus looks and judges every second.
"""

import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from benchmarks.accept import alerts_pipeline
from benchmarks.accept.alerts_model import Versions
from benchmarks.accept.alerts_pipeline import Order, Quote, pipeline
from benchmarks.accept.alerts_processes import Command
from benchmarks.accept.alerts_servers import AlertmanagerServer, PrometheusServer, program
from benchmarks.accept.alerts_sink import Sink
from benchmarks.accept.alerts_traffic import Traffic
from featurestore.events import contract
from monitors.routing import decode_teams, render
from streams.alerting import files, muted_by
from streams.alertmanager import ActiveAlert, Alertmanager
from streams.embedded import Stack
from streams.settings import Settings
from streams.topics import ensure_topics, output_topic

WORKERS = PARTITIONS = 2
# Few events a chunk, so that a backlog takes as long to drain as it would on a pipeline of many features.
SLOW = ["--max-chunk-events", "20", "--in-flight", "1"]
READY_SECONDS = 120.0  # 8 s on two quiet cores
POLL_SECONDS = 0.2
WEEK_SECONDS = 7 * 86_400
PAGING = ("page", "escalate")
JUDGED = "sum(tidegate_drift_windows_total)"
WARM_WINDOWS = 8  # the monitor's first ones hold users who have not ordered yet
# Pages that wait out their rule's `for`, or did until a moment ago: not yet, or just now, in Alertmanager.
COMING = 'count(count_over_time(ALERTS{severity=~"page|escalate",alertstate="pending"}[2s]))'
TEAMS = """
default: {team}
heartbeat: {{webhook_configs: [{{url: "{sink}heartbeat", send_resolved: false}}]}}
teams:
  {team}:
    pager: {{webhook_configs: [{{url: "{sink}pager"}}]}}
    tickets: {{webhook_configs: [{{url: "{sink}tickets"}}]}}
"""


@dataclass(slots=True, kw_only=True)
class World:
    """All of it, running. `started_seconds` is how long that took."""

    stack: Stack
    versions: Versions
    workers: list[Command]
    monitor: Command
    lag: Command
    traffic: Traffic
    sink: Sink
    alertmanager: AlertmanagerServer
    prometheus: PrometheusServer
    started_seconds: float = 0.0

    @property
    def commands(self) -> list[Command]:
        return [*self.workers, self.monitor, self.lag]

    def firing(self) -> list[ActiveAlert]:
        """What Alertmanager has, muted or not."""
        return Alertmanager(self.alertmanager.url).alerts()

    def pages(self) -> list[ActiveAlert]:
        """What would wake somebody: escalations and pages that nothing mutes."""
        return [one for one in self.firing() if one.labels["severity"] in PAGING and one.status.state == "active"]

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Until it holds; how long that took. AssertionError, with what fires, where it does not in time."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > seconds:
                raise AssertionError(f"waited {seconds:.0f} s for {what}; {self.told()}")
            time.sleep(POLL_SECONDS)
        return time.monotonic() - began

    def wait_for(self, alertname: str, seconds: float, since: float = 0.0) -> ActiveAlert:
        """The alert, as soon as it fires; one that has fired since then (seconds since the epoch)."""
        found: list[ActiveAlert] = []

        def fires() -> bool:
            found[:] = [one for one in self.firing() if one.name == alertname and one.starts_at.timestamp() >= since]
            return bool(found)

        self.wait(fires, seconds, alertname)
        return found[0]

    def value(self, expression: str) -> float:
        """What Prometheus makes of an expression of one series, as of now; 0 where there is none."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.prometheus.url}/api/v1/query?{query}", timeout=10) as answer:
            found = msgspec.json.decode(answer.read())["data"]["result"]
        return float(found[0]["value"][1]) if found else 0.0

    def wait_until_quiet(self, seconds: float = 90.0) -> float:
        """Until nothing pages, nor is about to."""
        return self.wait(lambda: not self.value(COMING) and not self.pages(), seconds, "no page")

    def wait_until_ready(self, *commands: Command) -> None:
        self.wait(lambda: all(one.ready for one in commands), READY_SECONDS, f"{', '.join(one.title for one in commands)}")

    def told(self) -> str:
        """What fires, and what the processes said last."""
        firing = [f"{one.name} ({one.labels['severity']}, {one.status.state})" for one in self.firing()]
        said = [f"{one.title}:\n{one.said()}" for one in self.commands]
        return "\n".join([f"firing: {', '.join(firing) or 'nothing'}", *said])


@contextmanager
def world(time_scale: float) -> Iterator[World]:
    """Under the pipeline's own rules with shortened times; until every process is ready and traffic flows; killed at the end.

    MissingPart where Debian's packages lack.
    """
    for name in ("prometheus", "prometheus-alertmanager"):
        program(name)
    began = time.monotonic()
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-drill-")))
        with ThreadPoolExecutor(1) as beside:
            training = beside.submit(Versions.train, _settings("", "", folder), folder)
            stack = ending.enter_context(Stack.start(environ={}, appendonly=True))
            hashes = training.result().hashes
        settings = _settings(stack.bootstrap_servers, stack.redis_url, folder)
        found = _built(ending, time_scale, stack, Versions(hashes, settings), folder)
        found.wait_until_ready(*found.commands)
        found.traffic.start()  # only now: a backlog would be told of
        found.wait(lambda: found.value(JUDGED) >= WARM_WINDOWS, READY_SECONDS, "the monitor's windows")
        found.started_seconds = time.monotonic() - began
        yield found


def _settings(kafka: str, redis: str, folder: Path) -> Settings:
    return Settings.from_environment(_variables(kafka, redis, folder), folder)


def _variables(kafka: str, redis: str, folder: Path) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "REDIS_URL": redis,
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/none.db",
        "TIDEGATE_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }


def _built(ending: ExitStack, time_scale: float, stack: Stack, versions: Versions, folder: Path) -> World:
    """Everything started, nothing waited for."""
    topics = [output_topic(contract(event).topic, PARTITIONS) for event in (Order, Quote)]
    ensure_topics(stack.bootstrap_servers, topics)
    versions.deploy(1)
    variables = _variables(stack.bootstrap_servers, stack.redis_url, folder)
    commands = [Command(title, arguments, variables, folder) for title, arguments in _commands().items()]
    for command in commands:
        ending.callback(command.kill)
        command.start()
    traffic = Traffic(stack.bootstrap_servers)
    ending.callback(traffic.stop)
    traffic.prime()
    sink = ending.enter_context(Sink())
    routes = render(
        decode_teams(TEAMS.format(team=pipeline.team, sink=sink.url(""))), muted_by([pipeline]), "a drill", time_scale
    )
    alertmanager = ending.enter_context(AlertmanagerServer(routes))
    prometheus = ending.enter_context(
        PrometheusServer(_prometheus(commands, alertmanager), files(pipeline, time_scale=time_scale), _last_week(traffic.orders))
    )
    *workers, monitor, lag = commands
    return World(
        stack=stack,
        versions=versions,
        workers=workers,
        monitor=monitor,
        lag=lag,
        traffic=traffic,
        sink=sink,
        alertmanager=alertmanager,
        prometheus=prometheus,
    )


def _commands() -> dict[str, list[str]]:
    file = str(alerts_pipeline.__file__)
    session = ["--session-timeout", "6"]  # Kafka takes no less
    workers = {f"worker-{number}": ["worker", file, *session, *SLOW] for number in range(WORKERS)}
    return workers | {
        "monitor": ["monitor", file, "--skew-every", "0", *session],
        "lag": ["lag", "--interval", "1s", "--group", f"tidegate.{pipeline.name}*"],
    }


def _prometheus(commands: list[Command], alertmanager: AlertmanagerServer) -> str:
    """Jobs as in deploy/prometheus; every second, so that drills are short."""
    jobs: dict[str, list[str]] = {}
    for command in commands:
        jobs.setdefault(f"tidegate-{command.title.partition('-')[0]}", []).append(command.target)
    whole = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["*.rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager.url.removeprefix("http://")]}]}]},
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": found}]} for job, found in jobs.items()],
    }
    return msgspec.yaml.encode(whole).decode()


def _last_week(events_per_second: float) -> str:
    """The same traffic a week ago, from two hours before now to three after, so that rules know what is usual."""
    now = int(time.time()) - WEEK_SECONDS
    labels = f'{{pipeline="{pipeline.name}"}}'
    samples = [f"tidegate:events:rate_5m{labels} {events_per_second} {at}" for at in range(now - 7_200, now + 10_800, 30)]
    return "\n".join(["# TYPE tidegate:events:rate_5m gauge", *samples, "# EOF", ""])
