"""Contenders in turn over one filled topic: first their predictions are compared, then they are measured, interleaved."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import redis

from benchmarks import machine
from benchmarks.agreement import check_agreement
from benchmarks.contenders import Contender
from benchmarks.drain import Drain, drain
from benchmarks.part import Options
from benchmarks.workload import RATE, SEED, Workload
from examples.payments.generate import Stream
from streams.cli.progress import steps


@dataclass(frozen=True, slots=True)
class Rounds:
    """Each contender's rounds by name, and a sentence on how they came about."""

    results: dict[str, list[Drain]]
    described: str


def compete(workload: Workload, contenders: Sequence[Contender], options: Options) -> Rounds:
    """Compares, fills and measures; RuntimeError where the predictions differ."""
    console = options.console
    with console.status("comparing predictions") if console.is_terminal else nullcontext():
        compared = check_agreement(workload, contenders)
    bytes_sent = workload.fill(Stream(options.events, RATE, SEED))
    results = in_turn(workload, contenders, options)
    return Rounds(
        results,
        f"{options.events:,} events of {bytes_sent / options.events:.0f} bytes, {options.rounds} rounds in turn: median (least "
        f"to greatest). {compared:,} predictions were equal to the last bit before anything was timed. {circumstances(workload)}",
    )


def circumstances(workload: Workload) -> str:
    """A sentence on when and on what was measured; to be asked for at the end."""
    return described_stack(workload.stack.redis_url)


def described_stack(redis_url: str) -> str:
    """The same of any stack, by its Redis."""
    with redis.Redis.from_url(redis_url) as client:
        described = machine.describe(client.info("server").get("valkey_version", "?"))
    return f"{datetime.now(UTC):%Y-%m-%d}; {described}; load over the last minute at the end {machine.load():.1f}."


def in_turn(workload: Workload, contenders: Sequence[Contender], options: Options) -> dict[str, list[Drain]]:
    """Each contender's rounds by name, on the filled topic; in turn, so that all meet what the machine does meanwhile."""
    results: dict[str, list[Drain]] = {contender.name: [] for contender in contenders}
    with steps(options.console) as show:
        for number in range(1, options.rounds + 1):
            for contender in contenders:
                shown = partial(show, f"{number}/{options.rounds} {contender.name}")
                results[contender.name].append(drain(workload, contender, options.events, shown))
    return results
