"""For Faust's own command line: ``TIDEGATE_PIPELINE=pipeline.py faust -A streams.app worker`` runs the same worker.

The app is made when it is first asked for, so that importing this module does nothing. Our pages listen on TIDEGATE_WEB_PORT
(6066); Faust's own, which its command line starts unless told --without-web, on a free port.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import os

    from streams.embedded.ports import free_ports
    from streams.errors import SettingsError
    from streams.loading import load_pipeline
    from streams.settings import Settings
    from streams.worker import WorkerOptions, build_worker

    settings = Settings.from_environment(os.environ)
    if settings.pipeline is None:
        raise SettingsError("TIDEGATE_PIPELINE is not set; name a pipeline, such as examples/flights/pipeline.py")
    options = WorkerOptions(web_port=settings.web_port)
    globals()["app"] = made = build_worker(load_pipeline(settings.pipeline), settings, options)
    made.conf.web_port = free_ports(1)[0]
    return made
