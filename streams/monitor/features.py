"""A feature's window beside its reference, as the checks of data quality want it."""

from collections.abc import Sequence

import numpy as np

from monitors.drift.judge import Judgement
from monitors.drift.profile import PREDICTIONS, Profile
from monitors.drift.tally import Tally
from monitors.quality import FeatureFacts


def facts(profile: Profile, tally: Tally, judgements: Sequence[Judgement]) -> list[FeatureFacts]:
    """Every feature of the vector; what the model said is drift's affair alone."""
    out = []
    for place, (feature, judged) in enumerate(zip(profile.features, judgements, strict=True)):
        if feature.name not in PREDICTIONS:
            out.append(
                FeatureFacts(
                    name=feature.name,
                    category=feature.kind == "category",
                    n=tally.n,
                    effective_n=judged.effective_n,
                    counts=tally.bins[place, : feature.bins - 1],
                    missing=int(tally.bins[place, feature.bins - 1]),
                    below=int(tally.below[place]),
                    above=int(tally.above[place]),
                    unseen=int(tally.unseen[place]),
                    lowest=float(tally.lowest[place]),
                    highest=float(tally.highest[place]),
                    reference_counts=np.array(feature.counts[:-1]),
                    reference_missing=feature.counts[-1] / feature.m if feature.m else 0.0,
                    reference_unseen=0.0,
                )
            )
    return out
