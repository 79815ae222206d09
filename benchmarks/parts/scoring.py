"""Part `scoring`: the walk over LightGBM's trees beside LightGBM's own predict, chunk by chunk in turn, in one thread."""

import importlib.metadata
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import lightgbm

from benchmarks import machine
from benchmarks.part import Measured, Options
from benchmarks.report import Row, Spread
from benchmarks.workload import PLAN, RATE, SEED, trained_model
from examples.payments.generate import Stream, write_parquet
from examples.payments.pipeline import pipeline
from featurestore import offline
from featurestore.parquet import read_history
from scorer.models import Matrix, Scores
from scorer.models.encoding import Encoder
from scorer.models.forest_proof import PROOF_ROWS, proven
from streams.cli.progress import steps

PART = "scoring"
THEIRS, OURS = "lightgbm", "forest"
CHUNKS = (1, 10, 100, 1_000, 2_000)  # rows; the last is a worker's largest chunk
ROWS = 20_000
SAMPLE_ROWS, SAMPLE_CALLS = 10_000, 500  # a sample ends with whichever is reached first
ROUNDS, LOADS = 30, 7

Score = Callable[[Matrix], Scores]
Times = dict[tuple[str, int], list[float]]  # us a row, an entry a round, by contender and rows a chunk


def measure(options: Options) -> Measured:
    """Both in turn, once their scores are equal; RuntimeError where one differs in a bit."""
    model = trained_model().model
    booster = lightgbm.Booster(model_str=model.text)

    def predict(matrix: Matrix) -> Scores:
        scores: Scores = booster.predict(matrix, num_threads=1)
        return scores

    rows = Encoder(model.encoding, model.schema).encode(served_rows(ROWS))
    loads = [_cpu_ms(lambda: proven(model.text, predict)) for _ in range(LOADS)]
    forest = proven(model.text, predict)
    if forest.score(rows).tobytes() != predict(rows).tobytes():
        raise RuntimeError(f"the forest's scores of {ROWS:,} served rows are not LightGBM's to the last bit")
    times = timed({THEIRS: predict, OURS: forest.score}, rows, options)
    return Measured([*figures(times), Row(f"{PART}/{OURS}/load", round(Spread.of(loads).middle, 1), "ms")], text(times, loads))


def served_rows(events: int) -> Matrix:
    """The vectors (events, features) of the workload's first payments, computed as a worker would."""
    with tempfile.TemporaryDirectory() as folder:
        write_parquet(Path(folder), Stream(events, RATE, SEED))
        batches = read_history(Path(folder), [pipeline.score])
    return offline.compute(PLAN, batches).served.vectors


def timed(contenders: Mapping[str, Score], rows: Matrix, options: Options) -> Times:
    """CPU time a row, of chunks of each size from changing places among the rows."""
    times: Times = {(name, size): [] for size in CHUNKS for name in contenders}
    with steps(options.console) as show:
        for number in range(ROUNDS):
            show("scoring", number, ROUNDS)
            for size in CHUNKS:
                begins = range(number % 7 * size, len(rows) - size + 1, size)[: min(SAMPLE_CALLS, SAMPLE_ROWS // size)]
                chunks = [rows[begin : begin + size] for begin in begins]
                for name, score in contenders.items():
                    times[name, size].append(_cpu_ms(partial(_each, score, chunks)) * 1e3 / (size * len(chunks)))
    return times


def _each(score: Score, chunks: Sequence[Matrix]) -> None:
    for chunk in chunks:
        score(chunk)


def _cpu_ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1e3


def figures(times: Times) -> list[Row]:
    """The medians, and LightGBM's time by ours, round by round."""
    found = [Row(f"{PART}/{name}/{size}", round(Spread.of(one).middle, 3), "us/row") for (name, size), one in times.items()]
    return found + [Row(f"{PART}/{OURS} against {THEIRS}/{size}", round(ratio(times, size).middle, 2), "x") for size in CHUNKS]


def ratio(times: Times, size: int) -> Spread:
    return Spread.of([theirs / ours for theirs, ours in zip(times[THEIRS, size], times[OURS, size], strict=True)])


def text(times: Times, loads: Sequence[float]) -> str:
    """Markdown: median (least to greatest)."""
    lines = ["| rows a chunk | LightGBM's predict, us/row | forest, us/row | LightGBM by forest |", "|---|---|---|---|"]
    for size in CHUNKS:
        cells = [_cell(Spread.of(times[THEIRS, size])), _cell(Spread.of(times[OURS, size])), _cell(ratio(times, size)) + " x"]
        lines.append(f"| {size:,} | {' | '.join(cells)} |")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("lightgbm", "numba"))
    return "\n".join(lines) + (
        f"\n\nCPU time of one thread, {ROUNDS} rounds in turn: median (least to greatest). Reading the text and proving it on "
        f"{PROOF_ROWS:,} rows takes {_cell(Spread.of(loads))} ms when a version is loaded. All {ROWS:,} scores were equal to the "
        f"last bit. {datetime.now(UTC):%Y-%m-%d}; {versions}; load over the last minute at the end {machine.load():.1f}."
    )


def _cell(spread: Spread) -> str:
    return f"{spread.middle:.2f} ({spread.least:.2f} to {spread.greatest:.2f})"
