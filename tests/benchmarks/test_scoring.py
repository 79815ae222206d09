"""Part `scoring`: figures from times, and that all chunk sizes are timed on rows that are there."""

import io

import numpy as np
from rich.console import Console

from benchmarks.part import Options
from benchmarks.parts.scoring import CHUNKS, OURS, ROUNDS, ROWS, THEIRS, Times, figures, text, timed
from scorer.models import Matrix, Scores

TIMES: Times = {
    (name, size): [4.0, 6.0, 8.0] if name == THEIRS else [2.0, 2.0, 1.0] for size in CHUNKS for name in (THEIRS, OURS)
}


def test_figures_are_medians_and_ratios_of_neighbours() -> None:
    """4/2, 6/2, 8/1: the median is 3."""
    found = {row.name: (row.value, row.unit) for row in figures(TIMES)}
    assert found["scoring/lightgbm/2000"] == (6.0, "us/row")
    assert found["scoring/forest/1"] == (2.0, "us/row")
    assert found["scoring/forest against lightgbm/100"] == (3.0, "x")
    assert len(found) == 3 * len(CHUNKS)


def test_the_table_has_a_line_a_chunk_size() -> None:
    lines = text(TIMES, [50.0]).splitlines()
    assert lines[2] == "| 1 | 6.00 (4.00 to 8.00) | 2.00 (1.00 to 2.00) | 3.00 (2.00 to 8.00) x |"
    assert len(lines) == 2 + len(CHUNKS) + 2


def test_every_chunk_is_whole_and_both_get_the_same() -> None:
    given: dict[str, list[tuple[int, float]]] = {THEIRS: [], OURS: []}

    def scored_by(name: str, matrix: Matrix) -> Scores:
        given[name].append((len(matrix), float(matrix[0, 0])))
        return matrix[:, 0]

    rows = np.arange(ROWS, dtype=np.float64).reshape(-1, 1)
    contenders = {name: lambda matrix, name=name: scored_by(name, matrix) for name in given}
    times = timed(contenders, rows, Options(1, 1, Console(file=io.StringIO())))
    assert {len(found) for found in times.values()} == {ROUNDS}
    assert {size for size, _ in given[OURS]} == set(CHUNKS)
    assert given[OURS] == given[THEIRS]
