"""The option --only of commands that have parts."""

from collections.abc import Callable, Sequence
from typing import Any

import click


def only_option(parts: Sequence[str]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """--only: the parts that it names, in the order in which they run; all where it names none."""

    def chosen(_: click.Context, __: click.Parameter, named: str) -> list[str]:
        wanted = [name.strip() for name in named.split(",") if name.strip()]
        unknown = [name for name in wanted if name not in parts]
        if unknown:
            raise click.BadParameter(f"there is no part {unknown[0]!r}; there are {', '.join(parts)}")
        return [name for name in parts if not wanted or name in wanted]

    said = f"Parts, joined by commas, of {', '.join(parts)}; by default all."
    return click.option("--only", default="", callback=chosen, help=said)
