"""A worker's start, from the process to its first prediction, and where that time goes as its page /readyz tells."""

import time
from collections.abc import Mapping
from http.client import HTTPException
from itertools import pairwise
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from benchmarks.contenders import WORKER, Running
from benchmarks.drain import Ends
from benchmarks.workload import Workload

PAGE_SECONDS = 0.05  # between two looks at the page: a look costs the worker less than a millisecond
END_SECONDS = 0.01  # between two looks at the predictions' end
MOST_SECONDS = 120.0
BEGIN, PAGES, PREDICTION = "begin", "pages", "prediction"
# What a start has come to, in order, and what lies between it and the one before. Those in the middle are /readyz's.
PHASES = {
    PAGES: "Python, imports, the pipeline file, until the pages answer",
    "model": "topics checked; deployment read; model loaded, the walk over its trees proven, its golden rows scored",
    "kernel": "kernel, from Numba's cache",
    "redis": "Faust's services; Redis asked, its namespaces entered",
    "partitions": "the consumer joins the group, fences are read",
    PREDICTION: "the first chunk: fetched, computed, scored, published",
}
Moments = Mapping[str, float]  # seconds since the process was started
KEEPS, FORBIDS, ELSEWHERE = {"PYTHONDONTWRITEBYTECODE": ""}, {"PYTHONDONTWRITEBYTECODE": "1"}, "PYTHONPYCACHEPREFIX"


def start(workload: Workload, *, bytecode: bool = True) -> Moments:
    """Starts a worker on the filled topic, with a consumer group and a Redis that know nothing, up to its first prediction.

    Python reads compiled modules, as it does where pip installed them, whatever this process was told; or, without ``bytecode``,
    none, and compiles all anew.
    """
    workload.forget()
    python = KEEPS if bytecode else {**FORBIDS, ELSEWHERE: str(workload.folder / "no-bytecode")}
    ends = Ends(workload.stack.bootstrap_servers)
    before, began = ends.each(), time.monotonic()
    running = Running(WORKER, workload.environment | python, workload.folder / "contender.log")
    try:
        moments = {BEGIN: 0.0}
        _until_ready(running, began, moments)
        while ends.each() == before:
            _wait(running, began, END_SECONDS)
        return moments | {PREDICTION: time.monotonic() - began}
    finally:
        running.stop()
        ends.close()


def _until_ready(running: Running, began: float, moments: dict[str, float]) -> None:
    while not PHASES.keys() - {PREDICTION} <= moments.keys():
        _wait(running, began, PAGE_SECONDS)
        page = _page(running.ports[0])
        at = time.monotonic() - began
        for what in done(page):
            moments.setdefault(what, at)


def _wait(running: Running, began: float, seconds: float) -> None:
    time.sleep(seconds)
    running.check()
    if time.monotonic() - began > MOST_SECONDS:
        raise RuntimeError(f"a worker made no prediction within {MOST_SECONDS:.0f} s of its start")


def _page(port: int) -> str | None:
    """What /readyz says; None while nobody answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as response:
            text: str = response.read().decode()
    except HTTPError as error:  # 503: not ready, and why
        return error.read().decode()
    except (URLError, HTTPException, OSError):
        return None
    return text


def done(page: str | None) -> list[str]:
    """What a page of /readyz says is done; that it answers is the first of it.

    >>> done("model: ok\\nkernel: compiling\\n")
    ['pages', 'model']
    """
    if page is None:
        return []
    return [PAGES, *(line.partition(":")[0] for line in page.splitlines() if line.endswith(": ok"))]


def durations(moments: Moments) -> dict[str, float]:
    """How long each phase took, in seconds; together they are the whole start."""
    return {after: moments[after] - moments[before] for before, after in pairwise([BEGIN, *PHASES])}
