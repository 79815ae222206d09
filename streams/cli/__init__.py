"""The `tidegate` command. A command's module is imported when that command is called, so that `--help` is quick."""

import importlib
from typing import Any

import click

from streams.version import __version__

# In the order in which a newcomer meets them: the command, its module here, and its line in the list.
COMMANDS = {
    "demo": ("demo", "Run an example: a real Kafka, a monitor, a live view."),
    "up": ("up", "Start a Kafka and a Redis for yourself."),
    "doctor": ("doctor", "Check this machine and the servers in the environment."),
    "check": ("check", "Validate a pipeline; print its features and topics."),
    "train": ("train", "Train a model; register it; --promote makes it serve."),
    "worker": ("worker", "Score events until a signal."),
    "backfill": ("backfill", "Fill the state of changed features while workers serve."),
    "features": ("features", "List, show and drop online features."),
    "forget": ("forget", "Forget an entity: its features, and its old events."),
    "produce": ("produce", "Send events from a file to their topic."),
    "dlq": ("dlq", "List dead letters; send their records again."),
    "monitor": ("monitor", "Say each window what drifts, of what workers served."),
    "drift": ("drift", "Show what the monitor said: a table, or a page with plots."),
    "skew": ("skew", "Compare served features with the same computed offline."),
    "lag": ("lag", "Watch how far any consumer group is behind, in seconds."),
    "alerts": ("alerts", "Make alert rules, and the routes to who is told."),
    "silence": ("silence", "Silence an alert for a while, with a reason."),
    "dashboards": ("dashboards", "Write the Grafana dashboards as files."),
    "tail": ("tail", "Watch predictions or dead letters as they come."),
}


class LazyGroup(click.Group):
    """Knows its commands by name and imports one only to run it."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _ = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(f"streams.cli.{module}"), name)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    epilog="""\b
A first look, with nothing installed by hand:
  tidegate demo
A pipeline of your own, in another terminal than `tidegate up`:
  tidegate check pipeline.py
  tidegate train pipeline.py --data history/ --promote
  tidegate worker pipeline.py

Addresses come from KAFKA_BOOTSTRAP_SERVERS and REDIS_URL.""",
)
@click.version_option(__version__, prog_name="tidegate")
def main(**_: Any) -> None:
    """Streaming real-time scoring: Kafka in, features in Redis, LightGBM, Kafka out."""
