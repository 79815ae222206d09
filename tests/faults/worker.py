"""A worker process for fault runs: the real one, wrapped from outside so that it can fail at a named point.

    python -m tests.faults.worker OPTIONS_JSON

A fault is `NAME` or `NAME:ARGUMENT`, armed at the start by TIDEGATE_FAULT, or later by writing it into the file
TIDEGATE_FAULT_FILE and sending SIGRTMIN. See `POINTS` and `Faults`.
"""

import asyncio
import dataclasses
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featurestore.redis_store import RedisStore
from featurestore.session import Joint
from scorer.artifact import LoadedVersion
from streams import transport, worker
from streams.flow import Flow
from streams.publisher import KafkaPublisher
from streams.running import run, set_levels
from streams.settings import Settings
from tests.faults.pipeline import from_environment

POINTS = ("after_read", "after_publish", "between_shards", "after_merge", "after_commit")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal comes at once


class Faults:
    """What is armed. Names beside POINTS: `raise` (the handler, once), `nan` and `model_raises` (for the argument's share of
    rows, until `off`), `block` and `wait` (the next chunk takes so many seconds, blocking the process or awaiting)."""

    def __init__(self) -> None:
        self.name, self.argument = "off", 0.0
        self.arm(os.environ.get("TIDEGATE_FAULT", "off"))
        signal.signal(signal.SIGRTMIN, lambda *_: self.arm(Path(os.environ["TIDEGATE_FAULT_FILE"]).read_text()))

    def arm(self, text: str) -> None:
        name, _, argument = text.strip().partition(":")
        self.name, self.argument = name, float(argument or 1)

    def takes(self, name: str) -> float | None:
        """The argument, once, if this fault is armed."""
        if self.name != name:
            return None
        self.name = "off"
        return self.argument

    def passage(self, point: str) -> None:
        """Dies at the armed point's n-th passage."""
        if self.name == point:
            self.argument -= 1
            if self.argument <= 0:
                die()


def after(owner: type, method: str, faults: Faults, point: str) -> None:
    """Makes an async method pass a point whenever it has returned."""
    original = getattr(owner, method)

    async def wrapped(self: Any, *args: Any, **options: Any) -> Any:
        answer = await original(self, *args, **options)
        faults.passage(point)
        return answer

    setattr(owner, method, wrapped)


def wrap_shards(faults: Faults) -> None:
    """Armed between_shards, a merge goes out shard by shard, in random order, and one of them is the last."""
    merge = RedisStore.merge

    async def wrapped(self: RedisStore, sources: Any, merges: Sequence[Any]) -> Any:
        pieces = [dataclasses.replace(one, shards=[shard]) for one in merges for shard in one.shards]
        if faults.name != "between_shards" or len(pieces) < 2:
            return await merge(self, sources, merges)
        dice = random.Random(faults.argument)  # the campaign drew it from its seed
        dice.shuffle(pieces)
        for piece in pieces[: dice.randrange(1, len(pieces))]:
            await merge(self, sources, [piece])
        return die()

    RedisStore.merge = wrapped  # type: ignore[method-assign]


def wrap_flow(faults: Faults) -> None:
    handle = Flow.__call__

    async def wrapped(self: Flow, *chunks: Any) -> None:
        if faults.takes("raise") is not None:
            raise RuntimeError("a fault: the handler raises")
        if (seconds := faults.takes("block")) is not None:
            print(f"a fault: slow for {seconds} s", file=sys.stderr, flush=True)
            time.sleep(seconds)  # noqa: ASYNC251 - blocking is the fault
        if (seconds := faults.takes("wait")) is not None:
            print(f"a fault: slow for {seconds} s", file=sys.stderr, flush=True)
            await asyncio.sleep(seconds)
        await handle(self, *chunks)

    Flow.__call__ = wrapped  # type: ignore[method-assign]


def wrap_model(faults: Faults) -> None:
    """The rows at fault are chosen by their first feature, so that one row alone fails as it does among others."""
    score = LoadedVersion.score

    def wrapped(self: LoadedVersion, vectors: Any) -> Any:
        scores = score(self, vectors)
        if faults.name in ("nan", "model_raises"):
            hit = (vectors[:, 0] * 100).astype(int) % 100 < faults.argument * 100
            if faults.name == "model_raises" and hit.any():
                raise ValueError("a fault: the model raises")
            scores = scores.copy()
            scores[hit] = float("nan")
        return scores

    LoadedVersion.score = wrapped  # type: ignore[method-assign]


def wrap_membership(instance: str) -> None:
    """Static membership under this name."""
    settings = worker.app_settings
    wrapped = lambda *given: dataclasses.replace(settings(*given), group_instance_id=instance)  # noqa: E731
    worker.app_settings = wrapped


def wrap_producer() -> None:
    """TIDEGATE_FAULTS_PRODUCER: settings of librdkafka that a test wants, as JSON."""
    begin, config = KafkaPublisher.__init__, json.loads(os.environ.get("TIDEGATE_FAULTS_PRODUCER", "{}"))

    def wrapped(self: KafkaPublisher, *args: Any, **options: Any) -> None:
        begin(self, *args, **{"config": config, **options})

    KafkaPublisher.__init__ = wrapped  # type: ignore[method-assign]


def wrap(faults: Faults) -> None:
    if instance := os.environ.get("TIDEGATE_FAULTS_INSTANCE"):
        wrap_membership(instance)
    after(Joint, "read", faults, "after_read")
    after(KafkaPublisher, "publish", faults, "after_publish")
    after(Joint, "merge", faults, "after_merge")
    after(transport.Consumer, "_commit_offsets", faults, "after_commit")
    wrap_producer()
    wrap_shards(faults)
    wrap_flow(faults)
    wrap_model(faults)


def end_with(owner: int) -> None:
    """Ends this process when the one that started it is gone, however that ended: nothing is left behind."""
    while os.getppid() == owner:
        time.sleep(1.0)
    os._exit(1)


def main() -> None:
    threading.Thread(target=end_with, args=[os.getppid()], daemon=True).start()
    options = json.loads(sys.argv[1])
    level = options.pop("log_level", "WARNING")
    set_levels(level)
    wrap(Faults())
    told = worker.WorkerOptions(web_port=0, **options)
    app = worker.build_worker(from_environment(), Settings.from_environment(os.environ), told)
    sys.exit(run(app, level))


if __name__ == "__main__":
    main()
