"""Which alert mutes which: only within one pipeline, and within one family or by a mute that an alert names itself."""

import re
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from monitors.errors import RoutingError

MutedBy = Mapping[str, Sequence[str]]  # the alert that mutes -> those that it mutes, by alertname

# Labels that two alerts lack are equal to Alertmanager: without this an alert of somebody else's would mute each other's.
OURS = ['pipeline=~".+"', 'family=~".+"']


def inhibit_rules(muted_by: MutedBy) -> list[dict[str, Any]]:
    """Alertmanager's inhibit_rules; RoutingError where alerts mute each other in a circle, so that nobody is told."""
    _refuse_circles(muted_by)
    by_severity = [_severities("escalate", "page|ticket"), _severities("page", "ticket")]
    return by_severity + [_named(source, targets) for source, targets in sorted(muted_by.items()) if targets]


def _severities(source: str, targets: str) -> dict[str, Any]:
    return {
        "source_matchers": [f'severity="{source}"', *OURS],
        "target_matchers": [f'severity=~"{targets}"', *OURS],
        "equal": ["pipeline", "family"],
    }


def _named(source: str, targets: Sequence[str]) -> dict[str, Any]:
    names = "|".join(re.escape(target) for target in sorted(targets))
    return {
        "source_matchers": [f'alertname="{source}"', OURS[0]],
        "target_matchers": [f'alertname=~"{names}"', OURS[0]],
        "equal": ["pipeline"],
    }


def _refuse_circles(muted_by: MutedBy) -> None:
    try:
        TopologicalSorter(muted_by).prepare()
    except CycleError as error:
        raise RoutingError(f"alerts mute each other in a circle: {' mutes '.join(error.args[1][::-1])}") from error
