"""A group of commands whose first is meant where none is named: `tidegate drift PIPELINE` is `tidegate drift table PIPELINE`."""

import click


class FirstCommand(click.Group):
    """Runs the command that was added first, unless the first word is another's name or asks for help."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, *self.get_help_option_names(context)}:
            args = [next(iter(self.commands)), *args]
        return super().parse_args(context, args)
