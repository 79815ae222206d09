"""Errors of monitors.

MonitorsError         anything below; its text is for the user and names the remedy
├── ObjectiveError    what a pipeline promises, or is to be alerted of, cannot be
└── RoutingError      who is told of alerts is declared in a way that would leave somebody untold, or cannot be read
"""


class MonitorsError(Exception):
    """Something that a user declared for the monitors cannot be."""


class ObjectiveError(MonitorsError):
    """An objective is no share, or there is nothing to hold it against."""


class RoutingError(MonitorsError):
    """The teams file cannot be read, or would leave alerts with nobody."""
