"""For Faust's own command line: ``TIDEGATE_PIPELINE=pipeline.py faust -A streams.app worker`` runs the same worker.

The app is made when it is first asked for, so that importing this module does nothing.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import os

    from streams.errors import SettingsError
    from streams.loading import load_pipeline
    from streams.settings import Settings
    from streams.worker import WorkerOptions, build_worker

    settings = Settings.from_environment(os.environ)
    if settings.pipeline is None:
        raise SettingsError("TIDEGATE_PIPELINE is not set; name a pipeline, such as examples/flights/pipeline.py")
    globals()["app"] = made = build_worker(load_pipeline(settings.pipeline), settings, WorkerOptions())
    return made
