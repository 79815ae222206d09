"""A client of Alertmanager's HTTP API, version 2: alerts, and silences. What may be silenced is silencing.py's."""

import datetime
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from streams.errors import AlertmanagerError

TIMEOUT_SECONDS = 10.0  # it answers in milliseconds; a person waits
WORDS_MAX = 300  # of a refusal, shown


class Matcher(msgspec.Struct, frozen=True, rename="camel"):
    """One condition on a label."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def __str__(self) -> str:
        """As Prometheus and amtool write it: pipeline="card-fraud", severity!~"escalate|none"."""
        sign = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}[self.is_equal, self.is_regex]
        escaped = self.value.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.name}{sign}"{escaped}"'


class State(msgspec.Struct, frozen=True, rename="camel"):
    """Of an alert: active, suppressed or unprocessed, and the ids of what suppresses it. Of a silence: the state alone."""

    state: str
    silenced_by: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()


class ActiveAlert(msgspec.Struct, frozen=True, rename="camel"):
    """An alert that fires; all are labelled with alertname, and ours with pipeline, family and severity besides."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime.datetime
    fingerprint: str
    status: State

    @property
    def name(self) -> str:
        return self.labels.get("alertname", "")


class Silence(msgspec.Struct, frozen=True, rename="camel"):
    """One that was made: until when, by whom and why."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime.datetime
    ends_at: datetime.datetime
    created_by: str
    comment: str
    status: State


class _Made(msgspec.Struct, frozen=True):
    silence_id: str = msgspec.field(name="silenceID")


class Alertmanager:
    """One server, by its address. Every call raises AlertmanagerError where it does not answer or refuses."""

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise AlertmanagerError(f"Alertmanager's address is {url!r}; it begins with http:// or https://")
        self.url = url.rstrip("/")

    def alerts(self, matchers: Sequence[Matcher] = ()) -> list[ActiveAlert]:
        """What fires now and fits all the matchers, suppressed or not."""
        query = urllib.parse.urlencode([("filter", str(one)) for one in matchers])
        return msgspec.json.decode(self._call("GET", f"alerts?{query}"), type=list[ActiveAlert])

    def silences(self) -> list[Silence]:
        """Those in force, and those that will be."""
        found = msgspec.json.decode(self._call("GET", "silences"), type=list[Silence])
        return [one for one in found if one.status.state != "expired"]

    def silence(self, matchers: Sequence[Matcher], begin: datetime.datetime, end: datetime.datetime, who: str, why: str) -> str:
        """Silences what fits all the matchers; the silence's id."""
        asked = {"matchers": matchers, "startsAt": begin, "endsAt": end, "createdBy": who, "comment": why}
        return msgspec.json.decode(self._call("POST", "silences", asked), type=_Made).silence_id

    def end(self, silence_id: str) -> None:
        """Ends a silence now."""
        self._call("DELETE", f"silence/{urllib.parse.quote(silence_id, safe='')}")

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v2/{path}", content, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
                found: bytes = answer.read()
                return found
        except urllib.error.HTTPError as error:
            words = error.read(WORDS_MAX).decode(errors="replace").strip()
            raise AlertmanagerError(f"Alertmanager at {self.url} refuses: {error.code} {words or error.reason}") from error
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise AlertmanagerError(
                f"Alertmanager at {self.url} does not answer: {reason}; name it by --alertmanager or TIDEGATE_ALERTMANAGER"
            ) from error
