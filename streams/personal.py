"""The key of a pipeline's personal fields, from the settings; what is hashed with it, and how, is featurestore.personal's."""

from collections.abc import Mapping, Sequence

from featurestore.errors import HashKeyError
from featurestore.events import Event, contract
from featurestore.layout import Group
from featurestore.namespaces import Namespaces, check_key
from featurestore.personal import Pseudonyms, hashed_fields, spared_values
from featurestore.plan import FeaturePlan
from featurestore.redis_client import Client, connect
from scorer.pipeline import Pipeline
from streams.settings import ENVIRONMENT, Settings


def personal_fields(pipeline: Pipeline, plan: FeaturePlan) -> dict[str, tuple[str, ...]]:
    """The personal fields of each event that the pipeline reads, by topic; events without any are left out."""
    events: Sequence[type[Event]] = list(dict.fromkeys([*plan.history_events, pipeline.label.event]))
    return {contract(event).topic: contract(event).personal for event in events if contract(event).personal}


def pseudonyms(settings: Settings, pipeline: Pipeline, plan: FeaturePlan) -> Pseudonyms | None:
    """What hashes the pipeline's personal fields, None where it has none; HashKeyError without a key."""
    fields = personal_fields(pipeline, plan)
    if not fields:
        return None
    if settings.hash_key is None:
        named = "; ".join(f"{topic}: {', '.join(names)}" for topic, names in fields.items())
        raise HashKeyError(
            f"TIDEGATE_HASH_KEY is not set ({ENVIRONMENT['TIDEGATE_HASH_KEY']}), and {pipeline.name} has personal fields "
            f"({named}): set the key that its workers have. A new pipeline? Make one and keep it: "
            "export TIDEGATE_HASH_KEY=$(openssl rand -hex 32)"
        )
    return Pseudonyms(settings.hash_key, spared_values(plan.groups))


def stored_values(group: Group, values: Sequence[str], hashing: Pseudonyms | None) -> tuple[str, ...]:
    """An entity's values, in order of ``by``, as the group's states are keyed by them; HashKeyError without a key."""
    hashed = hashed_fields(group)
    if not hashed:
        return tuple(values)
    if hashing is None:
        raise HashKeyError(f"{group.name} is keyed by personal fields ({', '.join(hashed)}): set TIDEGATE_HASH_KEY")
    return tuple(hashing.of(name, value) if name in hashed else value for name, value in zip(group.by, values, strict=True))


async def check_namespaces(client: Client, plan: FeaturePlan, hashing: Pseudonyms | None) -> None:
    """HashKeyError where a namespace of the plan was filled under another key."""
    if plan.personal:
        entries: Mapping[str, object] = (found := await Namespaces(client).all())
        for group in plan.groups:
            if plan.namespace(group) in entries:
                check_key(group, found[plan.namespace(group)], None if hashing is None else hashing.key_id)


async def check_key_in_use(settings: Settings, plan: FeaturePlan, hashing: Pseudonyms | None) -> None:
    """The same for a command that needs no Redis otherwise: asks only where its address is known."""
    if plan.personal and settings.redis_url is not None:
        client = connect(settings.redis)
        try:
            await check_namespaces(client, plan, hashing)
        finally:
            await client.aclose()
