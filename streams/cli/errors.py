"""Turns the project's own errors into one line for the user; a bug keeps its traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from featurestore.errors import FeatureStoreError
from monitors.errors import MonitorsError
from scorer.errors import ScorerError
from streams.embedded.errors import EmbeddedError
from streams.errors import StreamError

OURS = (FeatureStoreError, MonitorsError, ScorerError, StreamError, EmbeddedError)


@contextmanager
def told_plainly() -> Iterator[None]:
    """Errors that say what is wrong and what mends it need no traceback."""
    try:
        yield
    except OURS as error:
        raise click.ClickException(str(error)) from error
