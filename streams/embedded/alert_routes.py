"""Where Alertmanager's configuration sends an alert, as Alertmanager itself finds it: the tree of routes, first match first."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Labels = Mapping[str, str]

_MATCHER = re.compile(r"""\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(?:"(.*)"|(.*?))\s*""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Matched:
    """A route that an alert ends at: its receiver's name, and the labels that its matchers on the way there look at."""

    receiver: str
    labels: frozenset[str]


def routes_of(route: Mapping[str, Any], labels: Labels) -> list[Matched]:
    """The routes that an alert with these labels ends at; ValueError for a matcher that cannot be read.

    The root takes all. A route's children are tried in order; the first that matches takes the alert, and the next ones too
    where it says `continue`; where none does, the route itself has it.
    """
    return list(_ends(route, labels, str(route.get("receiver", "")), frozenset()))


def _ends(route: Mapping[str, Any], labels: Labels, receiver: str, looked_at: frozenset[str]) -> Iterator[Matched]:
    taken = False
    for child in route.get("routes") or ():
        matchers = _matchers(child)
        if not all(_holds(matcher, labels) for matcher in matchers):
            continue
        taken = True
        names = looked_at | {name for name, *_ in matchers}
        yield from _ends(child, labels, str(child.get("receiver", receiver)), names)
        if not child.get("continue", False):
            return
    if not taken:
        yield Matched(receiver, looked_at)


def _matchers(route: Mapping[str, Any]) -> Sequence[tuple[str, str, str]]:
    """(label, operator, value), of all three ways to write them."""
    old = [(name, "=", str(value)) for name, value in (route.get("match") or {}).items()]
    old += [(name, "=~", str(value)) for name, value in (route.get("match_re") or {}).items()]
    return old + [_read(text) for text in route.get("matchers") or ()]


def _read(text: str) -> tuple[str, str, str]:
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(f"the matcher {text!r} cannot be read")
    name, operator, quoted, bare = found.groups()
    return name, operator, re.sub(r'\\(["\\])', r"\1", quoted) if quoted is not None else bare


def _holds(matcher: tuple[str, str, str], labels: Labels) -> bool:
    name, operator, value = matcher
    here = labels.get(name, "")
    equal = re.fullmatch(value, here) is not None if operator.endswith("~") else here == value
    return equal != operator.startswith("!")
