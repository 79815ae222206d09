"""`python -m benchmarks.accept`, which is `make accept`: measures, prints, writes benchmarks/results/<part>.json."""

import sys
from pathlib import Path

import click
from rich.console import Console

from benchmarks import report
from benchmarks.accept import PARTS, part
from benchmarks.only import only_option

RESULTS = Path(__file__).parents[1] / "results"


@click.command()
@only_option(list(PARTS))
@click.option("--write/--no-write", default=True, help="Write benchmarks/results/<part>.json (by default yes).")
def main(only: list[str], write: bool) -> None:
    """Hold the monitors against their bars; exit code 1 where one is missed."""
    missed = False
    for name in only:
        rows = part(name)(Console(stderr=True))
        click.echo(report.bars(rows))
        missed = missed or any(row.holds is False for row in rows)
        if write:
            (RESULTS / f"{name}.json").unlink(missing_ok=True)
            report.write_rows(RESULTS / f"{name}.json", name, rows)
    sys.exit(int(missed))


if __name__ == "__main__":
    main()
