"""`tidegate alerts render`: a pipeline's rules for Prometheus, with promtool's tests of them."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import click

from streams.cli.errors import told_plainly
from streams.cli.finite import FiniteRange
from streams.loading import load_pipeline

OUT = Path("deploy/prometheus")


@click.command(
    epilog="""\b
Examples:
  tidegate alerts render examples/flights/pipeline.py
  tidegate alerts render pipeline.py --out /etc/prometheus --runbooks https://git.example/tidegate/docs/runbooks
  promtool test rules deploy/prometheus/flight-delays.test.yml
Prometheus reads the new rules on SIGHUP, or by POST /-/reload where it was started with --web.enable-lifecycle."""
)
@click.argument("pipelines", nargs=-1, required=True, metavar="PIPELINE...")
@click.option("--out", default=OUT, show_default=True, type=click.Path(file_okay=False, path_type=Path), help="The folder.")
@click.option("--runbooks", default="docs/runbooks", show_default=True, help="What begins the link to an alert's runbook.")
@click.option(
    "--time-scale",
    default=1.0,
    show_default=True,
    type=FiniteRange(0.001, 1),
    help="Below 1 shortens all windows and waits alike, to drill the same rules in less time. Such files have no tests.",
)
@click.option("--check", is_flag=True, help="Write nothing; 1 where a file is missing or differs from what would be written.")
def render(pipelines: tuple[str, ...], out: Path, runbooks: str, time_scale: float, check: bool) -> None:
    """Write the alert rules of each PIPELINE's objectives, and tests that each fires and stays silent."""
    from streams.alerting import files

    with told_plainly():
        loaded = [load_pipeline(each) for each in pipelines]
        if twice := [name for name, times in Counter(each.name for each in loaded).items() if times > 1]:
            raise click.ClickException(f"two of the files define a pipeline named {twice[0]!r}: each name is one file of rules")
        texts = {out / name: text for each in loaded for name, text in files(each, runbooks, time_scale).items()}
    if check:
        stale = [path for path, text in texts.items() if not path.is_file() or path.read_text() != text]
        for path in stale:
            click.echo(f"{path} is not what the pipeline declares; run: tidegate alerts render {' '.join(pipelines)}", err=True)
        raise SystemExit(int(bool(stale)))
    _write(texts)


def _write(texts: Mapping[Path, str]) -> None:
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            click.echo(f"{path}: {text.count('- alert:')} alerts" if path.name.endswith(".rules.yml") else str(path))
    except OSError as error:
        raise click.ClickException(f"{error.filename} cannot be written: {error.strerror}") from error
