"""What each model version was trained on, as its reference profile: found by the deployments topic, fetched from the registry."""

import asyncio
import logging
import time
from dataclasses import dataclass
from functools import lru_cache
from math import inf

import numpy as np

from featurestore.events import Floats, Ints
from featurestore.schema import FeatureSchema
from monitors.drift.profile import PREDICTIONS, Profile
from monitors.drift.tally import Binner
from scorer.artifact import read_profile
from scorer.cache import fetch_in_child
from scorer.errors import ScorerError
from streams.deployments import read_deployments
from streams.errors import StreamError
from streams.monitor.rows import Rows
from streams.settings import Settings

log = logging.getLogger(__name__)

TRY_AGAIN_SECONDS = 60.0  # a registry that is away; windows begun meanwhile are `unknown`


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """One version's profile; `matrix` brings rows into its order."""

    model: str
    version: int
    id: str
    profile: Profile
    binner: Binner

    def matrix(self, rows: Rows) -> Floats:
        """(n, features of the profile): the columns it knows by their names, NaN for what is not served any more."""
        places = _places(self.profile, rows.schema)
        if places is None:
            return rows.matrix
        out = np.full((len(rows), len(places)), np.nan)
        out[:, places >= 0] = rows.matrix[:, places[places >= 0]]
        return out


@lru_cache(maxsize=32)
def _places_by_name(names: tuple[str, ...], served: tuple[str, ...]) -> Ints | None:
    at = {name: place for place, name in enumerate(served)}
    places = np.array([at.get(name, -1) for name in names], dtype=np.int64)
    return None if np.array_equal(places, np.arange(len(served))) else places


def _places(profile: Profile, schema: FeatureSchema) -> Ints | None:
    """Where the profile's features are in a served matrix; None where they are just these, in this order."""
    return _places_by_name(tuple(profile.names), (*schema.names, *PREDICTIONS))


class References:
    """The references of one pipeline's versions. A version that has none is told why, in `why`."""

    def __init__(self, settings: Settings, pipeline: str) -> None:
        self._settings, self._pipeline = settings, pipeline
        self.found: dict[int, Reference | None] = {}
        self.why: dict[int, str] = {}
        self._again: dict[int, float] = {}
        self._fetching = asyncio.Lock()

    async def ensure(self, version: int) -> None:
        """Looks a version up, unless it was; returns when `found` has it, None where there is no reference."""
        if self._known(version):
            return
        async with self._fetching:  # who counts another partition meanwhile waits, too
            if not self._known(version):
                await self._look_up(version)

    def _known(self, version: int) -> bool:
        return version in self.found and time.monotonic() < self._again.get(version, inf)

    async def _look_up(self, version: int) -> None:
        self._again.pop(version, None)
        try:
            self.found[version] = await asyncio.to_thread(self._fetch, version)
            if self.found[version] is None:  # it may be deployed, or replaced, yet
                self._again[version] = time.monotonic() + TRY_AGAIN_SECONDS
        except (ScorerError, StreamError) as error:
            self.found[version], self._again[version] = None, time.monotonic() + TRY_AGAIN_SECONDS
            self.why[version] = f"the reference of version {version} could not be fetched: {error}"
            log.warning("%s; trying again in %.0f s", self.why[version], TRY_AGAIN_SECONDS)

    def _fetch(self, version: int) -> Reference | None:
        settings = self._settings
        deployed = [d for d in read_deployments(settings.kafka) if d.pipeline == self._pipeline and d.version == version]
        if not deployed:
            self.why[version] = f"version {version} is in no record of tidegate.deployments; run: tidegate train --promote"
            return None
        uri, model = deployed[-1].registry or settings.registry_uri, deployed[-1].model
        folder = fetch_in_child(model, version, settings.cache, uri=uri, artifact_hash=deployed[-1].artifact_hash)
        profile = read_profile(folder)
        if profile is None:
            self.why[version] = f"{model} version {version} was trained without a reference; run: tidegate train --promote"
            return None
        self.why.pop(version, None)
        return Reference(model, version, profile.id, profile, Binner(profile))
