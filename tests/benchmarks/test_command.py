"""The command line, and who competes: parts by name, fewer events for slow contenders, agreement on a share."""

import pytest
from click.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks.agreement import compare
from benchmarks.contenders import WORKER, Contender
from benchmarks.part import Measured, Options
from benchmarks.parts import PARTS
from benchmarks.report import Row


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[list[str], str]:
    """Which parts were measured, and what was printed."""
    ran: list[str] = []

    def part(name: str) -> None:
        def measure(options: Options) -> Measured:
            ran.append(name)
            return Measured([Row(f"{name}/x", 1.0, "s")], f"{name} of {options.events}")

        monkeypatch.setitem(PARTS, name, measure)

    for name in list(PARTS):
        part(name)
    done = CliRunner().invoke(command.main, ["--no-write", *arguments])
    return ran, done.output


def test_all_parts_run_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _run(monkeypatch)[0] == list(PARTS)


def test_only_the_parts_named_run(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, printed = _run(monkeypatch, "--only", "peers", "--events", "5")
    assert (ran, printed) == (["peers"], "peers of 5\n")


def test_an_unknown_part_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    ran, printed = _run(monkeypatch, "--only", "peers,pears")
    assert ran == []
    assert f"there is no part 'pears'; there are {', '.join(PARTS)}" in printed


def test_a_slow_contender_drains_its_share() -> None:
    slow = Contender("slow", ("slow",), "slow", events=8_000)
    assert (slow.share(400_000), slow.share(5_000), WORKER.share(400_000)) == (8_000, 5_000, 400_000)


OURS = {"a": (0.1,), "b": (0.2,), "c": (0.3,)}


def test_agreement_is_of_the_first_events() -> None:
    """A contender stopped at its share has gone a little further, or not."""
    compare("peer", OURS, {"a": (0.1,), "b": (0.2,)}, 2)
    compare("peer", OURS, OURS, 2)


@pytest.mark.parametrize(
    "theirs",
    [{"a": (0.1,), "b": (0.25,)}, {"a": (0.1,), "c": (0.3,)}, {"a": (0.1,), "b": (0.2,), "d": (0.4,)}],
    ids=["another score", "one left out", "of no event"],
)
def test_what_differs_is_an_error(theirs: dict[str, tuple[object, ...]]) -> None:
    with pytest.raises(RuntimeError, match=r"peer: . of 2 predictions differ"):
        compare("peer", OURS, theirs, 2)
