"""Prometheus and Alertmanager of Debian's packages, on loopback, with the embedded stack's verbs: start, stop, kill, restart."""

import shutil
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from streams.embedded.errors import MissingPart
from streams.embedded.ports import LOOPBACK
from streams.embedded.server import EmbeddedServer

PACKAGES = {"prometheus": "prometheus", "prometheus-alertmanager": "prometheus-alertmanager"}  # program -> Debian's package


def program(name: str) -> str:
    """Where a program lies; MissingPart names the package that has it."""
    if (found := shutil.which(name)) is None:
        raise MissingPart(f"no {name}: apt-get install {PACKAGES[name]}")
    return found


class WebServer(EmbeddedServer):
    """One that reads a configuration file and answers on /-/ready."""

    start_seconds: ClassVar[float] = 30.0  # both answer within a second on two quiet cores
    stop_seconds: ClassVar[float] = 10.0
    remedy: ClassVar[str] = "Check the configuration with promtool or amtool."
    file: ClassVar[str]

    def __init__(self, configuration: str, files: Mapping[str, str] = MappingProxyType({})) -> None:
        """`files`: others, by name, that the configuration refers to."""
        super().__init__()
        self._files = {self.file: configuration, **files}

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def configuration(self) -> Path:
        return self.directory / self.file

    def _prepare(self) -> None:
        for name, text in self._files.items():
            (self.directory / name).write_text(text)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


class AlertmanagerServer(WebServer):
    """One Alertmanager, of no cluster."""

    name: ClassVar[str] = "Alertmanager"
    file: ClassVar[str] = "alertmanager.yml"

    def _command(self) -> list[str]:
        return [
            program("prometheus-alertmanager"),
            f"--config.file={self.configuration}",
            f"--storage.path={self.directory / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self.port}",
            "--cluster.listen-address=",
        ]


class PrometheusServer(WebServer):
    """One Prometheus, that forgets its data with its directory."""

    name: ClassVar[str] = "Prometheus"
    file: ClassVar[str] = "prometheus.yml"

    def __init__(self, configuration: str, files: Mapping[str, str] = MappingProxyType({}), past: str = "") -> None:
        """`past`: samples in OpenMetrics' text that it has from its first start on; none younger than three hours."""
        super().__init__(configuration, files)
        self._past = past

    def _prepare(self) -> None:
        super()._prepare()
        if not self._past:
            return
        file = self.directory / "past.txt"
        file.write_text(self._past)
        write = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(file), str(self.directory / "data")]
        subprocess.run(write, check=True, capture_output=True)
        self._past = ""

    def _command(self) -> list[str]:
        return [
            program("prometheus"),
            f"--config.file={self.configuration}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={LOOPBACK}:{self.port}",
        ]
