"""Several faults at once, each in a process of its own with its own servers: most of a campaign is waiting."""

import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue

ALONE = ("hot_entity", "backlog", "soak")  # these fill a machine by themselves, or measure what neighbours would change

Tell = Callable[[str], None]


def run_jobs(names: Sequence[str], options: Sequence[str], jobs: int, tell: Tell) -> bool:
    """Runs `python -m tests.faults --only NAME` for each name, `jobs` at a time, those of ALONE by themselves at the end.

    `tell` is given every line that a child says. True if all promises held.
    """
    together = [name for name in names if name not in ALONE]
    codes = _side_by_side(together, options, jobs, tell)
    for name in names:
        if name in ALONE:
            codes += _side_by_side([name], options, 1, tell)
    return not any(codes)


def _side_by_side(names: Sequence[str], options: Sequence[str], jobs: int, tell: Tell) -> list[int]:
    waiting: SimpleQueue[str | None] = SimpleQueue()
    for name in (*names, *[None] * jobs):
        waiting.put(name)
    codes: list[int] = []
    children: set[subprocess.Popen[str]] = set()

    def work() -> None:
        while (name := waiting.get()) is not None:
            codes.append(_run(name, options, children, tell))

    threads = [threading.Thread(target=work, name=f"faults-{number}", daemon=True) for number in range(jobs)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:  # ended from outside: the children stop their servers in order
        for child in list(children):
            child.terminate()
            child.wait()
    return codes


def _run(name: str, options: Sequence[str], children: set[subprocess.Popen[str]], tell: Tell) -> int:
    command = [sys.executable, "-m", "tests.faults", "--jobs", "1", "--only", name, *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    children.add(child)
    assert child.stdout is not None
    for line in child.stdout:
        tell(line.rstrip())
    code = child.wait()
    children.discard(child)
    return code
