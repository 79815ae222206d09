"""Found by Python itself when this folder is on PYTHONPATH, before a worker imports anything.

- TIDEGATE_FAULTS_CLOCK=SECONDS moves the process's clock by so much: time.time and time.time_ns. (Not datetime, which the path
  of a record does not use, nor librdkafka's clock: output topics have the broker's time.)
- TIDEGATE_FAULTS_COUNTS=FOLDER: once a second the number of unfinished asyncio tasks, all loops together, goes to FOLDER/PID.
"""

import asyncio
import os
import threading
import time
from pathlib import Path

EVERY_SECONDS = 1.0


def move_clock(seconds: float) -> None:
    real, real_ns = time.time, time.time_ns
    time.time = lambda: real() + seconds
    time.time_ns = lambda: real_ns() + int(seconds * 1e9)


def count_tasks(folder: Path) -> None:
    loops: list[asyncio.AbstractEventLoop] = []
    make = asyncio.new_event_loop

    def made() -> asyncio.AbstractEventLoop:
        loops.append(make())
        return loops[-1]

    def count() -> None:
        mine, new = folder / str(os.getpid()), folder / f"{os.getpid()}.new"
        while True:
            time.sleep(EVERY_SECONDS)
            new.write_text(str(sum(len(asyncio.all_tasks(loop)) for loop in list(loops) if not loop.is_closed())))
            new.replace(mine)

    asyncio.new_event_loop = made
    threading.Thread(target=count, name="faults-count", daemon=True).start()


if moved := os.environ.get("TIDEGATE_FAULTS_CLOCK"):
    move_clock(float(moved))
if counts := os.environ.get("TIDEGATE_FAULTS_COUNTS"):
    count_tasks(Path(counts))
