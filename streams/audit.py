"""The topic ``tidegate.audit``: acts that must be kept though Redis loses everything.

An erasure, with whom it concerned as a keyed hash only; a namespace filled from Parquet, with its cut; the drop of such a one.
"""

import logging
import time
import uuid
from collections.abc import Iterable, Sequence

import msgspec

from featurestore.admission import Erasure, Erasures, same_entities
from featurestore.namespaces import Backfill
from featurestore.personal import key_id
from featurestore.plan import FeaturePlan
from streams.chunk import TP
from streams.errors import AuditError, ErasedUnknown, SettingsError
from streams.settings import ENVIRONMENT, Settings
from streams.small_topic import append, kept_topic, read_all
from streams.topic_facts import TopicFacts
from streams.topics import ensure_topics

log = logging.getLogger(__name__)

TOPIC = "tidegate.audit"
SPEC = kept_topic(TOPIC)
FORGET, FILL, DROP = "forget", "fill", "drop"


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One act, at ``when`` (seconds since the epoch, UTC), on ``namespaces``. Fields are only ever added, with defaults.

    forget: ``fields`` name the entity, ``hash`` is HMAC-SHA-256 of its fields and values under the key that ``key_id`` tells;
    its events from before ``when`` count no more. Of the fields, ``personal`` were hashed by the pipeline then, and
    ``personal_hash`` is the hash with their values hashed, as events have them; None where there were none. fill: the namespace
    is filled from Parquet, as ``fill`` says, from here on. drop: it is empty again, and may be filled in another way. The last
    two leave ``fields``, ``hash`` and ``key_id`` empty.
    """

    act: str
    act_id: str
    pipeline: str
    fields: tuple[str, ...]
    hash: str
    key_id: str
    who: str
    when: float
    why: str
    namespaces: list[str]
    fill: Backfill | None = None
    personal: list[str] = []
    personal_hash: str | None = None


def read_acts(bootstrap_servers: str) -> list[Act]:
    """Every act, in order; the topic is created where it is missing."""
    ensure_topics(bootstrap_servers, [SPEC])
    return read_all(bootstrap_servers, TOPIC, _decode, msgspec.DecodeError, AuditError)


class NewActs:
    """Reads the acts again whenever there are more."""

    def __init__(self, bootstrap_servers: str, facts: TopicFacts) -> None:
        self._bootstrap_servers, self._facts, self._end = bootstrap_servers, facts, 0

    def __call__(self) -> list[Act] | None:
        """Every act, where the topic has grown since this was last asked; None where it has not. The topic must be there."""
        end = sum(self._facts.ends([TP(TOPIC, 0)]).values())
        if end == self._end:
            return None
        acts = read_acts(self._bootstrap_servers)
        self._end = end
        return acts


def _decode(value: bytes) -> Act:
    return msgspec.json.decode(value, type=Act)


def write_act(bootstrap_servers: str, act: Act) -> None:
    """Writes an act and waits until every replica has it; AuditError otherwise."""
    ensure_topics(bootstrap_servers, [SPEC])
    append(bootstrap_servers, TOPIC, act.pipeline, msgspec.json.encode(act), AuditError)


def fills(acts: Iterable[Act]) -> dict[str, Backfill]:
    """How each namespace was filled from Parquet, of those that were and were not dropped since."""
    out: dict[str, Backfill] = {}
    for act in acts:
        for name in act.namespaces:
            if act.act == FILL and act.fill is not None:
                out[name] = act.fill
            elif act.act == DROP:
                out.pop(name, None)
    return out


def same_fill(one: Backfill | None, other: Backfill | None) -> bool:
    """Whether both mean the same events, from the same file."""
    return one is not None and other is not None and (one.source, one.cut, one.digest) == (other.source, other.cut, other.digest)


def fill_act(pipeline: str, name: str, fill: Backfill) -> Act:
    """To be written before the first row of a file is merged."""
    return _of_namespace(FILL, pipeline, name, "tidegate backfill", fill)


def drop_act(pipeline: str, name: str) -> Act:
    """To be written once nothing of the namespace is left."""
    return _of_namespace(DROP, pipeline, name, "tidegate features drop", None)


def _of_namespace(act: str, pipeline: str, name: str, who: str, fill: Backfill | None) -> Act:
    return Act(
        act=act,
        act_id=uuid.uuid4().hex,
        pipeline=pipeline,
        fields=(),
        hash="",
        key_id="",
        who=who,
        when=time.time(),
        why="",
        namespaces=[name],
        fill=fill,
    )


def required_key(settings: Settings, acts: Iterable[Act] = ()) -> bytes:
    """The key that entities are hashed with; SettingsError where it is not set, or not the one that these acts were made with."""
    key = settings.hash_key
    if key is None:
        raise SettingsError(
            f"TIDEGATE_HASH_KEY is not set ({ENVIRONMENT['TIDEGATE_HASH_KEY']}); make one and keep it: "
            "export TIDEGATE_HASH_KEY=$(openssl rand -hex 32)"
        )
    others = {act.key_id for act in acts if act.act == FORGET} - {key_id(key)}
    if others:
        raise SettingsError(
            f"TIDEGATE_HASH_KEY is not the key that entities were forgotten under (its id is {key_id(key)}, theirs "
            f"{', '.join(sorted(others))}): set the one that was in use then, or their events would come back"
        )
    return key


def erasures(settings: Settings, plan: FeaturePlan, acts: Sequence[Act] | None = None) -> Erasures | None:
    """The erasure log of a pipeline as a question to its events; None where nobody was forgotten. `acts`: as read already.

    SettingsError where somebody was and the key is not there to know them by; ErasedUnknown where other fields were personal
    then.
    """
    known = read_acts(settings.kafka) if acts is None else acts
    acts = [act for act in known if act.act == FORGET and act.pipeline == plan.pipeline]
    if not acts:
        return None
    key = required_key(settings, acts)
    found = [Erasure(act.fields, hash, act.when) for act in acts if (hash := _known_by(act, plan.personal, acts)) is not None]
    return Erasures(key, found, same_entities(plan.groups))


def _known_by(act: Act, personal: frozenset[str], acts: Iterable[Act]) -> str | None:
    """The hash of the act's entity in events whose `personal` fields are hashed; None where another act of the entity says it."""
    hashed = personal.intersection(act.fields)
    if not hashed:
        return act.hash
    if hashed == set(act.personal):
        return act.personal_hash
    if any(other.hash == act.hash and hashed == set(other.personal) and other.when >= act.when for other in acts):
        return None
    raise ErasedUnknown(
        f"act {act.act_id} of {act.pipeline} ({act.why or 'no reason given'}) forgot an entity by {', '.join(act.fields)} when "
        f"other fields were personal, and its hash is none that events have now: forget the same entity once more"
    )
