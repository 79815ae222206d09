"""`python -m benchmarks.accept`, which is `make accept`: measures, prints, writes benchmarks/results/<part>.json."""

import sys
from pathlib import Path

import click
from rich.console import Console

from benchmarks import report
from benchmarks.accept import PARTS, part

RESULTS = Path(__file__).parents[1] / "results"


def chosen(_: click.Context, __: click.Parameter, only: str) -> list[str]:
    """The parts that `--only` names; all where it names none."""
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in PARTS]
    if unknown:
        raise click.BadParameter(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    return [name for name in PARTS if not wanted or name in wanted]


@click.command()
@click.option("--only", default="", callback=chosen, help=f"Parts, joined by commas, of {', '.join(PARTS)}; by default all.")
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
