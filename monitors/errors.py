"""What monitors raises.

MonitorsError
└── ObjectiveError       what a pipeline promises, or is to be alerted of, cannot be
"""


class MonitorsError(Exception):
    """Anything below."""


class ObjectiveError(MonitorsError):
    """Says which declaration is wrong, and what it may be."""
