"""`doctor --production`: are a pipeline's alerts in Prometheus' folder as they would be written now; do they reach somebody?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from monitors.alerts.catalogue import RUNBOOKS, document
from scorer.pipeline import Pipeline
from streams.alerting import subject_of
from streams.embedded.alert_routes import routes_of
from streams.embedded.checks import Check

RULES, ROUTES = "Alert rules", "Alert routes"
WAKING = ("escalate", "page")
MAIL = "email_configs"
_RUNBOOK = re.compile(r"^\s+runbook: '?(.*)/[\w.-]+\.md#", re.MULTILINE)
# What examples and templates hold where an address belongs. RFC 2606 keeps these names free of real hosts.
_EXAMPLE_HOST = re.compile(r"(^|[.@])(example(\.(com|org|net))?|invalid|test|localhost)$|^127\.|^\[?::1\]?$")
_BLANK = re.compile(r"^$|<[^>]*>|\b(todo|changeme|change-me|fixme|xxx+|placeholder|your[-_])", re.IGNORECASE)


def rendered_rules(pipeline: Pipeline, file: Path) -> str:
    """What `tidegate alerts render` would write now, with the links to runbooks that the file at hand has."""
    links = _RUNBOOK.search(file.read_text()) if file.is_file() else None
    return document(subject_of(pipeline), runbooks=links[1] if links else RUNBOOKS)


def alert_rules(file: Path, rendered: str) -> Check:
    """Whether the file holds `rendered`, to the letter."""
    remedy = f"tidegate alerts render PIPELINE --out {file.parent}, then make Prometheus read it (SIGHUP)"
    if not file.is_file():
        return Check(RULES, "fail", f"there is no {file}: nobody hears of an outage", remedy)
    if file.read_text() != rendered:
        return Check(RULES, "fail", f"{file} is not what the pipeline declares now", remedy)
    return Check(RULES, "ok", f"{file}, {rendered.count('- alert:')} alerts")


def alert_routes(file: Path, pipeline: Pipeline) -> Check:
    """Whether pages and escalations of the pipeline's team have a route of its own, and reach more than a mailbox."""
    remedy = f"declare team {pipeline.team!r} in a teams file, then: tidegate alerts routes TEAMS PIPELINE --out {file}"
    try:
        configuration = yaml.safe_load(file.read_text())
        wrong = list(dict.fromkeys(_wrong(configuration, pipeline)))
    except (OSError, yaml.YAMLError, ValueError, AttributeError, TypeError) as error:
        said = error.strerror if isinstance(error, OSError) else " ".join(str(error).split())
        return Check(ROUTES, "fail", f"{file} cannot be read: {said}", remedy)
    if wrong:
        return Check(ROUTES, "fail", f"{file}: {'; '.join(wrong)}", remedy)
    return Check(ROUTES, "ok", f"{file}: team {pipeline.team} is told of {' and '.join(WAKING)}")


def _wrong(configuration: Mapping[str, Any], pipeline: Pipeline) -> Iterator[str]:
    receivers = {one["name"]: one for one in configuration.get("receivers") or ()}
    for severity in WAKING:
        labels = {"team": pipeline.team, "owner": pipeline.owner, "pipeline": pipeline.name, "severity": severity}
        ends = routes_of(configuration.get("route") or {}, labels)
        if not any("team" in end.labels for end in ends):
            yield f"no route of team {pipeline.team} for {severity}"
            continue
        channels = [one for end in ends for one in _channels(receivers.get(end.receiver, {}))]
        names = ", ".join(end.receiver for end in ends)
        if not any(kind != MAIL for kind, _ in channels):
            yield f"{severity} reaches {'a mailbox alone' if channels else 'nobody'} ({names})"
        for kind, configured in channels:
            for place, text in _texts(configured):
                if _is_placeholder(text):
                    yield f"{names}: {place or kind} is still {text!r}"


def _channels(receiver: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(kind, one) for kind, listed in receiver.items() if kind.endswith("_configs") for one in listed or ()]


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a channel's configuration, with the key that it stands under."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _texts(below, str(key))
    elif isinstance(value, list):
        for below in value:
            yield from _texts(below, place)
    elif isinstance(value, str):
        yield place, value


def _is_placeholder(text: str) -> bool:
    if "{{" in text:
        return False  # a template of what is told, not of where
    host = urlsplit(text).hostname or "" if "://" in text else text.partition("@")[2]
    return bool(_BLANK.search(text)) or bool(host and _EXAMPLE_HOST.search(host.lower()))
