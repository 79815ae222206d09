"""What the environment says, read once by the command line or the app factory; nothing else reads the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scorer.registry import local_uri
from streams.errors import SettingsError

ENVIRONMENT = {
    "KAFKA_BOOTSTRAP_SERVERS": "Kafka's addresses, host:port, several joined by commas",
    "REDIS_URL": "Redis' address, redis://host:port/0",
    "MLFLOW_TRACKING_URI": "the model registry; by default SQLite in .tidegate of the current folder",
    "TIDEGATE_CACHE": "where fetched models are kept; by default ~/.cache/tidegate/models",
    "TIDEGATE_BUILD": "the commit of this build, recorded with every prediction",
    "TIDEGATE_CHECKPOINT_KEY": "the key that River checkpoints are signed with",
    "TIDEGATE_HASH_KEY": "the key that personal fields and forgotten entities are hashed with",
    "TIDEGATE_PIPELINE": "the pipeline that `faust -A streams.app worker` runs",
    "TIDEGATE_WEB_PORT": "where that worker's /metrics, /healthz and /readyz listen; by default 6066",
    "TIDEGATE_ALERTMANAGER": "Alertmanager's address, for silences; by default http://127.0.0.1:9093",
}
ALERTMANAGER = "http://127.0.0.1:9093"  # where Debian's and the project's compose.yaml listen
STATE_FOLDER = ".tidegate"
HASH_KEY_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Addresses and folders of one process."""

    bootstrap_servers: str | None = None
    redis_url: str | None = None
    registry_uri: str
    cache: Path
    build: str | None = None
    checkpoint_key: bytes | None = None
    hash_key: bytes | None = None
    pipeline: str | None = None
    web_port: int = 6066
    alertmanager: str = ALERTMANAGER

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], folder: Path | None = None) -> "Settings":
        """Settings of the environment given; `folder` stands for the current one."""
        here = folder or Path.cwd()
        base = Path(environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME", "~")).expanduser() / ".cache")
        key, hash_key = environment.get("TIDEGATE_CHECKPOINT_KEY"), _hash_key(environment.get("TIDEGATE_HASH_KEY"))
        return cls(
            bootstrap_servers=environment.get("KAFKA_BOOTSTRAP_SERVERS") or None,
            redis_url=environment.get("REDIS_URL") or None,
            registry_uri=environment.get("MLFLOW_TRACKING_URI") or local_uri(here / STATE_FOLDER),
            cache=Path(environment.get("TIDEGATE_CACHE") or base / "tidegate" / "models"),
            build=environment.get("TIDEGATE_BUILD") or None,
            checkpoint_key=key.encode() if key else None,
            hash_key=hash_key,
            pipeline=environment.get("TIDEGATE_PIPELINE") or None,
            web_port=_port(environment.get("TIDEGATE_WEB_PORT") or "6066"),
            alertmanager=environment.get("TIDEGATE_ALERTMANAGER") or ALERTMANAGER,
        )

    @property
    def kafka(self) -> str:
        """Kafka's addresses; SettingsError where they are not set."""
        return self._required(self.bootstrap_servers, "KAFKA_BOOTSTRAP_SERVERS")

    @property
    def redis(self) -> str:
        """Redis' address; SettingsError where it is not set."""
        url = self._required(self.redis_url, "REDIS_URL")
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise SettingsError(
                f"REDIS_URL is {url!r}; it begins with redis://, rediss:// or unix://, as in redis://127.0.0.1:6379/0"
            )
        return url

    def _required(self, value: str | None, name: str) -> str:
        if value is None:
            raise SettingsError(f"{name} is not set ({ENVIRONMENT[name]}); for a stack of your own run: tidegate up")
        return value


def _hash_key(text: str | None) -> bytes | None:
    """A short key could be guessed, and with it whose hash is whose."""
    if text and len(text.encode()) < HASH_KEY_BYTES:
        raise SettingsError(
            f"TIDEGATE_HASH_KEY has {len(text.encode())} bytes, and needs {HASH_KEY_BYTES} at least; "
            "make one by: openssl rand -hex 32"
        )
    return text.encode() if text else None


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65_535:
        raise SettingsError(f"TIDEGATE_WEB_PORT is {text!r}; give a port from 0 (a free one) to 65535")
    return int(text)
