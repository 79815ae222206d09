"""The doctor's checks of versions: Python's packages against what Tidegate asks for, and Kafka's release."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence

from packaging.requirements import Requirement

from streams.embedded.broker_version import metadata_level, release
from streams.embedded.checks import Check

DISTRIBUTION = "tidegate"
SHOWN = ("confluent-kafka", "faust-streaming", "redis", "lightgbm", "numpy", "mlflow-skinny")


def packages(requires: Sequence[str] | None = None, installed: Callable[[str], str] = importlib.metadata.version) -> Check:
    """Whether each package that Tidegate itself needs is here, in a version that it was made for.

    ``requires``: requirements as packaging writes them (None: the installed distribution's); ``installed``: a package's version.
    """
    try:
        asked = importlib.metadata.requires(DISTRIBUTION) or [] if requires is None else requires
    except importlib.metadata.PackageNotFoundError:
        remedy = "pip install -e . in the clone, so that versions can be compared"
        return Check("Python packages", "warn", "Tidegate itself is not installed", remedy)
    wrong, found = [], {}
    for requirement in map(Requirement, asked):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = installed(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        found[requirement.name] = version
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
    if wrong:
        return Check("Python packages", "fail", "; ".join(wrong), "pip install --upgrade tidegate (in a clone: make .venv)")
    return Check("Python packages", "ok", ", ".join(f"{name} {found[name]}" for name in SHOWN if name in found))


def kafka_version(brokers: Sequence[tuple[str, int]], level: Callable[[str, int], int | None] = metadata_level) -> Check:
    """The cluster's release, of the first broker that tells; ``brokers`` are hosts and ports."""
    name, error = "Kafka's version", "no broker is known"
    for host, port in brokers:
        try:
            found = level(host, port)
        except OSError as failed:
            error = f"{host}:{port}: {failed}"
            continue
        if found is None:
            remedy = "upgrade it: Tidegate is tried on 4.1 (docs/embedded.md)"
            return Check(name, "warn", "older than 3.3, or kept by ZooKeeper", remedy)
        said = release(found)
        return Check(name, "ok", f"{said} ({'' if said.startswith('newer') else 'at least; '}metadata.version {found})")
    return Check(name, "warn", f"not told ({error})", "look at it where the broker runs: kafka-broker-api-versions.sh --version")
