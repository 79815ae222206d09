"""Options that several commands have: where a process' pages listen, what it logs, who the user is."""

import os
from collections.abc import Callable
from getpass import getuser
from typing import Any

import click

Command = Callable[..., Any]


def pages(port: int) -> Callable[[Command], Command]:
    """--web-host and --web-port, by default `port`."""

    def add(command: Command) -> Command:
        listen = "Where /metrics, /healthz and /readyz listen."
        host = click.option("--web-host", default="127.0.0.1", show_default=True, help=listen)
        number = click.option(
            "--web-port", default=port, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free port."
        )
        return host(number(command))

    return add


log_level = click.option(
    "--log-level",
    default="WARNING",
    show_default=True,
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR"]),
    help="The least serious of what is logged on stderr.",
)


def user() -> str:
    """The user's name; the number where the system has no name for it, as in some containers."""
    try:
        return getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
