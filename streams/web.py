"""A process's pages, served from a thread of its own so that probes answer while a chunk computes.

``/metrics`` for Prometheus; ``/healthz`` answers while the process lives; ``/readyz`` only once everything it lists is true.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from streams.errors import SettingsError


@dataclass(slots=True)
class Readiness:
    """What must hold before a process does its work, each with why it does not yet (None: it does)."""

    waiting: dict[str, str | None] = field(default_factory=dict)

    def wait_for(self, what: str, why: str) -> None:
        self.waiting[what] = why

    def done(self, what: str) -> None:
        self.waiting[what] = None

    @contextmanager
    def meanwhile(self, what: str, why: str) -> Iterator[None]:
        """Says that this does not hold for so long as the block lasts; afterwards what was said before."""
        before = self.waiting[what]
        self.waiting[what] = why
        try:
            yield
        finally:
            self.waiting[what] = before

    def tell(self, what: str) -> Callable[[str | None], None]:
        """For who must only say this one thing: why it does not hold, or None."""
        return lambda why: self.waiting.__setitem__(what, why)

    @property
    def ready(self) -> bool:
        return all(why is None for why in self.waiting.values())

    def page(self) -> str:
        return "".join(f"{what}: {why or 'ok'}\n" for what, why in self.waiting.items())


class WebServer:
    """Serves until ``close``. Port 0 takes a free one; ``port`` says which."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, readiness: Readiness) -> None:
        handler = type("Handler", (_Handler,), {"registry": registry, "readiness": readiness})
        try:
            self._server = ThreadingHTTPServer((host, port), handler)
        except OSError as error:
            raise SettingsError(
                f"{host}:{port} cannot be listened on ({error.strerror}); give another --web-port, or 0 for a free one"
            ) from error
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="web", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    registry: CollectorRegistry
    readiness: Readiness
    timeout = 10.0

    def do_GET(self) -> None:
        if self.path.split("?")[0] == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, encode(self.registry), content_type)
        elif self.path == "/healthz":
            self._answer(200, b"ok\n")
        elif self.path == "/readyz":
            self._answer(200 if self.readiness.ready else 503, self.readiness.page().encode())
        else:
            self._answer(404, b"here are /metrics, /healthz and /readyz\n")

    def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds; they are not worth a line."""
