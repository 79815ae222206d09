"""What a backfill watches while it fills: who is forgotten meanwhile, and that its namespaces stay entered.

`forget` writes its act, then deletes, and neither knows of the other. Nobody forgotten is left behind by a backfill that ends:

- an act from before the last merge is taken in between two merges, or after the last: every later merge heeds it, and the states
  that earlier ones made are deleted then, whatever forget has deleted before;
- an act from after the last merge is followed by forget's own deletion.

No clock is needed for that. One that is killed with acts not yet taken in deletes nothing more; so it says that it fills before
it reads the acts. Forget looks for that word after its act, and deletes again after longer than the time between two looks.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence

from featurestore.admission import Erasures
from featurestore.namespaces import Namespace, Namespaces, checked
from featurestore.plan import FeaturePlan
from featurestore.redis_client import Client
from streams.audit import FORGET, SPEC, Act, NewActs, erasures
from streams.enrolment import CHECK_SECONDS
from streams.forgetting import delete_forgotten
from streams.settings import Settings
from streams.topic_facts import TopicFacts
from streams.topics import ensure_topics

END_SECONDS = 2.0  # a Redis that is away must not hold up the end: the word lapses by itself


class FillWatch:
    """Of one run over some of a plan's groups. `erased` is who is to be left out, as of the last look."""

    def __init__(
        self,
        plan: FeaturePlan,
        settings: Settings,
        client: Client,
        facts: TopicFacts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan, self._settings, self._client, self._clock = plan, settings, client, clock
        self._namespaces, self._new_acts = Namespaces(client), NewActs(settings.kafka, facts)
        self._names: Sequence[str] = ()
        self._taken_in: set[str] = set()
        self._looked = 0.0
        self.erased: Erasures | None = None

    async def begin(self, names: Sequence[str]) -> list[Act]:
        """Says that these are being filled, then reads the acts there are; whom they forget counts from the first merge on."""
        self._names, self._looked = names, self._clock()
        await self._namespaces.fill(names, self._plan.pipeline)
        await asyncio.to_thread(ensure_topics, self._settings.kafka, [SPEC])
        acts = await asyncio.to_thread(self._new_acts) or []
        self.erased = erasures(self._settings, self._plan, acts)
        self._taken_in = {act.act_id for act in acts}
        return acts

    async def look(self, entries: Mapping[str, Namespace]) -> None:
        """To be called before each merge; looks every CHECK_SECONDS. `entries` are those being filled, by group name."""
        if self._clock() - self._looked >= CHECK_SECONDS:
            await self.look_now(entries)

    async def look_now(self, entries: Mapping[str, Namespace]) -> None:
        """To be called after the last merge, too. NamespaceError where a namespace is being dropped, or was."""
        self._looked = self._clock()
        await self._namespaces.fill(self._names, self._plan.pipeline)
        known = await self._namespaces.all()
        for group in self._plan.groups:
            if group.name in entries:
                checked(self._plan, group, known.get(self._plan.namespace(group)), {})
        acts = await asyncio.to_thread(self._new_acts)
        if acts is not None:
            await self._take_in(acts, entries)

    async def _take_in(self, acts: Sequence[Act], entries: Mapping[str, Namespace]) -> None:
        self.erased = erasures(self._settings, self._plan, acts)
        new = [act for act in acts if act.act == FORGET and act.act_id not in self._taken_in]
        meanwhile = erasures(self._settings, self._plan, new)  # those alone: others may have events from after their act
        if meanwhile is not None:
            await delete_forgotten(self._client, entries.values(), meanwhile)
        self._taken_in.update(act.act_id for act in acts)

    async def end(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await self._namespaces.fill_ends(self._names)
