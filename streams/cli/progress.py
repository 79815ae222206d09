"""Progress of long work, on a terminal as bars, elsewhere as a line a step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


@contextmanager
def steps(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A callback (what is being done, steps done, steps in all) that shows a bar for each thing done."""
    if not console.is_terminal:
        yield _plain(console)
        return
    columns = (TextColumn("{task.description:<36}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn())
    bars: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as progress:

        def show(what: str, done: int, of: int) -> None:
            if what not in bars:
                for earlier in bars.values():
                    progress.stop_task(earlier)
                bars[what] = progress.add_task(what)
            progress.update(bars[what], completed=done, total=of)

        yield show


def _plain(console: Console) -> Callable[[str, int, int], None]:
    seen: set[str] = set()

    def show(what: str, done: int, of: int) -> None:
        if what not in seen:
            seen.add(what)
            console.print(f"{what} ...", highlight=False)

    return show
