"""`tidegate train`: history in, a registered version out, and with --promote a champion. The steps are streams.training's."""

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from streams.cli.errors import told_plainly
from streams.cli.options import user
from streams.cli.progress import steps
from streams.loading import load_pipeline
from streams.settings import Settings

if TYPE_CHECKING:
    from featurestore.plan import FeaturePlan
    from monitors.drift.profile import Profile
    from scorer.pipeline import Pipeline
    from scorer.training import TrainedModel
    from streams.history import KafkaHistory
    from streams.training import Registered

TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command(
    epilog="""\b
Examples:
  tidegate train pipeline.py --data history/
  tidegate train pipeline.py --data history/ --from 2013-01-01 --to 2013-07-01 --promote --why "first model"
  tidegate train pipeline.py --from-kafka
history/ holds one Parquet file a topic (sales.parquet for topic sales) with the fields of its event."""
)
@click.argument("pipeline")
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of Parquet files.")
@click.option("--from-kafka", is_flag=True, help="Instead of files: what Kafka holds of the pipeline's topics, up to now.")
@click.option("--from", "first", type=TIME, help="Leave out events before this time (UTC).")
@click.option("--to", "last", type=TIME, help="Leave out events from this time on (UTC).")
@click.option("--seed", default=1, show_default=True, help="Same data and seed give a byte-equal model.")
@click.option("--promote", "promoted", is_flag=True, help="Make the version the champion: workers load it when they start.")
@click.option("--unless-deployed", is_flag=True, help="With --promote: do nothing where the pipeline has a champion.")
@click.option("--who", default=user, help="Who trains and promotes; by default the user.")
@click.option("--why", default="trained and promoted in one step", show_default=True, help="Why, for the record.")
def train(
    pipeline: str,
    data: Path | None,
    from_kafka: bool,
    first: datetime | None,
    last: datetime | None,
    seed: int,
    promoted: bool,
    unless_deployed: bool,
    who: str,
    why: str,
) -> None:
    """Train a PIPELINE's model on recorded history and register it.

    Features come from the kernel that serves them. The newest fifth of the labelled events validates, with a gap of the label's
    maturity before it. Refused, with the reason: too few labels, one class, infinite features. With KAFKA_BOOTSTRAP_SERVERS set,
    events of forgotten entities (tidegate forget) are left out, and how the run ended is recorded for the monitor.

    --from-kafka takes the topics as far back as their retention goes. Records pass the contract as they do in a worker; those
    that break it are counted and left out. The same events give the same model, from Kafka or from files.
    """
    from streams.cli.check import check_pipeline
    from streams.jobs import recorded
    from streams.training import promote, register

    if (data is None) != from_kafka:
        raise click.UsageError("say where the history is: --data FOLDER, or --from-kafka")
    if unless_deployed and not promoted:
        raise click.UsageError("--unless-deployed goes with --promote")
    with told_plainly():
        settings = Settings.from_environment(os.environ)
        if promoted or from_kafka:
            assert settings.kafka  # a missing address is told before the training, not after
        found = load_pipeline(pipeline)
        if unless_deployed and _has_champion(found, settings):
            return
        with recorded(settings.bootstrap_servers, "train", found.name, who):
            trained = _trained(found, check_pipeline(found), settings, data, (_utc(first, 0.0), _utc(last, float("inf"))), seed)
            registered = register(found, trained, settings, Path(pipeline.partition(":")[0]).resolve().parent)
            for line in told_of_version(found, trained, registered, settings):
                click.echo(line)
            if promoted:
                promote(found, registered, settings, who, why)
                click.echo(f"{found.model} version {registered.version} is the champion")
                click.echo("Workers load it when they start: restart those that run.")


def _has_champion(pipeline: "Pipeline", settings: Settings) -> bool:
    """Whether the deployments topic names one, which is then told."""
    from streams.deployments import running

    champion = running(settings.kafka, pipeline.name).champion
    if champion is None or champion.version is None:
        return False
    click.echo(f"{champion.model} version {champion.version} is the champion: nothing to do")
    return True


def _trained(
    pipeline: "Pipeline", plan: "FeaturePlan", settings: Settings, data: Path | None, between: tuple[float, float], seed: int
) -> "TrainedModel":
    """A model from the files in `data`, or from Kafka; ``between`` in seconds since the epoch."""
    from streams.audit import erasures
    from streams.history import read_topics
    from streams.personal import check_key_in_use, pseudonyms
    from streams.training import train_on_events, train_pipeline

    hashing = pseudonyms(settings, pipeline, plan)
    asyncio.run(check_key_in_use(settings, plan, hashing))
    erased = erasures(settings, plan) if settings.bootstrap_servers else None
    console = Console(stderr=True)
    if data is not None:
        with steps(console) as progress:
            return train_pipeline(pipeline, data, *between, seed, progress, erased, hashing)
    with steps(console) as progress:
        read = asyncio.run(read_topics(settings.kafka, pipeline, plan, between, hashing, progress))
    for line in told(read):  # before the training: it may say why that is refused
        click.echo(line)
    with steps(console) as progress:
        return train_on_events(pipeline, plan, read.batches, "kafka", seed, progress, erased)


def told_of_version(pipeline: "Pipeline", trained: "TrainedModel", registered: "Registered", settings: Settings) -> list[str]:
    """What came of the training, for people."""
    return [
        *(f"{name:<24}{value:.4f}" for name, value in trained.metrics.items()),
        told_of_windows(trained.profile),
        f"{pipeline.model} version {registered.version} is registered in {settings.registry_uri}",
    ]


def told_of_windows(profile: "Profile") -> str:
    """How large the monitor's windows are, and what one of them can see."""
    events, seconds = profile.window_events, profile.window_seconds
    windows = f"{seconds:,.0f} s" if seconds is not None else f"{events:,} events"
    shift = profile.median_shift()
    if shift is None:
        return f"monitoring windows of {windows}; the reference is too small to say what they can see"
    if shift == float("inf"):
        return f"monitoring windows of {windows}: in the median number no shift would be found; declare larger ones"
    return f"monitoring windows of {windows}: in the median number a shift of {shift:.2f} standard deviations is found"


def told(read: "KafkaHistory") -> list[str]:
    """What was read and what was left out, for people."""
    lines = []
    for topic, rejected in read.rejected.items():
        count = sum(len(batch) for batch in read.batches if batch.source.topic == topic)
        out = [f"{n:,} {reason}" for reason, n in rejected.most_common()]
        if read.copies[topic]:
            out.append(f"{read.copies[topic]:,} replayed again of events that are there")
        lines.append(f"{topic}: {count:,} events" + (f"; left out: {', '.join(out)}" if out else ""))
    for tp, offset in read.began.items():
        lines.append(f"{tp.topic}/{tp.partition} begins at offset {offset:,}: Kafka has removed what was before")
    return lines


def _utc(moment: datetime | None, otherwise: float) -> float:
    return otherwise if moment is None else moment.replace(tzinfo=UTC).timestamp()
