"""A webhook that keeps what Alertmanager sends: which receiver was told of which alert, and when."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import msgspec

from streams.embedded.ports import LOOPBACK


@dataclass(frozen=True, slots=True)
class Told:
    """One alert of one message: the path it was posted to, its labels, firing or resolved, and when it came (epoch seconds)."""

    path: str
    labels: dict[str, str]
    status: str
    at: float


class Sink:
    """Listens on a free loopback port from the start until `close`."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer((LOOPBACK, 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://{LOOPBACK}:{self._server.server_port}/{path}"

    def wait_for(self, fits: Callable[[Told], bool], seconds: float) -> Told | None:
        """The first message that fits, had or to come; None where none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: any(map(fits, self.told)), seconds)
            return next(filter(fits, self.told), None)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _keep(self, path: str, body: bytes) -> None:
        alerts: list[dict[str, Any]] = msgspec.json.decode(body)["alerts"]
        with self._changed:
            self.told += [Told(path.strip("/"), one["labels"], one["status"], time.time()) for one in alerts]
            self._changed.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sink._keep(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: each request is kept."""

        return Handler
