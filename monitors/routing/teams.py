"""The teams file: each team's receivers, its hours and its maintenance; the heartbeat. What users declare, decoded and checked.

What is made of it is render.py's.
"""

import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import available_timezones

import msgspec

from monitors.errors import RoutingError

# Lists of receiver configurations that Alertmanager 0.25 knows; what stands in them is its own, for amtool to judge.
KINDS = (
    "discord",
    "email",
    "opsgenie",
    "pagerduty",
    "pushover",
    "slack",
    "sns",
    "telegram",
    "victorops",
    "webex",
    "webhook",
    "wechat",
)
MAILBOX = "email_configs"
TEAM_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
TIMES = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)")
DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")

Channel = dict[str, list[dict[str, Any]]]  # as in one of Alertmanager's receivers: {"webhook_configs": [{"url": ...}]}


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times that recur: on these weekdays (none: on all), at these times of the day (none: always), by clocks in `location`.

    ``weekdays``: "saturday" or a range, "monday:friday". ``times``: "08:00-18:00"; one that ends after midnight is two.
    ``days_of_month``: "1", "1:7", "-1" (the last one). ``months``: "december", "1:3".
    """

    location: str
    weekdays: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    days_of_month: tuple[str, ...] = ()
    months: tuple[str, ...] = ()


class Team(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a team is reached. Pages go to pager and chat; a ticket to the first that is declared of tickets, mail and chat.

    ``escalation``: told of an alert of severity escalate besides pager and chat. ``ticket_hours``: tickets wait for this time.
    ``mute_tickets``: times in which no ticket is sent; ``mute_pages``: in which no page is either. Escalations always are.
    """

    pager: Channel
    chat: Channel = {}
    mail: Channel = {}
    tickets: Channel = {}
    escalation: Channel = {}
    ticket_hours: str | None = None
    mute_tickets: tuple[str, ...] = ()
    mute_pages: tuple[str, ...] = ()

    @property
    def channels(self) -> dict[str, Channel]:
        """By name, those that are declared."""
        names = ("pager", "chat", "mail", "tickets", "escalation")
        return {name: channel for name in names if (channel := getattr(self, name))}


class Teams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of the file. ``default``: the team that gets what is no listed team's; ``heartbeat``: what misses a silent Watchdog.

    ``settings`` is Alertmanager's `global`, as it is; ``templates`` likewise.
    """

    default: str
    heartbeat: Channel
    teams: dict[str, Team]
    times: dict[str, tuple[Hours, ...]] = {}
    settings: dict[str, Any] = {}
    templates: tuple[str, ...] = ()


def decode_teams(text: str | bytes, where: str = "the teams file") -> Teams:
    """The teams that YAML declares; RoutingError names `where`, what is wrong and what mends it."""
    try:
        found = msgspec.yaml.decode(text, type=Teams)
    except msgspec.DecodeError as error:  # of its form as YAML, or of a field
        raise RoutingError(f"{where}: {error}; docs/routing.md shows each field") from error
    for problem in _problems(found):
        raise RoutingError(f"{where}: {problem}")
    return found


def _problems(teams: Teams) -> Iterator[str]:
    if teams.default not in teams.teams:
        yield f"default is {teams.default!r}, which is no team; choose one of {', '.join(teams.teams) or 'those you list'}"
    yield from _channel_problems("heartbeat", teams.heartbeat)
    for name, hours in teams.times.items():
        for one in hours:
            yield from _hours_problems(f"times.{name}", one)
        if not hours:
            yield f"times.{name} is empty, and would never be"
    for name, team in teams.teams.items():
        yield from _team_problems(f"teams.{name}", name, team, teams.times)


def _team_problems(where: str, name: str, team: Team, times: dict[str, tuple[Hours, ...]]) -> Iterator[str]:
    if not TEAM_NAME.fullmatch(name):
        yield f"{where}: a team's name has letters, digits, '_', '-' and '.', as a pipeline's `team` has"
    if not team.pager:
        yield f"{where}: pager is empty, so that nobody would be paged"
    for channel, configs in team.channels.items():
        yield from _channel_problems(f"{where}.{channel}", configs)
    if set(team.pager) == {MAILBOX}:
        yield f"{where}: pager is a mailbox alone, and nobody wakes for mail; give it a pager, a phone or a webhook besides"
    if not (team.chat or team.mail or team.tickets):
        yield f"{where}: tickets would go to nobody; declare one of tickets, mail and chat"
    for field, used in (
        ("ticket_hours", (team.ticket_hours,)),
        ("mute_tickets", team.mute_tickets),
        ("mute_pages", team.mute_pages),
    ):
        for one in used:
            if one is not None and one not in times:
                yield f"{where}.{field} names {one!r}, which is not under times"


def _channel_problems(where: str, channel: Channel) -> Iterator[str]:
    if not any(channel.values()):
        yield f"{where} has no receiver; write for example webhook_configs: [{{url: ...}}]"
    for kind in channel:
        if kind.removesuffix("_configs") not in KINDS or not kind.endswith("_configs"):
            yield f"{where}: {kind} is none of Alertmanager's: {', '.join(f'{one}_configs' for one in KINDS)}"


def _hours_problems(where: str, hours: Hours) -> Iterator[str]:
    zones = available_timezones()
    if zones and hours.location not in zones:  # a machine without the zones cannot judge; Alertmanager has its own
        yield f"{where}: {hours.location!r} is no time zone; write for example Europe/Berlin, or UTC"
    for days in hours.weekdays:
        if not all(day in DAYS for day in days.split(":")):
            yield f"{where}: {days!r} are no weekdays; write for example saturday, or monday:friday"
    for times in hours.times:
        found = TIMES.fullmatch(times)
        if found is None:
            yield f'{where}: {times!r} is no time of the day; write for example "08:00-18:00" (with quotes)'
        elif times[:5] >= times[6:]:
            yield f'{where}: {times} ends before it begins; write two, up to "24:00" and from "00:00", the second a weekday later'
