"""What `--drift` says, as text and as values: TARGET=CHANGE@SECONDS. Whether the target exists is targets.py's question.

What becomes of records is injecting.py's.
"""

import re
from dataclasses import dataclass
from typing import Literal

from streams.demo.errors import DriftRefused

GRAMMAR = """\
write TARGET=CHANGE@SECONDS, where TARGET is a field (distance, Arrival.carrier) or an event (Weather) and CHANGE one of
  1.5 or -0.5     plus so many of the field's standard deviations     --drift distance=1.5@20
  *1000           times: another unit                                 --drift 'distance=*1.6@20'
  OLD>NEW         another name for a category                         --drift 'carrier=UA>UAL@20'
  null            no value any more                                   --drift tailnum=null@20
  frozen          the same value from then on                         --drift Weather.temperature=frozen@20
  stopped         of an event: none is sent any more                  --drift Weather=stopped@20"""
_WHOLE = re.compile(r"(?P<target>[^=\s]+)=(?P<change>.+)@(?P<seconds>\d+(\.\d+)?)")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number alone: standard deviations for a field, a share for what a story has of its own."""

    number: float


@dataclass(frozen=True, slots=True)
class Scale:
    """The value times `factor`."""

    factor: float


@dataclass(frozen=True, slots=True)
class Rename:
    """`new` wherever the text was `old`."""

    old: str
    new: str


Word = Literal["null", "frozen", "stopped"]
Change = Amount | Scale | Rename | Word
WORDS: tuple[Word, ...] = ("null", "frozen", "stopped")


@dataclass(frozen=True, slots=True)
class Injection:
    """One `--drift`, as it was written and what it says; ``seconds`` of the replay after which it holds."""

    text: str
    target: str
    change: Change
    seconds: float


def parse(text: str) -> Injection:
    """DriftRefused, with the grammar, for what is none.

    >>> parse("distance=-0.5@20").change
    Amount(number=-0.5)
    """
    found = _WHOLE.fullmatch(text)
    change = _change(found["change"]) if found else None
    if found is None or change is None:
        raise DriftRefused(f"--drift {text!r} cannot be read; {GRAMMAR}")
    return Injection(text, found["target"], change, float(found["seconds"]))


def _change(text: str) -> Change | None:
    for word in WORDS:
        if text == word:
            return word
    old, arrow, new = text.partition(">")
    if arrow:
        return Rename(old, new) if old and new and old != new else None
    number = text.removeprefix("*")
    if not _NUMBER.fullmatch(number):
        return None
    return Amount(float(number)) if number == text else Scale(float(number))
