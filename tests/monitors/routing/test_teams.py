"""What the teams file may say: each thing that would leave an alert with nobody is refused, with the place and the remedy."""

import pytest

from monitors.errors import RoutingError
from monitors.routing import decode_teams
from tests.monitors.routing.teams_text import teams_text


def test_a_whole_file_is_read() -> None:
    found = decode_teams(teams_text())
    assert list(found.teams) == ["airline", "risk"]
    assert found.teams["risk"].mute_pages == ("always",)
    assert found.times["office"][0].location == "Europe/Berlin"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("default: airline", "default: nobody", "default is 'nobody', which is no team; choose one of airline, risk"),
        (
            'pager: {webhook_configs: [{url: "SINK/risk-pager"}]}',
            "pager: {email_configs: [{to: risk@example.org}]}",
            "teams.risk: pager is a mailbox alone, and nobody wakes for mail",
        ),
        ('pager: {webhook_configs: [{url: "SINK/risk-pager"}]}', "pager: {}", "teams.risk: pager is empty"),
        ('pager: {webhook_configs: [{url: "SINK/risk-pager"}]}', "", "missing required field `pager` - at `$.teams[...]`"),
        (
            'pager: {webhook_configs: [{url: "SINK/risk-pager"}]}',
            "pager: {webhook_configs: []}",
            "teams.risk.pager has no receiver",
        ),
        ("mail: {email_configs: [{to: risk@example.org}]}", "", "teams.risk: tickets would go to nobody"),
        ("email_configs", "letter_configs", "teams.risk.mail: letter_configs is none of Alertmanager's"),
        ("ticket_hours: office", "ticket_hours: lunch", "teams.risk.ticket_hours names 'lunch', which is not under times"),
        ("mute_pages: [always]", "mute_pages: [never]", "teams.risk.mute_pages names 'never'"),
        ("mute_pages", "mute_page", "unknown field `mute_page`"),
        ("  risk:", "  ri/sk:", "a team's name has letters"),
        ("Europe/Berlin", "Europe/Atlantis", "times.office: 'Europe/Atlantis' is no time zone"),
        ("08:00-18:00", "22:00-04:00", "times.office: 22:00-04:00 ends before it begins; write two"),
        ("08:00-18:00", "8-18", "'8-18' is no time of the day"),
        ("monday:friday", "mo-fr", "'mo-fr' are no weekdays"),
        ("always: [{location: UTC}]", "always: []", "times.always is empty"),
        ("heartbeat: {webhook_configs: [{", "heartbeat: {}\nignored: {x: [{", "unknown field `ignored`"),
        ("default: airline", "default: [", "the teams file: "),
    ],
)
def test_what_would_leave_somebody_untold_is_refused(before: str, after: str, words: str) -> None:
    text = teams_text("SINK").replace(before, after)
    assert text != teams_text("SINK")
    with pytest.raises(RoutingError) as refused:
        decode_teams(text)
    assert words in str(refused.value)


def test_a_pager_with_mail_besides_is_none_alone() -> None:
    both = '{webhook_configs: [{url: "SINK/risk-pager"}], email_configs: [{to: risk@example.org}]}'
    decode_teams(teams_text("SINK").replace('{webhook_configs: [{url: "SINK/risk-pager"}]}', both))
