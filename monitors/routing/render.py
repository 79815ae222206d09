"""Alertmanager's whole configuration (0.25's syntax) from the declared teams. What teams declare is checked in teams.py.

By team, then by severity. An alert of no listed team goes the default team's way; one of no known severity is taken for a page.
"""

from typing import Any

import msgspec

from monitors.errors import RoutingError
from monitors.routing.inhibition import MutedBy, inhibit_rules
from monitors.routing.pace import PACES
from monitors.routing.teams import Channel, Hours, Team, Teams

WATCHDOG = "TidegateWatchdog"
HEARTBEAT = "heartbeat"
NOBODY = "nobody"
GROUP_BY = ["pipeline", "family"]  # one message a fault: a family's alerts of a pipeline tell of the same
SEVERITIES = ("escalate", "page", "ticket", "info")


def render(teams: Teams, muted_by: MutedBy, command: str, time_scale: float = 1.0) -> str:
    """The configuration as YAML, under a line that says by which command it is made.

    `muted_by`: which alert mutes which others, by name. `time_scale` shortens every wait: 0.05 is twenty times faster.
    """
    if not time_scale > 0:
        raise RoutingError(f"the time scale is {time_scale:g}; give a factor above 0, such as 0.05")
    return f"# Made by: {command}\n" + msgspec.yaml.encode(configuration(teams, muted_by, time_scale)).decode()


def configuration(teams: Teams, muted_by: MutedBy, time_scale: float = 1.0) -> dict[str, Any]:
    """The configuration as Alertmanager's fields; RoutingError where alerts mute each other in a circle."""
    found = {
        "global": teams.settings,
        "templates": list(teams.templates),
        "route": _root(teams, time_scale),
        "inhibit_rules": inhibit_rules(muted_by),
        "receivers": _receivers(teams),
        "time_intervals": [
            {"name": name, "time_intervals": [_interval(one) for one in all_]} for name, all_ in teams.times.items()
        ],
    }
    return {name: value for name, value in found.items() if value}


def _root(teams: Teams, scale: float) -> dict[str, Any]:
    heartbeat = {"receiver": HEARTBEAT, "matchers": [f'alertname="{WATCHDOG}"'], "group_by": ["alertname"]}
    listed = [
        {"receiver": f"{name}-page", "matchers": [f'team="{name}"'], "routes": _by_severity(name, team, scale)}
        for name, team in teams.teams.items()
    ]
    others = _by_severity(teams.default, teams.teams[teams.default], scale)
    return {
        "receiver": f"{teams.default}-page",
        "group_by": GROUP_BY,
        **PACES["page"].rendered(scale),
        "routes": [heartbeat | PACES["none"].rendered(scale), *listed, *others],
    }


def _by_severity(name: str, team: Team, scale: float) -> list[dict[str, Any]]:
    """A team's routes, of which the first that fits takes an alert."""
    return [
        {"receiver": f"{name}-{severity}" if _channel(team, severity) else NOBODY, "matchers": [f'severity="{severity}"']}
        | _times(team, severity)
        | PACES[severity].rendered(scale)
        for severity in SEVERITIES
    ]


def _times(team: Team, severity: str) -> dict[str, list[str]]:
    muted = {"page": team.mute_pages, "ticket": tuple(dict.fromkeys(team.mute_pages + team.mute_tickets))}.get(severity, ())
    hours = [team.ticket_hours] if severity == "ticket" and team.ticket_hours else []
    found = {"mute_time_intervals": list(muted), "active_time_intervals": hours}
    return {name: value for name, value in found.items() if value}


def _channel(team: Team, severity: str) -> Channel:
    match severity:
        case "escalate":
            return _together(team.pager, team.chat, team.escalation)
        case "page":
            return _together(team.pager, team.chat)
        case "ticket":
            return team.tickets or team.mail or team.chat
        case _:
            return team.chat


def _together(*channels: Channel) -> Channel:
    kinds = dict.fromkeys(kind for channel in channels for kind in channel)
    return {kind: [one for channel in channels for one in channel.get(kind, [])] for kind in kinds}


def _receivers(teams: Teams) -> list[dict[str, Any]]:
    by_team = [
        {"name": f"{name}-{severity}", **channel}
        for name, team in teams.teams.items()
        for severity in SEVERITIES
        if (channel := _channel(team, severity))
    ]
    return [*by_team, {"name": HEARTBEAT, **teams.heartbeat}, {"name": NOBODY}]


def _interval(hours: Hours) -> dict[str, Any]:
    found = {
        "weekdays": list(hours.weekdays),
        "times": [dict(zip(("start_time", "end_time"), times.split("-"), strict=True)) for times in hours.times],
        "days_of_month": list(hours.days_of_month),
        "months": list(hours.months),
        "location": hours.location,
    }
    return {name: value for name, value in found.items() if value}
