"""What should run: records of deployments, and the fold that says what they amount to.

The records' topic is the truth, the registry's aliases mirror it. Reading and writing the topic is left to streams.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import msgspec

from scorer.errors import DeploymentError

CHAMPION, CANARY, SHADOW = "champion", "canary", "shadow"
ROLES = (CHAMPION, CANARY, SHADOW)


class Deployment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change of what a role runs, with who, when and why. ``version`` None ends the role.

    ``share`` is the canary's or shadow's share of the events, 0 to 1; ``previous_version`` what the role ran before;
    ``artifact_hash`` the version's (``scorer.artifact.artifact_hash``); ``registry`` where to fetch it from.
    Fields may be added, with defaults; readers ignore those they do not know.
    """

    change_id: str
    pipeline: str
    model: str
    role: str
    version: int | None
    who: str
    when: float  # seconds since the epoch, UTC
    why: str
    previous_version: int | None = None
    share: float = 1.0
    artifact_hash: str | None = None
    registry: str | None = None


def encode(record: Deployment) -> bytes:
    """The record as JSON. DeploymentError for a share outside 0 to 1 or a change without who and why."""
    if not 0 <= record.share <= 1:
        raise DeploymentError(f"change {record.change_id}: a share is between 0 and 1, not {record.share}; 5 % is 0.05")
    if not record.who or not record.why:
        raise DeploymentError(f"change {record.change_id}: a deployment says who and why; give --who and --why")
    return msgspec.json.encode(record)


def decode(data: bytes) -> Deployment:
    """The record of JSON that ``encode`` of this or a newer version wrote; DeploymentError for anything else."""
    try:
        return msgspec.json.decode(data, type=Deployment)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DeploymentError(f"not a deployment record ({error}); see the topic's schema in docs/topics.md") from error


@dataclass(frozen=True, slots=True)
class Running:
    """What one pipeline should run. ``previous`` is the champion before this one, kept loaded for a rollback."""

    champion: Deployment | None = None
    previous: Deployment | None = None
    canary: Deployment | None = None
    shadow: Deployment | None = None
    seen: frozenset[str] = field(default=frozenset(), repr=False)


def current(records: Iterable[Deployment]) -> dict[str, Running]:
    """What should run of each pipeline after these records, in the order of their topic.

    A change seen twice (a writer's retry) counts once. Unknown roles are left to newer readers. A canary that becomes the
    champion is no longer a canary.
    """
    running: dict[str, Running] = {}
    for record in records:
        before = running.get(record.pipeline, Running())
        if record.change_id not in before.seen:
            running[record.pipeline] = replace(_apply(before, record), seen=before.seen | {record.change_id})
    return running


def as_of(records: Iterable[Deployment], when: float) -> dict[str, Running]:
    """What should have run at a time, seconds since the epoch."""
    return current(record for record in records if record.when <= when)


def _apply(running: Running, record: Deployment) -> Running:
    now = record if record.version is not None else None
    if record.role == CANARY:
        return replace(running, canary=now)
    if record.role == SHADOW:
        return replace(running, shadow=now)
    if record.role == CHAMPION:
        canary = None if _same(running.canary, now) else running.canary
        previous = running.previous if _same(running.champion, now) else running.champion or running.previous
        return replace(running, champion=now, previous=previous, canary=canary)
    return running


def _same(one: Deployment | None, other: Deployment | None) -> bool:
    return one is not None and other is not None and (one.model, one.version) == (other.model, other.version)
