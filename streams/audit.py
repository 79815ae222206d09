"""The topic ``tidegate.audit``: acts that must be kept, such as an erasure. Whom it concerned is there as a keyed hash only."""

import hashlib
import hmac
import logging
from collections.abc import Iterable

import msgspec

from featurestore.admission import Erasure, Erasures, same_entities
from featurestore.plan import FeaturePlan
from streams.errors import AuditError, SettingsError
from streams.settings import ENVIRONMENT, Settings
from streams.small_topic import append, kept_topic, read_all
from streams.topics import ensure_topics

log = logging.getLogger(__name__)

TOPIC = "tidegate.audit"
SPEC = kept_topic(TOPIC)
FORGET = "forget"


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One act. ``fields`` name the entity, ``hash`` is HMAC-SHA-256 of its fields and values under the key that ``key_id`` tells.

    ``when`` is in seconds since the epoch, UTC: events of the entity from before it count no more.
    Fields are only ever added, with defaults.
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


def key_id(key: bytes) -> str:
    """Tells one key from another and nothing else of it."""
    return hmac.new(key, b"tidegate key id", hashlib.sha256).hexdigest()[:8]


def read_acts(bootstrap_servers: str) -> list[Act]:
    """Every act, in order; the topic is created where it is missing."""
    ensure_topics(bootstrap_servers, [SPEC])
    return read_all(bootstrap_servers, TOPIC, _decode, msgspec.DecodeError, AuditError)


def _decode(value: bytes) -> Act:
    return msgspec.json.decode(value, type=Act)


def write_act(bootstrap_servers: str, act: Act) -> None:
    """Writes an act and waits until every replica has it; AuditError otherwise."""
    ensure_topics(bootstrap_servers, [SPEC])
    append(bootstrap_servers, TOPIC, act.pipeline, msgspec.json.encode(act), AuditError)


def required_key(settings: Settings, acts: Iterable[Act] = ()) -> bytes:
    """The key that entities are hashed with; SettingsError where it is not set, or not the one that these acts were made with."""
    key = settings.hash_key
    if key is None:
        raise SettingsError(
            f"TIDEGATE_HASH_KEY is not set ({ENVIRONMENT['TIDEGATE_HASH_KEY']}); make one and keep it: "
            "export TIDEGATE_HASH_KEY=$(openssl rand -hex 32)"
        )
    others = {act.key_id for act in acts} - {key_id(key)}
    if others:
        raise SettingsError(
            f"TIDEGATE_HASH_KEY is not the key that entities were forgotten under (its id is {key_id(key)}, theirs "
            f"{', '.join(sorted(others))}): set the one that was in use then, or their events would come back"
        )
    return key


def erasures(settings: Settings, plan: FeaturePlan) -> Erasures | None:
    """The erasure log of a pipeline as a question to its events; None where nobody was forgotten.

    SettingsError where somebody was and the key is not there to know them by.
    """
    acts = [act for act in read_acts(settings.kafka) if act.act == FORGET and act.pipeline == plan.pipeline]
    if not acts:
        return None
    key = required_key(settings, acts)
    return Erasures(key, [Erasure(act.fields, act.hash, act.when) for act in acts], same_entities(plan.groups))
