"""Records of deployments fold into what should run, whatever newer writers add."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scorer.deployments import Deployment, as_of, current, decode, encode
from scorer.errors import DeploymentError


def change(number: int, role: str, version: int | None, share: float = 1.0, pipeline: str = "payments") -> Deployment:
    return Deployment(f"c{number}", pipeline, "fraud", role, version, "ann", float(number), "because", share=share)


def test_a_record_survives_the_wire() -> None:
    record = change(1, "canary", 4, 0.05)
    assert decode(encode(record)) == record


def test_fields_of_newer_writers_are_ignored() -> None:
    newer = {**msgspec.json.decode(encode(change(1, "champion", 2))), "ticket": "OPS-7", "steps": [1, 5]}
    assert decode(msgspec.json.encode(newer)) == change(1, "champion", 2)


@pytest.mark.parametrize("data", [b"", b"{}", b'{"change_id": 1}', b"[]", b'{"change_id":"\xff"}', b'{"x":' + b"[" * 100_000])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(DeploymentError, match="not a deployment record"):
        decode(data)


def test_a_share_in_percent_and_a_change_without_a_reason_are_refused() -> None:
    with pytest.raises(DeploymentError, match=r"5 % is 0\.05"):
        encode(change(1, "canary", 1, share=5))
    with pytest.raises(DeploymentError, match="--why"):
        encode(msgspec.structs.replace(change(1, "canary", 1), why=""))


def test_the_last_record_of_a_role_counts_and_the_champion_before_is_kept() -> None:
    running = current(
        [change(1, "champion", 1), change(2, "canary", 2, 0.01), change(3, "canary", 2, 0.05), change(4, "shadow", 3)]
    )
    payments = running["payments"]
    assert payments.champion == change(1, "champion", 1)
    assert payments.canary == change(3, "canary", 2, 0.05)
    assert payments.shadow == change(4, "shadow", 3)
    assert payments.previous is None


def test_a_promoted_canary_is_the_champion_and_no_canary() -> None:
    payments = current([change(1, "champion", 1), change(2, "canary", 2, 0.5), change(3, "champion", 2)])["payments"]
    assert (payments.champion, payments.previous, payments.canary) == (change(3, "champion", 2), change(1, "champion", 1), None)


def test_a_promotion_leaves_another_canary_alone() -> None:
    payments = current([change(1, "champion", 1), change(2, "canary", 3, 0.5), change(3, "champion", 2)])["payments"]
    assert payments.canary == change(2, "canary", 3, 0.5)


def test_a_rollback_swaps_champion_and_previous() -> None:
    payments = current([change(1, "champion", 1), change(2, "champion", 2), change(3, "champion", 1)])["payments"]
    assert payments.champion == change(3, "champion", 1)
    assert payments.previous == change(2, "champion", 2)


def test_deploying_the_champion_again_keeps_the_one_before_it() -> None:
    payments = current([change(1, "champion", 1), change(2, "champion", 2), change(3, "champion", 2)])["payments"]
    assert payments.previous == change(1, "champion", 1)


def test_no_version_ends_a_role() -> None:
    payments = current([change(1, "champion", 1), change(2, "canary", 2, 0.1), change(3, "canary", None)])["payments"]
    assert payments.canary is None
    ended = current([change(1, "champion", 1), change(2, "champion", None)])["payments"]
    assert (ended.champion, ended.previous) == (None, change(1, "champion", 1))


def test_pipelines_do_not_meet_and_unknown_roles_are_left_alone() -> None:
    running = current([change(1, "champion", 1), change(2, "champion", 9, pipeline="flights"), change(3, "holdout", 5)])
    assert running["payments"].champion == change(1, "champion", 1)
    assert running["flights"].champion == change(2, "champion", 9, pipeline="flights")


def test_as_of_a_time() -> None:
    records = [change(1, "champion", 1), change(2, "champion", 2)]
    assert as_of(records, 1.5)["payments"].champion == change(1, "champion", 1)
    assert as_of(records, 0.5) == {}


CHANGES = st.lists(
    st.builds(
        change, st.integers(0, 99), st.sampled_from(["champion", "canary", "shadow"]), st.one_of(st.none(), st.integers(1, 4))
    ),
    unique_by=lambda record: record.change_id,
)


@given(records=CHANGES, data=st.data())
def test_a_change_written_twice_counts_once(records: list[Deployment], data: st.DataObject) -> None:
    """A writer that retries may append a record again, even after later ones."""
    retried = list(records)
    for record in records:
        if data.draw(st.booleans()):
            retried.insert(data.draw(st.integers(retried.index(record) + 1, len(retried))), record)
    assert current(retried) == current(records)
