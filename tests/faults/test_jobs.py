"""Faults side by side: everyone's words arrive, and one broken promise is the campaign's."""

from tests.faults.jobs import run_jobs


def test_every_child_is_heard_and_one_that_fails_is_not_forgotten() -> None:
    said: list[str] = []
    assert not run_jobs(["kill", "flood", "soak"], ["--list"], 2, said.append)
    assert {"kill", "soak"} <= {line.split()[0] for line in said if line}
    assert any("there is no fault flood" in line for line in said)


def test_children_that_succeed() -> None:
    assert run_jobs(["kill"], ["--list"], 2, print)
