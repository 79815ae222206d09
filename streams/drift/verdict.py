"""What a window comes to: its features in the order of concern, and a sentence or two. The judging itself was the monitor's."""

from collections.abc import Iterable, Sequence

from streams.drift.figures import listed
from streams.monitor.reading import Window
from streams.monitor.records import FeatureDrift, State, WindowSummary

PREDICTION = "prediction."  # begins the names of what the model said
ORDER: tuple[State, ...] = ("drift", "warn", "unknown", "ok")
SEVERITIES = ("ticket", "info", "none")


def of_predictions(name: str) -> bool:
    return name.startswith(PREDICTION)


def ranked(features: Iterable[FeatureDrift]) -> list[FeatureDrift]:
    """By state, severity and PSI excess, the worst first; equal ones as the monitor wrote them."""

    def concern(one: FeatureDrift) -> tuple[int, int, float]:
        excess = float("-inf") if one.psi_excess is None else one.psi_excess
        return ORDER.index(one.state), SEVERITIES.index(one.severity), -excess

    return sorted(features, key=concern)


def split(features: Sequence[FeatureDrift]) -> tuple[list[FeatureDrift], list[FeatureDrift]]:
    """The vector's features, and what the model said."""
    return [one for one in features if not of_predictions(one.feature)], [one for one in features if of_predictions(one.feature)]


def verdict(window: Window) -> str:
    """The window in one or more sentences, for somebody who reads nothing else.

    What was too little to judge is said so: it is not the same as nothing found.
    """
    ordered = ranked(window.features)
    features, predictions = split(ordered)
    sentences = [_of_features(features, window.summary)]
    if warned := [one.feature for one in features if one.state == "warn"]:
        sentences.append(f"{len(warned)} may drift, which one more such window would confirm: {listed(warned)}.")
    unknown = sum(one.state == "unknown" for one in features)
    if 0 < unknown < len(features):
        sentences.append(f"Of {unknown} nothing can be said.")
    sentences += _of_predictions(predictions, also=any(one.state == "drift" for one in features))
    if window.summary.decision_in_band is False:
        sentences.append("The share of positive decisions is outside its band.")
    return " ".join(sentences)


def _of_features(features: Sequence[FeatureDrift], summary: WindowSummary) -> str:
    if not features:
        return summary.why or "No feature was judged."
    if all(one.state == "unknown" for one in features):
        return "No feature could be judged."
    drifting = [one.feature for one in features if one.state == "drift"]
    if not drifting:
        return f"No drift in {len(features)} features."
    verb = "drifts" if len(drifting) == 1 else "drift"
    return f"{len(drifting)} of {len(features)} features {verb}: {listed(drifting)}."


def _of_predictions(predictions: Sequence[FeatureDrift], also: bool) -> list[str]:
    """Whether they moved; nothing where that could not be judged."""
    if any(one.state == "drift" for one in predictions):
        return ["Predictions have moved too." if also else "Predictions have moved."]
    return ["Predictions have not moved."] if any(one.state != "unknown" for one in predictions) else []
