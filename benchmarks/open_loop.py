"""A contender under a load, beginning with an empty topic and an empty Redis; generator and meter are processes beside it."""

import time
from collections.abc import Sequence

import msgspec
import psutil
import redis

from benchmarks.beside import Beside
from benchmarks.contenders import WORKER, Contender, Running
from benchmarks.drain import PREDICTIONS, Ends, Show
from benchmarks.load import Phase, schedule
from benchmarks.trace import Cost, Trace
from benchmarks.workload import RATE, SEED, SOURCE, Workload
from examples.payments.generate import START, Stream

PRIMING_EVENTS = 400  # over all partitions, so that it has begun with each of them before the clock starts
PRIMED_SECONDS = 60.0
LEAD_SECONDS = 0.3  # from the word that all are ready to the start
SAMPLE_SECONDS = 0.5
GRACE_SECONDS = 3.0  # after the load's end; what comes later never came
END_SECONDS = 60.0
BROKER_WARM_UP = (Phase(5_000, 10.0),)


def under_load(workload: Workload, contender: Contender, phases: Sequence[Phase], show: Show) -> Trace:
    """Starts the contender anew, waits for its first predictions, and puts the load on it; `show` is told of seconds."""
    workload.empty()
    workload.forget()
    due, servers, folder = schedule(phases), workload.stack.bootstrap_servers, workload.folder
    seconds = sum(phase.seconds for phase in phases)
    running = Running(contender, workload.environment, folder / "contender.log")
    try:
        with Beside("benchmarks.load", folder, servers, SOURCE, msgspec.json.encode(phases).decode()) as load:
            offsets = msgspec.json.encode(_primed(workload, running)).decode()
            wanted = (offsets, str(len(due)), str(seconds + GRACE_SECONDS))
            with Beside("benchmarks.meter", folder, servers, PREDICTIONS, *wanted) as meter:
                load.wait_until_ready()
                meter.wait_until_ready()
                start = time.monotonic() + LEAD_SECONDS
                load.begin(start)
                meter.begin(start)
                costs = _costs(workload, running, start, seconds, show)
                return Trace(due, load.result(END_SECONDS), meter.result(END_SECONDS), costs)
    finally:
        running.stop()


def warm_broker(workload: Workload, show: Show) -> None:
    """A run that nobody counts: a broker just started is slow until its JVM has compiled, and whoever came first would pay."""
    under_load(workload, WORKER, BROKER_WARM_UP, show)


def _primed(workload: Workload, running: Running) -> list[int]:
    """Where the predictions end once the contender has made its first ones."""
    ends = Ends(workload.stack.bootstrap_servers)
    wanted = sum(ends.each()) + PRIMING_EVENTS
    workload.fill(Stream(PRIMING_EVENTS, RATE, SEED + 1, START - PRIMING_EVENTS / RATE))
    deadline = time.monotonic() + PRIMED_SECONDS
    while sum(found := ends.each()) < wanted:
        running.check()
        if time.monotonic() > deadline:
            raise RuntimeError(f"no first predictions within {PRIMED_SECONDS:.0f} s")
        time.sleep(0.1)
    ends.close()
    return found


def _costs(workload: Workload, running: Running, start: float, seconds: float, show: Show) -> list[Cost]:
    process, costs = psutil.Process(running.pid), list[Cost]()
    with redis.Redis.from_url(workload.stack.redis_url) as client:
        for number in range(round(seconds / SAMPLE_SECONDS) + 1):
            time.sleep(max(0.0, start + number * SAMPLE_SECONDS - time.monotonic()))
            running.check()
            cpu, server, at = process.cpu_times(), client.info("cpu"), time.monotonic() - start
            costs.append(Cost(at, cpu.user + cpu.system, server["used_cpu_user"] + server["used_cpu_sys"]))
            show(round(at), round(seconds))
    return costs
