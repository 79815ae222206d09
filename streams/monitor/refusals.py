"""What kind of fault a dead letter tells of, for the checks of data quality: a type, a range, or none of the record's own."""

import re

from monitors.quality import REFUSED_RANGE, REFUSED_TYPE, REFUSED_UNSCORED
from streams.dead_letters import Letter
from streams.records import UNSCORED, DeadLetter

# msgspec's words for a value of the right type that breaks a bound; all others are of a wrong type or of a field that lacks.
_BOUND = re.compile(
    r"Expected `[^`]+` (?:>=|>|<=|<|of length|matching|that's a multiple)"
    r"|Number out of range|Invalid enum value|a whole number of more"
)


def refusal(letter: DeadLetter | Letter) -> str:
    """One of monitors.quality.REFUSALS.

    An event that was merged and could not be scored keeps its contract: it is in the window already.
    """
    if letter.reason in UNSCORED:
        return REFUSED_UNSCORED
    if letter.reason in ("empty", "malformed"):
        return REFUSED_TYPE
    if letter.reason == "contract":
        return REFUSED_RANGE if _BOUND.match(letter.detail) else REFUSED_TYPE
    return REFUSED_RANGE  # time, future, oversize
