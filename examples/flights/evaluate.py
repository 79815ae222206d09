"""How much the streaming features are worth: train on January to June, compare on July to December with the schedule alone.

    python -m examples.flights.evaluate [--groups] [--plot FILE.svg] [--seed N]

Both models get the same rows, the same training and the same seed; only the columns differ. Training sees
nothing of July to December: early stopping looks at June.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from examples.flights import dataset, plot
from examples.flights.matrix import MATURITY_SECONDS, labelled
from examples.flights.pipeline import SCHEDULE, pipeline
from featurestore.definitions import On
from featurestore.events import Floats
from featurestore.layout import default_name
from scorer.labels import Labelled
from scorer.metrics import auc_difference_interval
from scorer.training import TrainedModel, train

SPLIT_MONTH = 7
REQUIRED_LIFT = 0.08
MODEL_THREADS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """AUC of the pipeline's features and of the schedule alone on the unseen months; ``months`` holds both for each month."""

    auc: float
    baseline_auc: float
    interval: tuple[float, float]  # of the difference, 95 %
    train_rows: int
    test_rows: int
    months: dict[int, tuple[float, float]]
    importances: dict[str, float]  # share of the gain of all splits, largest first

    @property
    def lift(self) -> float:
        return self.auc - self.baseline_auc


def evaluate(seed: int = 1) -> Evaluation:
    """Computes features of the whole year, trains both models, and compares them."""
    batches = dataset.batches()
    _say("features of 336,776 departures")
    rows = labelled(pipeline.features, batches)
    boundary, end = dataset.month_start(SPLIT_MONTH), float("inf")
    test = rows.between(boundary, end)
    model, scores = _train_and_score("all features", rows, boundary, seed)
    _, baseline = _train_and_score("schedule alone", labelled(SCHEDULE, batches), boundary, seed)
    _say("500 bootstrap samples")
    return Evaluation(
        auc=_auc(test.labels, scores),
        baseline_auc=_auc(test.labels, baseline),
        interval=auc_difference_interval(test.labels, scores, baseline, seed),
        train_rows=len(rows.between(0, boundary - MATURITY_SECONDS).labels),
        test_rows=len(test.labels),
        months=_by_month(test, scores, baseline),
        importances=importances(model),
    )


def _train_and_score(name: str, rows: Labelled, boundary: float, seed: int) -> tuple[TrainedModel, Floats]:
    known = rows.between(0, boundary - MATURITY_SECONDS)  # labels that had come when July began
    _say(f"training on {len(known.labels):,} flights, {name}")
    trained = train(
        known.matrix, known.labels, known.times, known.schema, task="binary", seed=seed, gap_seconds=MATURITY_SECONDS
    )  # fmt: skip
    trained.model.threads = MODEL_THREADS
    return trained, trained.model.score(rows.between(boundary, float("inf")).matrix)


def _by_month(test: Labelled, scores: Floats, baseline: Floats) -> dict[int, tuple[float, float]]:
    found = {}
    for month in range(SPLIT_MONTH, 13):
        within = (test.times >= dataset.month_start(month)) & (test.times < dataset.month_start(month + 1))
        found[month] = (_auc(test.labels[within], scores[within]), _auc(test.labels[within], baseline[within]))
    return found


def _auc(labels: npt.NDArray[np.float64], scores: Floats) -> float:
    return float(roc_auc_score(labels, scores))


def without_each(seed: int = 1) -> dict[str, float]:
    """AUC on the unseen months with each feature group left out in turn, by the group's name: what it alone contributes."""
    batches = dataset.batches()
    boundary = dataset.month_start(SPLIT_MONTH)
    found = {}
    for left_out in pipeline.features:
        if isinstance(left_out, On):
            rows = labelled([feature for feature in pipeline.features if feature is not left_out], batches)
            _, scores = _train_and_score(f"without {default_name(left_out)}", rows, boundary, seed)
            found[default_name(left_out)] = _auc(rows.between(boundary, float("inf")).labels, scores)
    return found


def importances(trained: TrainedModel) -> dict[str, float]:
    """Each feature's share of the gain of all splits (LightGBM's own importance), largest first."""
    gains = lightgbm.Booster(model_str=trained.model.text).feature_importance("gain")
    order = np.argsort(-gains, kind="stable")
    return {trained.model.schema.names[i]: float(gains[i] / gains.sum()) for i in order}


def report(found: Evaluation) -> str:
    """The evaluation as text."""
    low, high = found.interval
    lines = [
        f"trained on {found.train_rows:,} flights (January to June), tested on {found.test_rows:,} (July to December)",
        f"AUC             {found.auc:.4f}",
        f"schedule alone  {found.baseline_auc:.4f}",
        f"difference      {found.lift:.4f}  95 % interval {low:.4f} to {high:.4f} (paired bootstrap)",
        "",
        "month   AUC     schedule alone",
        *(f"2013-{month:02d} {ours:.4f}  {theirs:.4f}" for month, (ours, theirs) in found.months.items()),
        "",
        "share of gain  feature",
        *(f"{share:12.1%}   {name}" for name, share in found.importances.items()),
    ]
    return "\n".join(lines)


def _say(what: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Prints the report; the exit code says whether the streaming features are worth what they must be."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--plot", type=Path, metavar="FILE.svg", help="also draw the importances and the months")
    arguments.add_argument("--groups", action="store_true", help="also train without each feature group in turn")
    arguments.add_argument("--seed", type=int, default=1)
    chosen = arguments.parse_args()
    found = evaluate(chosen.seed)
    print(report(found))
    if chosen.groups:
        print("\nAUC     without")
        print("\n".join(f"{auc:.4f}  {group}" for group, auc in without_each(chosen.seed).items()))
    if chosen.plot:
        chosen.plot.write_text(plot.importances(found.importances))
    return 0 if found.interval[0] >= REQUIRED_LIFT else 1


if __name__ == "__main__":
    sys.exit(main())
