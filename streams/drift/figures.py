"""Numbers, times and names of drift records as people read them. What cannot be said is a dash, never NaN."""

from datetime import UTC, datetime
from math import isfinite

NOTHING = "–"
NAME_CHARACTERS = 80  # names and categories come from data: one of a thousand characters is cut
UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


def number(value: float | None, digits: int = 3) -> str:
    """A statistic, with so many digits after the point.

    >>> number(0.31249), number(-0.0001), number(None), number(float("nan"))
    ('0.312', '0.000', '–', '–')
    """
    return NOTHING if value is None or not isfinite(value) else f"{value:z.{digits}f}"


def probability(value: float | None) -> str:
    """A p or q value; what is below a thousandth only says so.

    >>> probability(1e-9), probability(0.0421), probability(None)
    ('<.001', '.042', '–')
    """
    if value is None or not isfinite(value):
        return NOTHING
    return "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def share(value: float | None, digits: int = 1) -> str:
    """A ratio in percent; what is not nothing is not shown as nothing.

    >>> share(0.2512), share(0.0), share(0.0001), share(None)
    ('25.1%', '0%', '<0.1%', '–')
    """
    if value is None or not isfinite(value):
        return NOTHING
    least = 10.0**-digits
    if 0 < value * 100 < least:
        return f"<{least:.{digits}f}%"
    return "0%" if value == 0 else f"{value:.{digits}%}"


def shift(value: float | None) -> str:
    """A shift in standard deviations of the reference.

    >>> shift(0.174)
    '0.17 sd'
    """
    if value is None or not isfinite(value):
        return NOTHING
    return "<0.01 sd" if 0 < value < 0.01 else f"{value:.2f} sd"


def plain(value: float | None) -> str:
    """A number of any size.

    >>> plain(1234567.0), plain(0.00201)
    ('1.235e+06', '0.00201')
    """
    return NOTHING if value is None or not isfinite(value) else f"{value:.4g}"


def moment(seconds: float) -> str:
    """A time in UTC, to the minute.

    >>> moment(1_777_852_800)
    '2026-05-04 00:00'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def stretch(start: float, end: float) -> str:
    """Two times in UTC; the second without its date where that is the first's.

    >>> stretch(1_777_852_800, 1_777_856_400)
    '2026-05-04 00:00 to 01:00 UTC'
    """
    first, last = moment(start), moment(end)
    return f"{first} to {last[11:] if last[:10] == first[:10] else last} UTC"


def duration(seconds: float | None) -> str:
    """A length of time.

    >>> duration(5400), duration(None)
    ('1.5 h', '–')
    """
    if seconds is None or not isfinite(seconds):
        return NOTHING
    return next((f"{seconds / size:.1f} {unit}" for unit, size in UNITS if seconds >= size), f"{seconds:.0f} s")


def shown(text: str) -> str:
    """A name or category from data: what a terminal or a page would act on is a mark, what is long is cut.

    >>> shown("a" + chr(27) + "[31mb")
    'a�[31mb'
    """
    clean = sentence(text)
    return clean if len(clean) <= NAME_CHARACTERS else f"{clean[: NAME_CHARACTERS - 1]}…"


def sentence(text: str) -> str:
    """A sentence from data, whole: what a terminal or a page would act on is a mark."""
    return "".join(one if one.isprintable() else "�" for one in text)


def listed(names: list[str], most: int = 6) -> str:
    """Names joined; of many the first.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(shown, names[:most])) + rest
