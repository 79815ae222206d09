"""Starts the process that prepares, follows its progress, and turns its failure into a sentence."""

import contextlib
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from streams.demo.errors import PreparationFailed
from streams.demo.prepare import Step
from streams.demo.state import DemoState, Prepared
from streams.demo.story import ROOT, Story
from streams.embedded.errors import last_lines
from streams.embedded.process import GuardedProcess

Progress = Callable[[str, int, int], None]
POLL_SECONDS = 0.2
SECONDS_MAX = 600.0  # 40 s on two quiet cores; a machine that needs more than this will not run the demo either


@contextmanager
def preparing(story: Story, state: DemoState, progress: Progress) -> Iterator[Callable[[], Prepared]]:
    """Begins at once, unless all is there; what it yields waits for the end. Leaving ends the process."""
    if found := state.load():
        yield lambda: found
        return
    with tempfile.TemporaryDirectory(prefix="tidegate-prepare-") as folder:
        log = Path(folder) / "log"
        script = (
            f"import runpy, sys; sys.path.insert(0, {str(ROOT)!r}); runpy.run_module('streams.demo.prepare', run_name='__main__')"
        )
        process = GuardedProcess([sys.executable, "-c", script, story.name, str(state.folder)], log=log, remove=Path(folder))
        left = threading.Event()
        follower = threading.Thread(target=_follow, args=(process, log, progress, left), name="preparing", daemon=True)
        follower.start()
        try:
            yield lambda: _finished(process, follower, log, state)
        finally:
            left.set()
            follower.join()  # first: two threads must not wait for one process
            process.kill()
            process.close()


def _finished(process: GuardedProcess, follower: threading.Thread, log: Path, state: DemoState) -> Prepared:
    follower.join(SECONDS_MAX)
    prepared = state.load()
    if prepared is None or process.exit_code != 0:
        shown = "\n".join(f"  | {line}" for line in last_lines(log) if not line.startswith("{"))
        raise PreparationFailed(f"The demo's history and model could not be made. The last lines of the log:\n{shown}")
    return prepared


def _follow(process: GuardedProcess, log: Path, progress: Progress, left: threading.Event) -> None:
    with open(log, "rb") as lines:
        while not left.is_set():
            ended = process.wait(POLL_SECONDS) is not None
            for line in lines:
                with contextlib.suppress(msgspec.DecodeError):  # a library's warning
                    step = msgspec.json.decode(line, type=Step)
                    progress(step.what, step.done, step.of)
            if ended:
                return
