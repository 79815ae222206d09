"""Errors of monitors.

MonitorsError         anything below; its text is for the user and names the remedy
└── RoutingError      who is told of alerts is declared in a way that would leave somebody untold, or cannot be read
"""


class MonitorsError(Exception):
    """Something that a user declared for the monitors cannot be."""


class RoutingError(MonitorsError):
    """The teams file cannot be read, or would leave alerts with nobody."""
