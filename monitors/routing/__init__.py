"""Who is told of which alert, when: from a declared file of teams to Alertmanager's configuration. Pure functions."""

from monitors.routing.inhibition import MutedBy, inhibit_rules
from monitors.routing.render import configuration, render
from monitors.routing.teams import Team, Teams, decode_teams

__all__ = ["MutedBy", "Team", "Teams", "configuration", "decode_teams", "inhibit_rules", "render"]
