"""A worker for the transport's tests: it writes what happens to it, one JSON line each, to the file it is given.

The plan (JSON, first argument): log, app, bootstrap, topics, settings; fail_at [partition, offset]; gate (a file
without which chunks do not end); starts {partition: offset}; hold (commit no further); refuse (a sentence);
away (a file that on_assigned waits for, as for a store); work (seconds a chunk takes, awaiting); block (the same,
computing); loglevel.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence, Set
from pathlib import Path
from typing import Any

from streams.chunk import TP, Chunk
from streams.faust_app import AppSettings, add_timer, create_app
from streams.running import run


class Told:
    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.log = open(plan["log"], "a", buffering=1)  # noqa: SIM115 - open as long as the process lives

    def tell(self, event: str, **facts: Any) -> None:
        self.log.write(json.dumps({"event": event, "pid": os.getpid(), "at": time.time(), **facts}) + "\n")

    def open(self) -> bool:
        return "gate" not in self.plan or Path(self.plan["gate"]).exists()

    async def handle(self, *chunks: Chunk) -> None:
        self.tell_each("begin", chunks)
        fail = self.plan.get("fail_at")
        if fail and any(chunk.partition == fail[0] and chunk.last_offset >= fail[1] for chunk in chunks):
            raise ValueError("the flow broke")
        try:
            while not self.open():  # noqa: ASYNC110 - another process opens the gate
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.tell_each("cancelled", chunks)
            raise
        time.sleep(self.plan.get("block", 0))  # noqa: ASYNC251 - as a long computation would
        await asyncio.sleep(self.plan.get("work", 0))
        self.tell_each("end", chunks)

    def tell_each(self, event: str, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            self.tell(
                event,
                topic=chunk.topic,
                partition=chunk.partition,
                offsets=[record.offset for record in chunk.records],
                newest=max(record.timestamp for record in chunk.records),
                headers=[[[key, (value or b"").decode()] for key, value in record.headers] for record in chunk.records],
                joined=len(chunks),
            )

    async def on_assigned(self, committed: Mapping[TP, int | None]) -> Mapping[TP, int]:
        self.tell("assigned", committed={tp.partition: offset for tp, offset in committed.items()})
        if refuse := self.plan.get("refuse"):
            raise RuntimeError(refuse)
        await self.store()
        starts = self.plan.get("starts", {})
        return {tp: starts[str(tp.partition)] for tp in committed if str(tp.partition) in starts}

    def away(self) -> bool:
        return "away" in self.plan and not Path(self.plan["away"]).exists()

    async def store(self) -> None:
        try:
            while self.away():  # noqa: ASYNC110 - another process makes the file
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.tell("abandoned")
            raise
        self.tell("began")

    async def before_commit(self, offsets: Mapping[TP, int]) -> Mapping[TP, int]:
        hold = self.plan.get("hold", 2**62)
        return {tp: min(offset, hold) for tp, offset in offsets.items()}

    async def on_revoked(self, tps: Set[TP]) -> None:
        self.tell("revoked", partitions=sorted(tp.partition for tp in tps))

    async def broken_timer(self) -> None:
        self.tell("timer")
        raise ValueError("a timer broke")


def main() -> int:
    plan = json.loads(sys.argv[1])
    told = Told(plan)
    settings = AppSettings(app_id=plan["app"], bootstrap_servers=plan["bootstrap"], **plan.get("settings", {}))
    app = create_app(settings, plan["topics"], told.handle, told)
    rebalance_starts = app.on_rebalance_start

    def on_rebalance_start() -> None:
        told.tell("rebalancing")
        rebalance_starts()

    app.on_rebalance_start = on_rebalance_start  # type: ignore[method-assign]
    if plan.get("timer"):
        add_timer(app, 0.2, told.broken_timer)
    return run(app, plan.get("loglevel", "WARNING"))


if __name__ == "__main__":
    sys.exit(main())
