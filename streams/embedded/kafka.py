"""A real Apache Kafka on loopback: KRaft, one node, broker and controller in one process.

The jars are jars.py's, the Java java.py's, the process server.py's; this file holds Kafka's settings and says when
the broker answers. Settings differ from Kafka's own where one node, a small heap or a test needs it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from streams.embedded.archive import ClassArchive
from streams.embedded.errors import ServerFailed
from streams.embedded.external import kafka_answers
from streams.embedded.jars import JarCache, Progress, cache_directory
from streams.embedded.java import Java, find_java
from streams.embedded.ports import LOOPBACK, accepts
from streams.embedded.process import GuardedProcess
from streams.embedded.server import EmbeddedServer
from streams.embedded.template import FormatTemplate

CLUSTER_ID = "dGlkZWdhdGUtZW1iZWRkZQ"  # any 16 bytes in base64; nothing else joins this cluster
FORMAT_SECONDS = 60.0
ORDERLY = (0, 143)  # exit codes of a JVM that ran its shutdown hooks; 143 after SIGTERM

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "broker.session.timeout.ms": "3000",  # 9 s by default, which a killed broker must sit out before it is back
    "broker.heartbeat.interval.ms": "500",
    "auto.create.topics.enable": "false",  # as in a well-kept cluster: a mistyped topic is an error
    "group.initial.rebalance.delay.ms": "0",  # 3 s by default, before a group's first assignment
    "group.min.session.timeout.ms": "1000",  # fault tests do not wait 6 s for a killed member
    "offsets.topic.num.partitions": "4",  # 50 by default: each is a directory and open files
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": "4194304",  # 128 MiB by default, a quarter of this heap
}

JVM_FLAGS = [
    "-Xshare:auto",
    "-XX:-UsePerfData",  # a file outside the data directory, left behind by kill -9
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
]


class EmbeddedKafka(EmbeddedServer):
    """One Kafka node. Nothing happens before `start`, which fetches the jars when they are not in the cache.

    `settings` are added to server.properties and win over ours; `environ` (by default the process's) tells where
    Java and the cache are; `progress` hears (bytes done, bytes in all) of a download.
    """

    name: ClassVar[str] = "Kafka"
    start_seconds: ClassVar[float] = 90.0  # 3 s on an idle machine; a starved one in CI is no reason to fail
    stop_seconds: ClassVar[float] = 30.0
    port_count: ClassVar[int] = 2
    remedy: ClassVar[str] = (
        "Check free memory and disk, run `tidegate doctor`, or set KAFKA_BOOTSTRAP_SERVERS to a broker that runs."
    )

    def __init__(
        self,
        *,
        environ: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        heap_mb: int = 512,
        settings: Mapping[str, str] | None = None,
        data_dir: Path | None = None,
    ) -> None:
        super().__init__(data_dir=data_dir)
        self._environ = os.environ if environ is None else environ
        self._progress = progress
        self._heap_mb = heap_mb
        self._settings = dict(settings or {})
        self._java: Java | None = None
        self._jars: list[Path] = []

    @property
    def bootstrap_servers(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def start(self) -> Self:
        if not self._jars:
            self._java = find_java(self._environ)
            self._jars = JarCache(self._cache).fetch(self._progress)
        return super().start()

    def stop(self) -> None:
        super().stop()
        if self._process is not None and self._process.exit_code in ORDERLY:
            self._archive.keep(self.directory)

    def close(self) -> None:
        if self.running and not self._archive.path.exists():
            self.stop()  # in order, once, so that the class archive is written; else what goes need not say goodbye
        super().close()

    def _prepare(self) -> None:
        (self.directory / "tmp").mkdir(exist_ok=True)
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in self._all_settings().items()))
        data = self.directory / "data"
        template = FormatTemplate(self._cache, CLUSTER_ID)
        if (data / "meta.properties").exists():
            return
        if self._settings:  # they may say what the template does not hold, a node id for one
            self._format()
        elif not template.copy_to(data):
            self._format()
            template.keep(data)

    def _format(self) -> None:
        """Kafka's own formatting of an empty log directory, guarded like the broker itself."""
        arguments = ["format", "--cluster-id", CLUSTER_ID, "--config", str(self._properties)]
        quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]  # a second's work; the broker itself wants neither
        process = GuardedProcess(
            [*self._jvm(*quick), "kafka.tools.StorageTool", *arguments],
            log=self.log,
            remove=self._ephemeral,
        )
        if process.wait(FORMAT_SECONDS) != 0:
            error = ServerFailed("Kafka's data directory could not be formatted", self.log, self.remedy)
            process.close()  # only now: the log goes with the directory
            self._directory = None
            raise error
        process.release()

    def _command(self) -> list[str]:
        collector = ["-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]  # as in Kafka's own start script
        heap = [f"-Xmx{self._heap_mb}m", f"-XX:ErrorFile={self.directory}/hs_err.log"]
        flags = [*heap, *collector, *self._archive.flags(self.directory)]
        return [*self._jvm(*flags), "kafka.Kafka", str(self._properties)]

    def _answers(self) -> bool:
        return accepts(self.port) and kafka_answers(self.bootstrap_servers, timeout_seconds=2.0)

    def _jvm(self, *flags: str) -> list[str]:
        assert self._java is not None
        # Compression libraries unpack themselves into the temporary directory: keep that under ours.
        temporary = f"-Djava.io.tmpdir={self.directory}/tmp"
        class_path = os.pathsep.join(map(str, self._jars))
        return [str(self._java.path), *flags, *JVM_FLAGS, temporary, "-cp", class_path]

    @property
    def _cache(self) -> Path:
        return cache_directory(self._environ)

    @property
    def _archive(self) -> ClassArchive:
        assert self._java is not None
        return ClassArchive(self._cache, self._java)

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"

    def _all_settings(self) -> dict[str, str]:
        broker, controller = self._ports
        where = {
            "listeners": f"PLAINTEXT://{LOOPBACK}:{broker},CONTROLLER://{LOOPBACK}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{broker}",
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
            "log.dirs": str(self.directory / "data"),
        }
        return {**SETTINGS, **where, **self._settings}
